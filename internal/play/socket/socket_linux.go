// Package socket sets and reads what Go's net package does not show of a UDP socket.
package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Enlarge returns the socket a receive buffer of the given bytes. Root may go beyond net.core.rmem_max; others get at
// most that.
func Enlarge(fd, bytes int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
	}
}

// Drops returns the datagrams that found no room in the receive buffer since the socket was opened (SO_MEMINFO,
// sock_diag(7)); 0 where the kernel does not tell.
func Drops(fd int) uint64 {
	const skMeminfoVars = 9 // include/uapi/linux/sock_diag.h: the last one is SK_MEMINFO_DROPS
	var info [skMeminfoVars]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0
	}
	return uint64(info[skMeminfoVars-1])
}

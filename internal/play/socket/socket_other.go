//go:build !linux

// Package socket sets and reads what Go's net package does not show of a UDP socket.
package socket

import "syscall"

// Enlarge returns the socket a receive buffer of the given bytes, or what the system allows.
func Enlarge(fd, bytes int) {
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, bytes)
}

// Drops is not known here.
func Drops(int) uint64 { return 0 }

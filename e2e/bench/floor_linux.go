package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// floor is the least that a fan-out can cost in Go: a loop in one goroutine that seals each packet and sends a viewer's
// frame as one UDP_SEGMENT message, many viewers per sendmmsg. It knows no viewers, no sequence numbers of their own,
// no repairs.
type floor struct {
	http.Handler
	spec  serverSpec
	file  *os.File // keeps fd open
	fd    int
	names []unix.RawSockaddrInet4

	aead  cipher.AEAD
	block cipher.Block
	mac   hash.Hash

	packets, calls, failed atomic.Uint64
}

const (
	floorPayload = 1160
	floorBatch   = 64
	floorGroup   = 54 // segments of one message
)

type floorMessage struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

func newFloor(spec serverSpec) (server, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("opening the socket: %w", err)
	}
	_ = conn.SetWriteBuffer(8 << 20)
	file, err := conn.File()
	if err != nil {
		return nil, fmt.Errorf("opening the socket: %w", err)
	}
	f := &floor{
		Handler: http.NotFoundHandler(),
		spec:    spec,
		file:    file,
		fd:      int(file.Fd()),
		mac:     hmac.New(sha1.New, make([]byte, 20)),
	}
	for _, text := range spec.Sinks {
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("sink %s: %w", text, err)
		}
		name := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: at.Addr().As4()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], at.Port())
		f.names = append(f.names, name)
	}
	if f.block, err = aes.NewCipher(make([]byte, 16)); err != nil {
		return nil, fmt.Errorf("AES: %w", err)
	}
	if f.aead, err = cipher.NewGCM(f.block); err != nil {
		return nil, fmt.Errorf("GCM: %w", err)
	}
	return f, nil
}

func (f *floor) run(ctx context.Context) {
	arena := make([]byte, floorBatch*floorGroup*(floorPayload+64))
	payload := make([]byte, floorPayload)
	var messages [floorBatch]floorMessage
	var iov [floorBatch]unix.Iovec
	var control [floorBatch][24]byte
	everyFrame(ctx, func(time.Time) {}, func(n int) {
		size := frameSize(f.spec.Mbps, n)
		for start := 0; start < len(f.names); start += floorBatch {
			end := min(start+floorBatch, len(f.names))
			for left := size; left > 0; left -= floorGroup * floorPayload {
				used := 0
				for i := range end - start {
					first := used
					segment := 0
					for at := 0; at < min(left, floorGroup*floorPayload); at += floorPayload {
						k := f.seal(arena[used:], payload[:min(floorPayload, left-at)])
						if segment == 0 {
							segment = k
						}
						used += k
					}
					iov[i].Base = &arena[first]
					iov[i].SetLen(used - first)
					h := &messages[i].hdr
					h.Name, h.Namelen = (*byte)(unsafe.Pointer(&f.names[start+i])), unix.SizeofSockaddrInet4
					h.Iov, h.Iovlen = &iov[i], 1
					cm := (*unix.Cmsghdr)(unsafe.Pointer(&control[i]))
					cm.Level, cm.Type = unix.SOL_UDP, unix.UDP_SEGMENT
					cm.SetLen(unix.CmsgLen(2))
					*(*uint16)(unsafe.Pointer(&control[i][unix.CmsgLen(0)])) = uint16(segment)
					h.Control = &control[i][0]
					h.SetControllen(24)
				}
				f.send(&messages, end-start)
				f.packets.Add(uint64((end - start) * ((min(left, floorGroup*floorPayload) + floorPayload - 1) / floorPayload)))
			}
		}
	})
}

// send is sendmmsg(2) until all messages are gone.
func (f *floor) send(messages *[floorBatch]floorMessage, count int) {
	for at := 0; at < count; {
		n, _, errno := unix.Syscall6(
			unix.SYS_SENDMMSG,
			uintptr(f.fd),
			uintptr(unsafe.Pointer(&messages[at])),
			uintptr(count-at),
			0,
			0,
			0,
		)
		f.calls.Add(1)
		if errno != 0 || n == 0 {
			f.failed.Add(1)
			at++
			continue
		}
		at += int(n)
	}
}

// seal protects one packet of a 12-byte header and the payload.
func (f *floor) seal(out, payload []byte) int {
	var nonce [16]byte
	if f.spec.SRTP == "sha1" {
		n := 12 + len(payload)
		cipher.NewCTR(f.block, nonce[:]).XORKeyStream(out[12:n], payload)
		f.mac.Reset()
		f.mac.Write(out[:n])
		f.mac.Sum(out[n:n])
		return n + 10
	}
	return len(f.aead.Seal(out[:12], nonce[:12], payload, out[:12]))
}

func (f *floor) counts() counts {
	return counts{Viewers: len(f.names), Packets: f.packets.Load(), Calls: f.calls.Load(), Failed: f.failed.Load()}
}

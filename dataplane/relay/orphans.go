package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// The sockets of a process that was killed are closed some moments after its lock is given back.
const (
	orphanBind  = time.Second          // within which they have to be free
	orphanRetry = 5 * time.Millisecond // between two attempts
)

// Orphan is a UDP player that a relay process left without a word.
type Orphan = farewell

// Orphans returns the players of a relay process of which nothing is left, from the file that it kept
// (Options.Farewells). The file is empty then.
func Orphans(path string, most int) ([]Orphan, error) {
	file, left, err := openFarewells(path, most)
	if err != nil {
		return nil, err
	}
	file.close()
	return left, nil
}

// Tell tells players to come again, from the addresses that they know, which have to be free. It gives how many were
// told.
func Tell(ctx context.Context, left []Orphan) (told int, err error) {
	sockets := map[netip.AddrPort]*net.UDPConn{}
	defer func() {
		for _, s := range sockets {
			_ = s.Close()
		}
	}()
	for _, f := range left {
		if _, ok := sockets[f.local]; ok {
			continue
		}
		s, bad := bind(ctx, f.local)
		if bad != nil {
			err = errors.Join(err, bad)
		}
		sockets[f.local] = s
	}
	told = sendFarewells(ctx, left, func(f farewell) error {
		s := sockets[f.local]
		if s == nil {
			return errNoSocket
		}
		_, err := s.WriteToUDPAddrPort(f.record, f.remote)
		return err
	})
	return told, err
}

func bind(ctx context.Context, at netip.AddrPort) (*net.UDPConn, error) {
	for until := time.Now().Add(orphanBind); ; {
		s, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		switch {
		case err == nil:
			return s, nil
		case !errors.Is(err, syscall.EADDRINUSE), time.Now().After(until), !wait(ctx, orphanRetry):
			return nil, fmt.Errorf("listening on %s, which the players know: %w", at, err)
		}
	}
}

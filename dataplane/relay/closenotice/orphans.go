package closenotice

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

// Orphans returns the close notices for the viewers of a relay process of which nothing is left, limit at most, from
// the file that it kept (relay.Options.CloseNotices). The file is empty then.
func Orphans(path string, limit int) ([]Notice, error) {
	file, left, err := Open(path, limit)
	if err != nil {
		return nil, err
	}
	file.Close()
	return left, nil
}

// Tell sends close notices from the addresses that the viewers know, which have to be free. It returns to how many
// viewers one was sent.
func Tell(ctx context.Context, left []Notice) (told int, err error) {
	sockets := map[netip.AddrPort]*net.UDPConn{}
	defer func() {
		for _, s := range sockets {
			_ = s.Close()
		}
	}()
	for _, n := range left {
		if _, ok := sockets[n.Local]; ok {
			continue
		}
		s, bad := bind(ctx, n.Local)
		if bad != nil {
			err = errors.Join(err, bad)
		}
		sockets[n.Local] = s
	}
	told = Send(ctx, left, func(n Notice) error {
		s := sockets[n.Local]
		if s == nil {
			return ErrNoSocket
		}
		_, err := s.WriteToUDPAddrPort(n.Record, n.Remote)
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
		case !errors.Is(err, syscall.EADDRINUSE), time.Now().After(until), !Wait(ctx, orphanRetry):
			return nil, fmt.Errorf("listening on %s, which the viewers know: %w", at, err)
		}
	}
}

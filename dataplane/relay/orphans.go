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

// TellOrphans tells the UDP players of a relay process of which nothing is left to come again, with what it kept in the file (Options.Farewells), from
// the addresses that they know. These have to be free. It gives how many there were and how many were told. The file is empty then.
func TellOrphans(ctx context.Context, path string, most int) (players, told int, err error) {
	file, left, err := openFarewells(path, most)
	if err != nil {
		return 0, 0, err
	}
	file.close()
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
	return len(left), told, err
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

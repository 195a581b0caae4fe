//go:build !linux

package relay

import (
	"errors"
	"net"
	"net/netip"
)

// readBatches is there for Linux alone.
func readBatches(*net.UDPConn, func(b []byte, from netip.AddrPort)) error {
	return errors.ErrUnsupported
}

package standalone

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// listeners are the open TCP ports; nil ones are off.
type listeners struct {
	rtmp, rtmps, http, https, admin, rtsp net.Listener
}

func (l *listeners) close() {
	for _, one := range []net.Listener{l.rtmp, l.rtmps, l.http, l.https, l.admin, l.rtsp} {
		if one != nil {
			_ = one.Close()
		}
	}
}

// listen opens all ports before anything is served.
func (s *server) listen() (l listeners, err error) {
	secure := s.certs.Any()
	for _, one := range []struct {
		name string
		port int
		on   bool
		to   *net.Listener
		at   *netip.AddrPort
	}{
		{"rtmp", s.opt.RTMPPort, true, &l.rtmp, &s.at.RTMP},
		{"rtmps", s.opt.RTMPSPort, secure, &l.rtmps, &s.at.RTMPS},
		{"http", s.opt.HTTPPort, true, &l.http, &s.at.HTTP},
		{"https", s.opt.HTTPSPort, secure, &l.https, &s.at.HTTPS},
	} {
		if !one.on || one.port < 0 {
			continue
		}
		if *one.to, err = net.Listen("tcp", net.JoinHostPort(s.opt.Address, strconv.Itoa(one.port))); err != nil {
			return l, fmt.Errorf(
				"listening for %s: %w (choose another port with --%s-port, -1 turns it off)",
				one.name,
				err,
				one.name,
			)
		}
		*one.at = (*one.to).Addr().(*net.TCPAddr).AddrPort() //nolint:forcetypeassert // of a TCP listener
	}
	if s.opt.AdminAddr != "" {
		if l.admin, err = net.Listen("tcp", s.opt.AdminAddr); err != nil {
			return l, fmt.Errorf("listening for metrics and state: %w (choose another address with --admin)", err)
		}
		s.at.Admin = l.admin.Addr().(*net.TCPAddr).AddrPort() //nolint:forcetypeassert // of a TCP listener
	}
	if s.opt.RTSPAddr != "" {
		if l.rtsp, err = net.Listen("tcp", s.opt.RTSPAddr); err != nil {
			return l, fmt.Errorf("listening for RTSP: %w (choose another address with --rtsp)", err)
		}
		s.at.RTSP = l.rtsp.Addr().(*net.TCPAddr).AddrPort() //nolint:forcetypeassert // of a TCP listener
	}
	return l, nil
}

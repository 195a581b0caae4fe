package relay

import (
	"net/netip"

	"github.com/millrace/millrace/dataplane/relay/closenotice"
	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// keepCloseNotices begins to keep them. Those that the last process left wait for SendCloseNotices.
func (r *Relay) keepCloseNotices() error {
	kept, left, err := closenotice.Open(r.opt.CloseNotices, r.door.Limits().MaxViewers)
	if err != nil {
		return err
	}
	r.notices, r.left = kept, left
	return nil
}

// SendCloseNotices tells the viewers of a process before this one, which was killed, that their connections are over.
// They ask again at once, so signalling is to be served before. It is called once.
func (r *Relay) SendCloseNotices() {
	left := r.left
	if r.left = nil; len(left) == 0 {
		return
	}
	r.goroutines.Go(func() {
		sent := closenotice.Send(r.ctx, left, func(n closenotice.Notice) error {
			s := r.socketAt(n.Local)
			if s == nil {
				return closenotice.ErrNoSocket
			}
			_, err := s.Conn.WriteToUDPAddrPort(n.Record, n.Remote)
			return err
		})
		r.metrics.farewells.Add(float64(sent))
		r.log.Info(
			"Players of the process before this one, which was killed, were told to go elsewhere",
			"players",
			len(left),
			"told",
			sent,
		)
	})
}

func (r *Relay) socketAt(local netip.AddrPort) *fanout.Socket {
	for _, s := range r.sockets {
		if s.Local() == local {
			return s
		}
	}
	return nil
}

// KeepNotice keeps the sealed close notice of the session for whoever sees the end of this process. TCP connections end
// with the process.
func (s *session) KeepNotice(record []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.relay.notices == nil || s.path.tcp != nil || s.path.socket == nil {
		return
	}
	s.notice = s.relay.notices.Entry(record)
	s.writeNotice()
}

// writeNotice writes the close notice, if one is kept, with where the viewer is now. mu is held.
func (s *session) writeNotice() {
	if s.path.socket == nil {
		return
	}
	if err := s.notice.Write(s.path.socket.Local(), s.path.remote); err != nil {
		s.relay.log.V(1).
			Info("A viewer will not be told when this process is killed", "session", s.id[:8], "error", err.Error())
	}
}

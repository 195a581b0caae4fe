package ingest

import (
	"errors"
	"os"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/check"
)

// reviewEvery is how often the facts of a source are told to the hub and held against the policies.
const reviewEvery = time.Second

// publish takes messages until the end and returns why it ended: errUnpublished, a *refusalError, or what broke the
// connection.
func (s *session) publish(a admission, p *hub.Publication) error {
	if err := s.keepAlive(time.Now()); err != nil {
		return err
	}
	for {
		if why := s.interrupted(); why != nil {
			return why
		}
		m, err := s.conn.read()
		if err != nil {
			if why := s.interrupted(); why != nil {
				return why
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return refuse(statusIdle, "idle", "no audio or video came for %s", s.server.opt.IdleTimeout)
			}
			return err
		}
		now := time.Now()
		switch m.typ {
		case typeCommandAMF0:
			if ends(m.body) {
				return errUnpublished
			}
			continue
		case typeAudio, typeVideo:
			if err := s.keepAlive(now); err != nil {
				return err
			}
			s.server.metrics.bytes.Add(float64(len(m.body)))
			if limit := a.domain.MaxBitrateKbps; limit > 0 {
				if kbps := s.rate.add(now, len(m.body)); kbps > limit {
					return refuse(
						statusRejected,
						"max_bitrate",
						"the source has %d kbit/s, more than the %d of push domain %s (maxBitrateKbps); lower the encoder's bit rate",
						kbps,
						limit,
						a.domain.Hostname,
					)
				}
			}
		}
		if err := s.carry(a, p, m, now); err != nil {
			return err
		}
	}
}

// carry turns a message into a frame and writes it to the hub.
func (s *session) carry(a admission, p *hub.Publication, m rawMessage, now time.Time) error {
	damaged, repairs, bFrames := s.program.damaged, s.program.line.repairs, s.program.inspector.BFrames()
	frame, tracksChanged, err := s.program.take(m, now)
	if err != nil {
		return refuse(statusRejected, "unsupported", "%s", err)
	}
	if n := s.program.damaged - damaged; n > 0 {
		s.server.metrics.damaged.Add(float64(n))
	}
	if n := s.program.line.repairs - repairs; n > 0 {
		s.server.metrics.repairs.Add(float64(n))
	}
	if tracksChanged {
		p.SetTracks(s.program.tracks())
	}
	if frame != nil {
		s.server.metrics.frames[frame.Kind()].Inc()
		if err := p.Write(frame); err != nil {
			return kicked(err)
		}
	}
	tooLong := media.GOPExceeds(s.program.inspector.LikelyGOP(), a.domain.MaxGOP)
	if tracksChanged || tooLong && !s.warned[check.GOPTooLong] || bFrames != s.program.inspector.BFrames() ||
		now.Sub(s.reviewed) >= reviewEvery {
		return s.review(a, p, now)
	}
	return nil
}

// review tells the hub the facts and holds them against the policies of the domain, as they were when publishing began.
func (s *session) review(a admission, p *hub.Publication, now time.Time) error {
	s.reviewed = now
	facts := s.program.inspector.Facts()
	p.SetFacts(facts)
	for _, v := range check.Check(facts, check.PoliciesOf(a.domain)) {
		if v.Reject {
			return refuse(statusRejected, string(v.Reason), "%s", v.Message)
		}
		if !s.warned[v.Reason] {
			s.warned[v.Reason] = true
			s.log.Info("The source is not fit for browsers", "Reason", string(v.Reason), "Message", v.Message)
		}
	}
	return nil
}

// keepAlive moves the idle time-out on, at most four times a second.
func (s *session) keepAlive(now time.Time) error {
	if now.Sub(s.renewed) < 250*time.Millisecond {
		return nil
	}
	s.renewed = now
	return s.raw.SetReadDeadline(now.Add(s.server.opt.IdleTimeout))
}

// ends reports whether a command ends publishing. A command that cannot be read does not.
func ends(body []byte) bool {
	cmd, err := parseCommand(body)
	if err != nil {
		return false
	}
	switch cmd.name {
	case "FCUnpublish", "deleteStream", "closeStream":
		return true
	}
	return false
}

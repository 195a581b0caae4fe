package lean

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/pion/dtls/v3/pkg/crypto/selfsign"

	"github.com/millrace/millrace/dataplane/media"
)

// The header extensions that are offered.
const (
	extMID         = "urn:ietf:params:rtp-hdrext:sdes:mid"
	extCaptureTime = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
	extPlayout     = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
)

// certificate is a DTLS certificate and its SDP fingerprint. One serves all viewers: making one costs more than a
// handshake.
type certificate struct {
	tls.Certificate
	fingerprint string
}

func newCertificate() (*certificate, error) {
	made, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return nil, fmt.Errorf("making a DTLS certificate: %w", err)
	}
	return &certificate{Certificate: made, fingerprint: fingerprint(made.Certificate[0])}, nil
}

// fingerprint is the certificate's SHA-256 as it stands in SDP (RFC 8122, section 5).
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// credentials are the short-term secrets of an ICE agent (RFC 8445, section 5.3).
type credentials struct {
	ufrag, password string
}

func newCredentials() credentials {
	return credentials{ufrag: rand.Text()[:8], password: rand.Text()}
}

// section is what an offer says of one kind of media.
type section struct {
	media, payloads, attributes string
}

// newOffer writes an offer as a browser writes it: it wants to receive audio and video in one bundle, says actpass, and
// has no candidates because there is no way to send more of them later.
func newOffer(local credentials, cert *certificate, without media.Kind) string {
	sections := []section{}
	if without != media.Audio {
		sections = append(sections, section{"audio", "111", "a=rtpmap:111 opus/48000/2\r\n" +
			"a=rtcp-fb:111 nack\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"})
	}
	if without != media.Video {
		video := ""
		for _, codec := range []struct{ pt, rtx, profile string }{{"102", "103", "42001f"}, {"108", "109", "42e01f"},
			{"116", "117", "4d001f"}, {"41", "42", "640c1f"}} {
			video += fmt.Sprintf("a=rtpmap:%[1]s H264/90000\r\na=rtcp-fb:%[1]s ccm fir\r\na=rtcp-fb:%[1]s nack\r\n"+
				"a=rtcp-fb:%[1]s nack pli\r\na=fmtp:%[1]s level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=%[3]s\r\n"+
				"a=rtpmap:%[2]s rtx/90000\r\na=fmtp:%[2]s apt=%[1]s\r\n", codec.pt, codec.rtx, codec.profile)
		}
		sections = append(sections, section{"video", "102 103 108 109 116 117 41 42", video})
	}

	var mids, body strings.Builder
	for mid, s := range sections {
		fmt.Fprintf(&mids, " %d", mid)
		fmt.Fprintf(
			&body,
			"m=%s 9 UDP/TLS/RTP/SAVPF %s\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"+
				"a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=ice-options:trickle\r\na=fingerprint:sha-256 %s\r\na=setup:actpass\r\n"+
				"a=mid:%d\r\na=extmap:4 %s\r\na=extmap:5 %s\r\na=extmap:6 %s\r\na=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n%s",
			s.media,
			s.payloads,
			local.ufrag,
			local.password,
			cert.fingerprint,
			mid,
			extMID,
			extCaptureTime,
			extPlayout,
			s.attributes,
		)
	}
	return "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE" + mids.String() +
		"\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n" + body.String()
}

package ingest

import (
	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/message"
)

// maxNegotiation bounds the messages before publish or play; real encoders send about ten.
const maxNegotiation = 64

// request is what an encoder (or a player) asked for.
type request struct {
	tcURL, app, streamKey string
	pageURL               string // the page that a player is embedded in
	play                  bool
}

// negotiate answers the commands of a connection up to publish or play (RTMP 1.0, 7.2).
func (c *conn) negotiate() (request, error) {
	var req request
	connected := false
	for range maxNegotiation {
		m, err := c.read()
		if err != nil {
			return req, err
		}
		if m.typ != typeCommandAMF0 {
			continue
		}
		cmd, err := parseCommand(m.body)
		if err != nil {
			return req, err
		}
		if !connected && cmd.name != "connect" {
			return req, protocolError("command %q before connect", shown(cmd.name))
		}
		switch cmd.name {
		case "connect":
			properties := cmd.object(0)
			req.app, _ = properties.GetString("app")
			req.tcURL, _ = properties.GetString("tcUrl")
			req.pageURL, _ = properties.GetString("pageUrl")
			connected = true
			err = c.acceptConnect(cmd.id)
		case "createStream":
			err = c.result(cmd.id, nil, float64(1))
		case "publish", "play":
			req.streamKey, req.play = cmd.text(1), cmd.name == "play"
			return req, nil
		}
		// releaseStream, FCPublish and the like need no answer.
		if err != nil {
			return req, err
		}
	}
	return req, protocolError("more than %d messages before publish", maxNegotiation)
}

func (c *conn) acceptConnect(id int) error {
	for _, m := range []message.Message{
		&message.SetWindowAckSize{Value: windowSize},
		&message.SetPeerBandwidth{Value: windowSize, Type: 2},
		&message.SetChunkSize{Value: 65536},
	} {
		if err := c.write(m); err != nil {
			return err
		}
	}
	return c.result(id,
		amf0.Object{
			{Key: "fmsVer", Value: "FMS/3,0,1,123"},
			{Key: "capabilities", Value: float64(31)},
		},
		amf0.Object{
			{Key: "level", Value: "status"},
			{Key: "code", Value: "NetConnection.Connect.Success"},
			{Key: "description", Value: "Connection succeeded."},
			{Key: "objectEncoding", Value: float64(0)},
			// The codecs beyond FLV's that may be sent (Enhanced RTMP v2, "Enhancing NetConnection connect Command").
			{Key: "fourCcList", Value: amf0.StrictArray{"avc1", "hvc1", "mp4a", "Opus"}},
		})
}

func (c *conn) result(id int, args ...any) error {
	return c.write(&message.CommandAMF0{ChunkStreamID: 3, Name: "_result", CommandID: id, Arguments: args})
}

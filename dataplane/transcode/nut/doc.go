// Package nut reads and writes NUT, the container in which media goes to ffmpeg and comes back through pipes. It was
// chosen because a frame is complete as soon as its last byte is there (no wait for the next one), carries any codec,
// and time stamps in any unit.
//
// The format is ffmpeg's documentation/nut.txt: https://git.ffmpeg.org/gitweb/nut.git, section numbers do not exist
// there.
package nut

import "errors"

// Start codes of packets, 8 bytes.
const (
	startMain  = 0x4E4D7A561F5F04AD
	startSync  = 0x4E4BE4ADEECA4569
	startIndex = 0x4E58DD672F23E64E
	startInfo  = 0x4E49AB68B596BA78
	startTrack = 0x4E5311405BF2F9DB
)

const fileID = "nut/multimedia container\x00"

// Flags of a frame code.
const (
	flagKey        = 1
	flagCodedPTS   = 8
	flagTrack      = 16
	flagSizeMSB    = 32
	flagChecksum   = 64
	flagReserved   = 128
	flagSideData   = 256
	flagElided     = 1024
	flagMatchTime  = 2048
	flagCoded      = 4096
	flagInvalid    = 8192
	ptsShift       = 7 // of a coded PTS that is told in full: more bits than its low ones
	maxDistance    = 65536
	maxTracks      = 8
	maxTimeBases   = 16
	maxPacket      = 64 << 10 // bytes of a header packet that is read
	maxFrame       = 16 << 20 // bytes of a frame
	maxElided      = 128
	maxElidedBytes = 1024
)

// Class tells what a track is.
type Class int

// The classes of tracks.
const (
	Video Class = 0
	Audio Class = 1
)

// Track describes an elementary stream.
type Track struct {
	Class   Class
	FourCC  string // such as "H264", "HEVC", "mp4a", "Opus"
	Num     int64  // the unit of PTS is Num/Den seconds
	Den     int64
	Reorder int    // pictures that may lie between decoding and showing
	Extra   []byte // what a decoder needs to know before the first frame

	Width, Height        int
	SampleRate, Channels int
}

// Frame is a frame of a track. PTS is in the track's unit.
type Frame struct {
	Track int
	PTS   int64
	Key   bool
	Data  []byte
}

// ErrFormat says that what was read is no NUT, or beyond the bounds.
var ErrFormat = errors.New("not readable as NUT")

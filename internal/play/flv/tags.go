package flv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The parts of a stream, in bytes (FLV 10.1, E.2 and E.3).
const (
	fileHeader = 9 + 4 // with the first PreviousTagSize
	tagHeader  = 11
	tagTrailer = 4
)

// The types of tags (FLV 10.1, E.4.1).
const (
	typeAudio  = 8
	typeVideo  = 9
	typeScript = 18
)

// tag is what is kept of one tag.
type tag struct {
	typ   byte
	media bool // a frame, no metadata and no sequence header
	key   bool
	at    uint32 // time stamp in ms
	size  uint32 // of the body
	sum   uint32 // CRC-32 of the body
}

// parser takes a stream apart as it comes, without keeping bodies. Every byte is looked at: signature, header fields,
// PreviousTagSize.
type parser struct {
	part  func(*parser) error // what to do with the small part that is complete
	small [fileHeader]byte    // of the header or trailer that is being read
	have  int
	need  int
	body  uint32 // bytes of the body that are still to come
	first [2]byte
	tag   tag
	sound bool // the stream says that it has no video
	emit  func(*parser)
}

func newParser(emit func(*parser)) *parser {
	return &parser{part: (*parser).file, need: fileHeader, emit: emit}
}

// feed takes bytes.
func (p *parser) feed(b []byte) error {
	for len(b) > 0 {
		if p.body > 0 {
			n := min(p.body, uint32(len(b)))
			p.look(b[:n])
			p.body -= n
			b = b[n:]
			continue
		}
		n := copy(p.small[p.have:p.need], b)
		p.have += n
		b = b[n:]
		if p.have == p.need {
			p.have = 0
			if err := p.part(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// between reports whether the stream may end here.
func (p *parser) between() bool { return p.have == 0 && p.body == 0 && p.need == tagHeader }

func (p *parser) file() error {
	b := p.small[:]
	if string(b[:3]) != "FLV" || b[3] != 1 || b[4]&^5 != 0 || binary.BigEndian.Uint32(b[5:]) != 9 ||
		binary.BigEndian.Uint32(b[9:]) != 0 {
		return fmt.Errorf("not an FLV header: %x", b)
	}
	p.sound = b[4]&1 == 0
	p.part, p.need = (*parser).header, tagHeader
	return nil
}

func (p *parser) header() error {
	b := p.small[:tagHeader]
	size := uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	switch {
	case b[0] != typeAudio && b[0] != typeVideo && b[0] != typeScript:
		return fmt.Errorf("a tag of type %d", b[0])
	case b[8]|b[9]|b[10] != 0:
		return errors.New("a tag whose StreamID is not 0")
	case size == 0:
		return errors.New("a tag without a body")
	}
	p.tag = tag{typ: b[0], size: size, at: uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])}
	p.body, p.first = size, [2]byte{}
	p.part, p.need = (*parser).trailer, tagTrailer
	return nil
}

// look goes over a piece of the body.
func (p *parser) look(b []byte) {
	done := p.tag.size - p.body
	for i := done; i < 2 && i-done < uint32(len(b)); i++ {
		p.first[i] = b[i-done]
	}
	p.tag.sum = crc32.Update(p.tag.sum, crc32.IEEETable, b)
}

func (p *parser) trailer() error {
	if n := binary.BigEndian.Uint32(p.small[:]); n != p.tag.size+tagHeader {
		return fmt.Errorf("a PreviousTagSize of %d behind a tag of %d bytes", n, p.tag.size+tagHeader)
	}
	p.tag.media, p.tag.key = content(p.tag.typ, p.first)
	p.part, p.need = (*parser).header, tagHeader
	p.emit(p)
	return nil
}

// content reads the first bytes of a body (FLV 10.1, E.4.2.1 and E.4.3.1; Enhanced RTMP v2).
func content(typ byte, b [2]byte) (media, key bool) {
	switch {
	case typ == typeVideo && b[0]&0x80 != 0: // enhanced: CodedFrames, CodedFramesX
		kind := b[0] & 0x0F
		return kind == 1 || kind == 3, b[0]>>4&7 == 1
	case typ == typeVideo:
		return b[1] == 1, b[0]>>4 == 1
	case typ == typeAudio && b[0]>>4 == 9: // enhanced: CodedFrames
		return b[0]&0x0F == 1, false
	case typ == typeAudio:
		return b[0]>>4 != 10 || b[1] == 1, false
	}
	return false, false
}

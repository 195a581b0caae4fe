package media

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
)

// AccessUnits makes frames out of the access units of one publisher's video. It drops what players do not need, keeps
// the parameter sets in force and puts them in front of each key frame. It is not safe for concurrent use.
type AccessUnits struct {
	codec         Codec
	vps, sps, pps []parameterSet
	track         *Track
	sets          [][]byte // all sets in force, in the order VPS, SPS, PPS
}

type parameterSet struct {
	id   uint32
	unit []byte
}

// ErrNoParameterSets is returned for access units that come before their parameter sets.
var ErrNoParameterSets = errors.New("video without parameter sets: the encoder must send its sequence header first")

// NewAccessUnits starts with no parameter sets. Codec is H264 or H265.
func NewAccessUnits(codec Codec) *AccessUnits { return &AccessUnits{codec: codec} }

// Track is the track in force; nil before its parameter sets are complete. A change of parameter sets makes a new one.
func (a *AccessUnits) Track() *Track { return a.track }

// Configure takes the parameter sets of a sequence header in place of those in force. The sets are copied.
//
// An error means that they cannot be read or are not complete; the ones before stay in force.
func (a *AccessUnits) Configure(sets [][]byte) error {
	next := AccessUnits{codec: a.codec, track: a.track}
	for _, unit := range sets {
		if _, err := next.learn(nalType(a.codec, unit), unit); err != nil {
			return err
		}
	}
	if !next.complete() {
		return errors.New("the sequence header lacks a parameter set")
	}
	if err := next.retrack(); err != nil {
		return err
	}
	*a = next
	return nil
}

// Frame makes a frame of the NAL units of an access unit, which it takes over: units and their memory must not be used
// afterwards. Only Track, Key (of IDR pictures), Recovery, Disposable, Units and Size are set. It returns nil without
// an error when nothing is left to show, and ErrNoParameterSets before a track is known.
func (a *AccessUnits) Frame(units [][]byte) (*Frame, error) {
	kept := units[:0]
	key, recovery, disposable, picture, changed := false, false, true, false, false
	for _, unit := range units {
		typ := nalType(a.codec, unit)
		switch {
		case a.isDropped(typ):
			continue
		case a.isParameterSet(typ):
			news, err := a.learn(typ, unit)
			if err != nil {
				return nil, err
			}
			changed = changed || news
		case a.isPicture(typ):
			picture = true
			key = key || a.isKey(typ)
			disposable = disposable && a.codec == H264 && unit[0]&0x60 == 0
		case a.codec == H264 && isRecoveryPoint(unit):
			recovery = true
		}
		kept = append(kept, unit)
	}
	if changed && a.complete() {
		if err := a.retrack(); err != nil {
			return nil, err
		}
	}
	if !picture {
		return nil, nil
	}
	if a.track == nil {
		return nil, ErrNoParameterSets
	}
	recovery = recovery && !key
	if key || recovery {
		kept = a.withSets(kept)
	}
	f := &Frame{Track: a.track, Key: key, Recovery: recovery, Disposable: disposable && !key, Units: kept}
	for _, unit := range kept {
		f.Size += len(unit)
	}
	return f, nil
}

// withSets puts the parameter sets in force in front of a key frame, in place of those that it has.
func (a *AccessUnits) withSets(units [][]byte) [][]byte {
	units = slices.DeleteFunc(units, func(u []byte) bool { return a.isParameterSet(nalType(a.codec, u)) })
	return slices.Insert(units, 0, a.sets...)
}

// learn keeps a copy of a parameter set and reports whether it is new.
func (a *AccessUnits) learn(typ int, unit []byte) (bool, error) {
	var list *[]parameterSet
	switch {
	case a.codec == H265 && typ == h265VPS:
		list = &a.vps
	case a.codec == H265 && typ == h265SPS, a.codec == H264 && typ == h264SPS:
		list = &a.sps
	case a.codec == H265 && typ == h265PPS, a.codec == H264 && typ == h264PPS:
		list = &a.pps
	default:
		return false, nil
	}
	if len(unit) > maxParameterSet {
		return false, fmt.Errorf("a parameter set of %d bytes: at most %d are accepted", len(unit), maxParameterSet)
	}
	id := parameterSetID(a.codec, typ, unit)
	i := slices.IndexFunc(*list, func(s parameterSet) bool { return s.id == id })
	switch {
	case i >= 0 && bytes.Equal((*list)[i].unit, unit):
		return false, nil
	case i >= 0:
		(*list)[i].unit = bytes.Clone(unit)
	case len(*list) >= maxParameterSets:
		return false, fmt.Errorf("more than %d parameter sets of a kind", maxParameterSets)
	default:
		*list = append(*list, parameterSet{id, bytes.Clone(unit)})
	}
	return true, nil
}

func (a *AccessUnits) complete() bool {
	return len(a.sps) > 0 && len(a.pps) > 0 && (a.codec != H265 || len(a.vps) > 0)
}

// retrack makes the track of the parameter sets in force, unless it is the one there is.
func (a *AccessUnits) retrack() error {
	a.sets = nil
	for _, list := range [][]parameterSet{a.vps, a.sps, a.pps} {
		for _, s := range list {
			a.sets = append(a.sets, s.unit)
		}
	}
	sps, pps := a.sps[0].unit, a.pps[0].unit
	largest := a.largest()
	if t := a.track; t != nil && t.Largest == largest && bytes.Equal(t.SPS, sps) && bytes.Equal(t.PPS, pps) &&
		(a.codec != H265 || bytes.Equal(t.VPS, a.vps[0].unit)) {
		return nil
	}
	var err error
	var track *Track
	if a.codec == H265 {
		track, err = NewH265Track(a.vps[0].unit, sps, pps)
	} else {
		track, err = NewH264Track(sps, pps)
	}
	if err == nil {
		track.Largest = largest
		a.track = track
	}
	return err
}

// largest is Track.Largest of the sets in force.
func (a *AccessUnits) largest() int {
	most := 0
	for _, s := range a.sps {
		seq, err := parseSPS(a.codec, s.unit)
		if err != nil {
			return math.MaxInt
		}
		most = max(most, seq.width*seq.height)
	}
	return most
}

func (a *AccessUnits) isDropped(typ int) bool {
	if a.codec == H265 {
		return typ >= h265AUD && typ <= h265Filler || typ == 255
	}
	return typ >= h264AUD && typ <= h264Filler || typ == 255
}

func (a *AccessUnits) isParameterSet(typ int) bool {
	if a.codec == H265 {
		return typ >= h265VPS && typ <= h265PPS
	}
	return typ == h264SPS || typ == h264PPS
}

func (a *AccessUnits) isPicture(typ int) bool {
	if a.codec == H265 {
		return typ <= h265LastVCL
	}
	return typ >= h264Slice && typ <= h264IDR
}

func (a *AccessUnits) isKey(typ int) bool {
	if a.codec == H265 {
		return typ >= h265FirstIRAP && typ <= h265LastIRAP
	}
	return typ == h264IDR
}

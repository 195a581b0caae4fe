package mux

import (
	"bytes"
	"fmt"

	"github.com/abema/go-mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"

	"github.com/millrace/millrace/dataplane/media"
)

// withAspect puts a PixelAspectRatioBox into the sample entries of an initialisation segment's video (ISO/IEC 14496-12,
// 12.1.4): players of MP4 take the shape of pixels from there, not from the parameter sets.
func withAspect(init []byte, a media.Aspect) ([]byte, error) {
	var out seekablebuffer.Buffer
	w := mp4.NewWriter(&out)
	_, err := mp4.ReadBoxStructure(bytes.NewReader(init), func(h *mp4.ReadHandle) (any, error) {
		switch h.BoxInfo.Type {
		case mp4.BoxTypeMoov(), mp4.BoxTypeTrak(), mp4.BoxTypeMdia(), mp4.BoxTypeMinf(), mp4.BoxTypeStbl(), mp4.BoxTypeStsd():
			return nil, nested(w, h, nil)
		case mp4.BoxTypeAvc1(), mp4.BoxTypeHvc1(), mp4.BoxTypeHev1():
			return nil, nested(w, h, &mp4.PixelAspectRatioBox{
				AnyTypeBox: mp4.AnyTypeBox{Type: mp4.BoxTypePasp()}, HSpacing: uint32(a.Width), VSpacing: uint32(a.Height),
			})
		}
		return nil, w.CopyBox(bytes.NewReader(init), &h.BoxInfo)
	})
	if err != nil {
		return nil, fmt.Errorf("writing the shape of pixels into the initialisation segment: %w", err)
	}
	return out.Bytes(), nil
}

// nested copies a box with what it holds, and appends a box at its end unless that is nil.
func nested(w *mp4.Writer, h *mp4.ReadHandle, last *mp4.PixelAspectRatioBox) error {
	if _, err := w.StartBox(&h.BoxInfo); err != nil {
		return err
	}
	box, _, err := h.ReadPayload()
	if err != nil {
		return err
	}
	if _, err := mp4.Marshal(w, box, h.BoxInfo.Context); err != nil {
		return err
	}
	if _, err := h.Expand(); err != nil {
		return err
	}
	if last != nil {
		if _, err := w.StartBox(&mp4.BoxInfo{Type: mp4.BoxTypePasp()}); err != nil {
			return err
		}
		if _, err := mp4.Marshal(w, last, mp4.Context{}); err != nil {
			return err
		}
		if _, err := w.EndBox(); err != nil {
			return err
		}
	}
	_, err = w.EndBox()
	return err
}

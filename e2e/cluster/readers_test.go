package cluster

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/e2e/kube"
)

// readers read HTTP-FLV, and connect again when their connection ends, as players do.
type readers struct {
	t    *testing.T
	stop context.CancelFunc
	all  []*reader
	done sync.WaitGroup
}

// reader is one of them.
type reader struct {
	request string
	at      string

	mu       sync.Mutex
	connects []time.Time
	last     time.Time // the newest picture
	gaps     []gap
}

// gap is a time without a new picture.
type gap struct {
	end  time.Time
	long time.Duration
}

const (
	longGap    = 300 * time.Millisecond // shorter ones are not kept
	silentFor  = 2 * time.Second        // a reader takes its connection for dead
	againAfter = 100 * time.Millisecond
)

// readFLVs starts readers of a URL's path at an address, and returns when all have pictures.
func readFLVs(ctx context.Context, t *testing.T, n int, at, host, path string) *readers {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	r := &readers{t: t, stop: cancel}
	t.Cleanup(r.end)
	for range n {
		one := &reader{at: at, request: fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)}
		r.all = append(r.all, one)
		r.done.Go(func() {
			for ; ctx.Err() == nil; pause(ctx, againAfter) {
				_ = one.read(ctx) // whatever ended it, it connects again
			}
		})
	}
	if err := kube.Poll(ctx, time.Minute, "all FLV readers to have pictures",
		func(context.Context) error { return r.playing(time.Time{}) }); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *readers) end() {
	r.stop()
	r.done.Wait()
}

// playing wants a picture of each reader that came after a moment.
func (r *readers) playing(since time.Time) error {
	for i, one := range r.all {
		one.mu.Lock()
		last := one.last
		one.mu.Unlock()
		if !last.After(since) {
			return fmt.Errorf("reader %d has had no picture", i)
		}
	}
	return nil
}

// since ends the readers and gives the longest time without a new picture of each after a moment, and how often they
// connected after it.
func (r *readers) since(start time.Time) (longest []time.Duration, connects int) {
	r.end()
	for _, one := range r.all {
		var worst time.Duration
		for _, g := range one.gaps {
			if g.end.After(start) {
				worst = max(worst, g.long)
			}
		}
		longest = append(longest, worst)
		for _, at := range one.connects {
			if at.After(start) {
				connects++
			}
		}
	}
	slices.Sort(longest)
	return longest, connects
}

// read plays until the connection ends.
func (r *reader) read(ctx context.Context) error {
	r.mu.Lock()
	r.connects = append(r.connects, time.Now())
	r.mu.Unlock()
	dialer := net.Dialer{Timeout: silentFor}
	conn, err := dialer.DialContext(ctx, "tcp", r.at)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := io.WriteString(conn, r.request); err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	in := bufio.NewReaderSize(alive{conn}, 64<<10)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	defer res.Body.Close()
	// The file header and the size of no tag before the first one; then each tag has a header of 11 bytes and its own size
	// behind it.
	body := bufio.NewReader(res.Body)
	if _, err := body.Discard(9 + 4); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, reading the header: %w", res.StatusCode, err)
	}
	for {
		var head [11]byte
		if _, err := io.ReadFull(body, head[:]); err != nil {
			return fmt.Errorf("reading a tag: %w", err)
		}
		if _, err := body.Discard(int(binary.BigEndian.Uint32(head[:4])&0xffffff) + 4); err != nil {
			return fmt.Errorf("reading a tag: %w", err)
		}
		if head[0] == 9 {
			r.picture(time.Now())
		}
	}
}

func (r *reader) picture(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if long := now.Sub(r.last); !r.last.IsZero() && long >= longGap {
		r.gaps = append(r.gaps, gap{now, long})
	}
	r.last = now
}

// alive is a connection that ends when nothing comes.
type alive struct{ net.Conn }

func (a alive) Read(b []byte) (int, error) {
	if err := a.SetReadDeadline(time.Now().Add(silentFor)); err != nil {
		return 0, err
	}
	return a.Conn.Read(b)
}

package fanout

import "net/netip"

const (
	arenaSize   = 512 << 10 // bytes of sealed packets that a batch collects
	maxRuns     = 512       // messages that it collects
	maxSegments = 64        // packets of one UDP_SEGMENT message (UDP_MAX_SEGMENTS of older kernels)
	maxMessage  = 65_507    // bytes of one UDP message over IPv4
)

// Dest is where a viewer's packets go: an address in the form in which the kernel takes it, made once.
type Dest struct {
	Addr netip.AddrPort
	name sockaddr
}

// NewDest prepares an address for the socket.
func NewDest(s *Socket, addr netip.AddrPort) *Dest {
	return &Dest{Addr: addr, name: newSockaddr(addr, s.v6)}
}

// run is a message: packets of one viewer that stand side by side in the arena, all of the size seg but for the last,
// which may be shorter.
type run struct {
	dest             *Dest
	start, end       int
	seg, count, last int
}

// Batch collects sealed packets for one socket and sends them with as few system calls as the socket's rung allows. It
// belongs to one worker.
type Batch struct {
	sock  *Socket
	arena []byte
	used  int
	runs  []run
	sys   batchSystem
	Sent  BatchCounts
}

// BatchCounts is what a batch has done since it was made.
type BatchCounts struct {
	Packets, Bytes uint64
	Calls          uint64 // system calls
	Failed         uint64 // packets that the kernel refused
	Fallbacks      uint64 // steps down the rungs
}

func newBatch(s *Socket) *Batch {
	b := &Batch{sock: s, arena: make([]byte, arenaSize), runs: make([]run, 0, maxRuns)}
	b.sys.init(b)
	return b
}

// room returns a buffer of at least n bytes for the next packet. It sends what is there when the batch is full.
func (b *Batch) room(n int) []byte {
	if len(b.arena)-b.used < n || len(b.runs) == maxRuns {
		b.flush()
	}
	return b.arena[b.used:]
}

// commit adds the packet that was written at the start of the last room: to the viewer's open message when the rules
// for segments allow it (all equal, but the last may be shorter and closes the message), else as a new one.
func (b *Batch) commit(d *Dest, size int) {
	start := b.used
	b.used += size
	if n := len(b.runs); n > 0 {
		r := &b.runs[n-1]
		if r.dest == d && r.last == r.seg && size <= r.seg && r.count < maxSegments && r.end-r.start+size <= maxMessage {
			r.end, r.last = b.used, size
			r.count++
			return
		}
	}
	b.runs = append(b.runs, run{dest: d, start: start, end: b.used, seg: size, last: size, count: 1})
}

// flush sends all that was collected.
func (b *Batch) flush() {
	if len(b.runs) == 0 {
		return
	}
	sent := 0
	for sent < len(b.runs) {
		switch b.sock.Rung() {
		case RungSegments:
			sent = b.sendSegments(sent)
		case RungMessages:
			b.sendMessages(b.runs[sent:])
			sent = len(b.runs)
		default:
			b.sendPlain(b.runs[sent:])
			sent = len(b.runs)
		}
	}
	b.runs, b.used = b.runs[:0], 0
}

// stepDown leaves a rung for good; another worker may have done so already.
func (b *Batch) stepDown(from Rung) {
	if b.sock.rung.CompareAndSwap(int32(from), int32(from+1)) {
		b.Sent.Fallbacks++
	}
}

// sendPlain sends packet by packet through the standard library.
func (b *Batch) sendPlain(runs []run) {
	for i := range runs {
		r := &runs[i]
		for at := r.start; at < r.end; at += r.seg {
			p := b.arena[at:min(at+r.seg, r.end)]
			b.Sent.Calls++
			if _, err := b.sock.Conn.WriteToUDPAddrPort(p, r.dest.Addr); err != nil {
				b.Sent.Failed++
				continue
			}
			b.Sent.Packets++
			b.Sent.Bytes += uint64(len(p))
		}
	}
}

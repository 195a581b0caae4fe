// Package bundle is the form in which a Plan travels: JSON, compressed, cut into the data of a fixed number of Secrets.
// Each piece names the hash of the whole, so that pieces of two Plans are never mixed.
package bundle

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Keys of a Secret. KeyAddresses is in the first one only, and not part of the hash.
const (
	KeyData      = "data"
	KeyMeta      = "meta"
	KeyAddresses = "addresses"
)

const (
	chunkBytes   = 690 << 10 // of data in a Secret; the API server takes 1 MiB of object
	maxPlain     = 64 << 20  // of a Plan as JSON
	maxMeta      = 4 << 10
	maxAddresses = 256 << 10
)

// Pool says which pods a Plan is for. AllowShrink says that a loss of domains is meant: they were deleted.
type Pool struct {
	Role        contract.Role
	Region      string
	AllowShrink bool
}

// Meta stands in every piece.
type Meta struct {
	Hash        string        `json:"hash"`
	Chunk       int           `json:"chunk"`
	Chunks      int           `json:"chunks"` // pieces that have data; the others are empty
	Class       string        `json:"class"`
	Role        contract.Role `json:"role"`
	Region      string        `json:"region"`
	AllowShrink bool          `json:"allowShrink,omitempty"`
}

// Address is where a pod is reached for media.
type Address struct {
	// in the order in which players are told them; port 0: the pod's media port
	Addresses []netip.AddrPort `json:"addresses"`
	Rule      string           `json:"rule"` // which rule chose them
}

// Bundle is what Decode gives.
type Bundle struct {
	Plan      *plan.Plan
	Meta      Meta // of the first piece
	Addresses map[string]Address
}

// The errors of Decode that callers tell apart.
var (
	// ErrMixed: the pieces belong to different Plans; a change is on its way.
	ErrMixed = errors.New("the pieces belong to different plans")
	// ErrMissing: a piece is not there.
	ErrMissing = errors.New("a piece of the plan is missing")
)

// Capacity is the size, as Size counts it, of the largest Plan that can be delivered.
const Capacity = contract.PlanChunks * chunkBytes

// Bound returns a size that Size does not exceed, but for Plans of some KiB, without encoding anything.
func Bound(p *plan.Plan) int {
	n := 0
	pair := func(k *plan.KeyPair) {
		if k != nil {
			n += len(k.Cert) + len(k.Key)
		}
	}
	auth := func(a *plan.Auth) { n += len(a.Primary) + len(a.Backup) }
	for i := range p.Push {
		d := &p.Push[i]
		n += entryBytes + len(d.Hostname) + len(d.Space)
		auth(&d.Auth)
		pair(d.TLS)
		if d.Notify != nil {
			n += len(d.Notify.URL) + len(d.Notify.Key)
		}
	}
	for i := range p.Play {
		d := &p.Play[i]
		n += entryBytes + len(d.Hostname) + len(d.Space)
		auth(&d.Auth)
		pair(d.TLS)
		for _, list := range [][]string{d.Referers, d.IPs} {
			for _, text := range list {
				n += len(text) + 4
			}
		}
	}
	for i := range p.Templates {
		t := &p.Templates[i]
		n += entryBytes + len(t.Space) + len(t.ID)
		for _, app := range t.Apps {
			n += len(app) + 4
		}
	}
	return n
}

// entryBytes is what an entry takes, compressed, beside its names, keys and lists.
const entryBytes = 96

// Size returns how much of Capacity a Plan takes: its compressed bytes, or its share of the longest JSON if that is
// more. It compresses faster and less well than Encode, so what fits by Size can be encoded.
func Size(p *plan.Plan) (int, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("encoding the plan: %w", err)
	}
	packed := counter(0)
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return 0, fmt.Errorf("compressing the plan: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return 0, fmt.Errorf("compressing the plan: %w", err)
	}
	if err := w.Close(); err != nil {
		return 0, fmt.Errorf("compressing the plan: %w", err)
	}
	return max(int(packed), len(plain)/(maxPlain/Capacity)), nil
}

// counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Encode returns the data of all Secrets of a Plan, contract.PlanChunks of them, and the hash. Equal Plans give equal
// data.
func Encode(p *plan.Plan, pool Pool) ([]map[string][]byte, string, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return nil, "", fmt.Errorf("encoding the plan: %w", err)
	}
	if len(plain) > maxPlain {
		return nil, "", fmt.Errorf(
			"the plan has %d bytes, more than %d; spread its domains over more classes",
			len(plain),
			maxPlain,
		)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, "", fmt.Errorf("compressing the plan: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, "", fmt.Errorf("compressing the plan: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, "", fmt.Errorf("compressing the plan: %w", err)
	}
	data := packed.Bytes()
	chunks := (len(data) + chunkBytes - 1) / chunkBytes
	if chunks > contract.PlanChunks {
		return nil, "", fmt.Errorf(
			"the compressed plan has %d bytes, more than fit into %d Secrets of %d; spread its domains over more classes",
			len(data),
			contract.PlanChunks,
			chunkBytes,
		)
	}
	meta := Meta{
		Hash:        Hash(plain),
		Chunks:      chunks,
		Class:       p.Class,
		Role:        pool.Role,
		Region:      pool.Region,
		AllowShrink: pool.AllowShrink,
	}
	out := make([]map[string][]byte, contract.PlanChunks)
	for n := range out {
		meta.Chunk = n
		text, err := json.Marshal(meta)
		if err != nil {
			return nil, "", fmt.Errorf("encoding what is said of the plan: %w", err)
		}
		out[n] = map[string][]byte{KeyMeta: text}
		if n < chunks {
			out[n][KeyData] = data[n*chunkBytes : min((n+1)*chunkBytes, len(data))]
		}
	}
	return out, meta.Hash, nil
}

// Hash names a Plan by its JSON: the first 16 bytes of the SHA-256, in hex.
func Hash(plain []byte) string {
	sum := sha256.Sum256(plain)
	return hex.EncodeToString(sum[:16])
}

// EncodeAddresses returns the value of KeyAddresses.
func EncodeAddresses(addresses map[string]Address) ([]byte, error) {
	text, err := json.Marshal(addresses)
	if err != nil {
		return nil, fmt.Errorf("encoding the addresses of pods: %w", err)
	}
	return text, nil
}

// ReadMeta reads what the data of a Secret says of its Plan.
func ReadMeta(secret map[string][]byte) (Meta, error) {
	var m Meta
	text, ok := secret[KeyMeta]
	if !ok {
		return m, fmt.Errorf("%w: there is no %q", ErrMissing, KeyMeta)
	}
	if len(text) > maxMeta {
		return m, fmt.Errorf("%q has %d bytes, more than %d", KeyMeta, len(text), maxMeta)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("reading %q: %w", KeyMeta, err)
	}
	if m.Hash == "" || m.Chunks < 1 || m.Chunks > contract.PlanChunks || m.Chunk < 0 || m.Chunk >= contract.PlanChunks {
		return m, fmt.Errorf("%q makes no sense: hash %.40q, chunk %d of %d", KeyMeta, m.Hash, m.Chunk, m.Chunks)
	}
	return m, nil
}

// Decode puts the data of Secrets together, in order of their numbers; those that are not needed may be nil or left out
// at the end. It gives a Plan only when all pieces are there, belong together and have the hash that they name. The
// Plan is not validated.
func Decode(secrets []map[string][]byte) (*Bundle, error) {
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%w: there is none", ErrMissing)
	}
	first, err := ReadMeta(secrets[0])
	if err != nil {
		return nil, fmt.Errorf("piece 0: %w", err)
	}
	if len(secrets) < first.Chunks {
		return nil, fmt.Errorf("%w: there are %d of %d", ErrMissing, len(secrets), first.Chunks)
	}
	var data []byte
	for n, secret := range secrets[:first.Chunks] {
		if secret == nil {
			return nil, fmt.Errorf("%w: piece %d of %d", ErrMissing, n, first.Chunks)
		}
		m, err := ReadMeta(secret)
		if err != nil {
			return nil, fmt.Errorf("piece %d: %w", n, err)
		}
		if m.Hash != first.Hash || m.Chunks != first.Chunks || m.Chunk != n {
			return nil, fmt.Errorf(
				"%w: piece %d is number %d of %d of %.40q, not of %.40q",
				ErrMixed,
				n,
				m.Chunk,
				m.Chunks,
				m.Hash,
				first.Hash,
			)
		}
		data = append(data, secret[KeyData]...)
	}
	plain, err := unpack(data)
	if err != nil {
		return nil, err
	}
	if hash := Hash(plain); hash != first.Hash {
		return nil, fmt.Errorf("%w: the whole has the hash %s, not %.40q", ErrMixed, hash, first.Hash)
	}
	out := &Bundle{Meta: first, Plan: &plan.Plan{}}
	if err := json.Unmarshal(plain, out.Plan); err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	if out.Plan.Class != first.Class {
		return nil, fmt.Errorf("the plan is for class %.64q, and %q says %.64q", out.Plan.Class, KeyMeta, first.Class)
	}
	out.Addresses = readAddresses(secrets[0][KeyAddresses])
	return out, nil
}

// readAddresses reads what it can: addresses that cannot be read are no reason to refuse a Plan.
func readAddresses(text []byte) map[string]Address {
	var out map[string]Address
	if len(text) == 0 || len(text) > maxAddresses || json.Unmarshal(text, &out) != nil {
		return nil
	}
	return out
}

func unpack(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decompressing the plan: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxPlain+1))
	if err != nil {
		return nil, fmt.Errorf("decompressing the plan: %w", err)
	}
	if len(plain) > maxPlain {
		return nil, fmt.Errorf("the plan has more than %d bytes", maxPlain)
	}
	return plain, nil
}

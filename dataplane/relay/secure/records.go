package secure

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/ciphersuite"
	"github.com/pion/dtls/v3/pkg/crypto/prf"
	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/alert"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/dtls/v3/pkg/protocol/recordlayer"
)

// suite is a cipher suite that seals records by AEAD, with the sizes of its keys and implicit nonces in bytes (RFC
// 5289, RFC 7905).
type suite struct {
	key, iv int
	hash    func() hash.Hash
	aead    func(localKey, localIV, remoteKey, remoteIV []byte) (aead, error)
}

type aead interface {
	Encrypt(*recordlayer.RecordLayer, []byte) ([]byte, error)
	Decrypt(recordlayer.Header, []byte) ([]byte, error)
}

// suites are those that players are offered; every WebRTC endpoint has the first (RFC 8827, 6.5).
func suites() []dtls.CipherSuiteID {
	return []dtls.CipherSuiteID{
		dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		dtls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	}
}

func suiteOf(id dtls.CipherSuiteID) (suite, error) {
	gcm := func(a, b, c, d []byte) (aead, error) { return ciphersuite.NewGCM(a, b, c, d) }
	switch id {
	case dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:
		return suite{16, 4, sha256.New, gcm}, nil
	case dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:
		return suite{32, 4, sha512.New384, gcm}, nil
	case dtls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return suite{
			32,
			12,
			sha256.New,
			func(a, b, c, d []byte) (aead, error) { return ciphersuite.NewChaCha20Poly1305(a, b, c, d) },
		}, nil
	default:
		return suite{}, fmt.Errorf("cipher suite %s is not one that was offered", id)
	}
}

// recordKeys seal and open the records of a connection after its handshake: all that is needed of it. They take no part
// in the connection, so whoever makes them sees to it that nothing else seals under the same numbers.
type recordKeys struct {
	id                  dtls.CipherSuiteID
	localKey, localIV   []byte
	remoteKey, remoteIV []byte
	number              uint64 // sequence number of the next record of ours
}

// movedState is what a state of DTLS consists of on the way between processes, by the names that dtls.State gives its
// parts.
type movedState struct {
	LocalRandom    [handshake.RandomLength]byte
	RemoteRandom   [handshake.RandomLength]byte
	MasterSecret   []byte
	SequenceNumber uint64
}

// keysOf derives the keys of our end, a server's (RFC 5246, 6.3). The state stays as it is.
func keysOf(state *dtls.State) (*recordKeys, error) {
	s, err := suiteOf(state.CipherSuiteID)
	if err != nil {
		return nil, err
	}
	text, err := state.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("copying the state of a DTLS connection: %w", err)
	}
	var m movedState
	if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&m); err != nil {
		return nil, fmt.Errorf("reading the state of a DTLS connection: %w", err)
	}
	k, err := prf.GenerateEncryptionKeys(m.MasterSecret, m.RemoteRandom[:], m.LocalRandom[:], 0, s.key, s.iv, s.hash)
	if err != nil {
		return nil, fmt.Errorf("deriving the keys of a DTLS connection: %w", err)
	}
	return &recordKeys{
		id: state.CipherSuiteID, number: m.SequenceNumber,
		localKey: k.ServerWriteKey, localIV: k.ServerWriteIV, remoteKey: k.ClientWriteKey, remoteIV: k.ClientWriteIV,
	}, nil
}

func (k *recordKeys) aead() (aead, error) {
	s, err := suiteOf(k.id)
	if err != nil {
		return nil, err
	}
	return s.aead(k.localKey, k.localIV, k.remoteKey, k.remoteIV)
}

// seal returns the record of a close notice under a sequence number, under which nothing else may be sealed.
func (k *recordKeys) seal(n Notice, number uint64) ([]byte, error) {
	cipher, err := k.aead()
	if err != nil {
		return nil, err
	}
	a := n.alert()
	record := &recordlayer.RecordLayer{
		Header:  recordlayer.Header{Version: protocol.Version1_2, Epoch: 1, SequenceNumber: number},
		Content: &a,
	}
	raw, err := record.Marshal()
	if err != nil {
		return nil, fmt.Errorf("making the record of an alert: %w", err)
	}
	if raw, err = cipher.Encrypt(record, raw); err != nil {
		return nil, fmt.Errorf("sealing an alert: %w", err)
	}
	return raw, nil
}

// open returns the alert that a record of the player holds. Bytes of the record are overwritten.
func (k *recordKeys) open(record []byte) (alert.Alert, error) {
	var header recordlayer.Header
	var a alert.Alert
	if err := header.Unmarshal(record); err != nil {
		return a, fmt.Errorf("reading the header of a record: %w", err)
	}
	if header.ContentType != protocol.ContentTypeAlert || header.Epoch != 1 {
		return a, errors.New("the record is no alert under the keys of the handshake")
	}
	end := header.Size() + int(binary.BigEndian.Uint16(record[header.Size()-2:])) // another record may follow
	if end > len(record) {
		return a, errors.New("the record is cut off")
	}
	cipher, err := k.aead()
	if err != nil {
		return a, err
	}
	plain, err := cipher.Decrypt(header, record[:end])
	if err != nil {
		return a, fmt.Errorf("opening a record: %w", err)
	}
	if err := a.Unmarshal(plain[header.Size():]); err != nil {
		return a, fmt.Errorf("reading an alert: %w", err)
	}
	return a, nil
}

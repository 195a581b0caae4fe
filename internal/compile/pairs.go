package compile

import (
	"crypto/x509"

	"github.com/millrace/millrace/internal/contract/keypair"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Pairs keeps what was found out about certificates and keys, so that each content is parsed once, however many domains
// have it and however often Compile runs. It changes no result.
type Pairs struct{ *keypair.Cache[known] }

// known is what is kept of a certificate and its key. All domains of a content share it.
type known struct {
	pair  *plan.KeyPair
	names *x509.Certificate // the DNS names of the leaf, and nothing else
}

// NewPairs makes a Pairs that knows nothing yet. Whoever owns it calls Sweep after each Compile.
func NewPairs() *Pairs {
	return &Pairs{keypair.NewCache(func(chain, key []byte) (known, error) {
		p, err := keypair.Parse(chain, key)
		if err != nil {
			return known{}, err
		}
		return known{
			pair:  &plan.KeyPair{Cert: p.Chain, Key: p.Key},
			names: &x509.Certificate{DNSNames: p.Certificate.Leaf.DNSNames},
		}, nil
	})}
}

package fleet

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fingerprint is the SHA-256 of a certificate's DER, in lower-case hex.
type Fingerprint string

// Short gives the first four digits, enough for people to tell two apart.
func (f Fingerprint) Short() string {
	if len(f) < 4 {
		return string(f)
	}
	return string(f[:4])
}

// CA is one certificate authority of a cluster.
type CA struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	Issued      time.Time   `json:"issued"`  // notBefore; GKE sets it back an hour
	Expires     time.Time   `json:"expires"` // notAfter
}

// IssuedBack is by how much GKE sets a new CA's notBefore back.
const IssuedBack = time.Hour

// Made is when GKE made the CA.
func (ca CA) Made() time.Time { return ca.Issued.Add(IssuedBack) }

// Bundle is a cluster's CA bundle: one certificate when idle, old and new
// during a rotation. A bundle that cannot be read is a value with a Problem,
// not an error: the rest of the fleet goes on.
type Bundle struct {
	// CAs are ordered by Issued, never by their place in the bundle; where a record tells
	// which is the old one, that is the first. See [Bundle.OldFirst].
	CAs     []CA
	Problem string
}

// Oldest is the certificate whose expiry is the deadline.
func (b Bundle) Oldest() CA {
	if len(b.CAs) == 0 {
		return CA{}
	}
	return b.CAs[0]
}

// Newest is the certificate that will be left after the rotation.
func (b Bundle) Newest() CA {
	if len(b.CAs) == 0 {
		return CA{}
	}
	return b.CAs[len(b.CAs)-1]
}

// OldFirst is the bundle with that certificate as the old one, whatever the dates say;
// as it is, where it has no such certificate.
func (b Bundle) OldFirst(old Fingerprint) Bundle {
	if i := slices.IndexFunc(b.CAs, func(ca CA) bool { return ca.Fingerprint == old }); i > 0 {
		first := b.CAs[i]
		b.CAs = slices.Insert(slices.Delete(slices.Clone(b.CAs), i, i+1), 0, first)
	}
	return b
}

// Has says whether the certificate with that fingerprint is in the bundle.
func (b Bundle) Has(f Fingerprint) bool {
	return slices.ContainsFunc(b.CAs, func(ca CA) bool { return ca.Fingerprint == f })
}

// ParseBundle reads the API's masterAuth.clusterCaCertificate: base64 of PEM,
// as the API sends it. All certificates are read, none is trusted to be first.
func ParseBundle(encoded string) Bundle {
	if strings.TrimSpace(encoded) == "" {
		return Bundle{Problem: "the cluster shows no CA certificate"}
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return Bundle{Problem: fmt.Sprintf("the CA certificate is not base64: %v", err)}
	}
	return parsePEM(text)
}

func parsePEM(text []byte) Bundle {
	var b Bundle
	blocks := 0
	for rest := text; ; blocks++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			if left := strings.TrimSpace(string(rest)); left != "" {
				return Bundle{Problem: "the CA certificate " + whatIs(rest)}
			}
			break
		}
		if block.Type != "CERTIFICATE" {
			return Bundle{Problem: fmt.Sprintf("the CA bundle holds a %.64q where a CERTIFICATE should be",
				block.Type)}
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Bundle{Problem: fmt.Sprintf("certificate %d of the CA bundle cannot be read: %v",
				len(b.CAs)+1,
				err)}
		}
		sum := sha256.Sum256(cert.Raw)
		ca := CA{Fingerprint(hex.EncodeToString(sum[:])), cert.NotBefore.UTC(), cert.NotAfter.UTC()}
		if !b.Has(ca.Fingerprint) {
			b.CAs = append(b.CAs, ca)
		}
	}
	if len(b.CAs) == 0 {
		return Bundle{Problem: "the CA bundle holds no certificate"}
	}
	if begun := bytes.Count(text, []byte("-----BEGIN")); begun != blocks {
		// A damaged certificate before a whole one is skipped in silence, and a
		// rotation would look complete.
		return Bundle{Problem: fmt.Sprintf("the CA bundle holds %d certificates, of which %d can be read",
			begun,
			blocks)}
	}
	slices.SortFunc(b.CAs, func(x, y CA) int {
		return cmp.Or(x.Issued.Compare(y.Issued), x.Expires.Compare(y.Expires),
			cmp.Compare(x.Fingerprint, y.Fingerprint))
	})
	if len(b.CAs) > 2 {
		b.Problem = fmt.Sprintf("the CA bundle holds %d certificates; a rotation knows one or two",
			len(b.CAs))
	}
	return b
}

// whatIs says what stands where PEM should: redacted recordings, bare DER and
// truncated armour all occur in the wild.
func whatIs(text []byte) string {
	switch _, err := x509.ParseCertificate(text); {
	case err == nil:
		return "is bare DER without PEM armour"
	case strings.Contains(string(text), "-----BEGIN"):
		return "is PEM that is cut short or damaged"
	default:
		return "is no PEM"
	}
}

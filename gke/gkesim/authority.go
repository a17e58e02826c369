package gkesim

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// authority is a root CA as GKE keeps one.
type authority struct {
	pem             string
	issued, expires time.Time
}

// caLife is the life of a CA that GKE issues today: thirty years and the hour
// by which notBefore is set back.
const caLife = 30*365*24*time.Hour + time.Hour

func (w *World) issue(name string, at time.Time) authority {
	notBefore := at.Add(-time.Hour).Truncate(time.Second)
	return authority{IssueCA(w.opts.Seed, name, notBefore, notBefore.Add(caLife)), notBefore,
		notBefore.Add(caLife)}
}

// IssueCA makes a self-signed CA certificate in PEM. It is Ed25519 from the
// seed and the name, so the same question gives the same certificate.
func IssueCA(seed int64, name string, notBefore, notAfter time.Time) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(name), uint64(seed))) //nolint:gosec // any mapping will do
	key := ed25519.NewKeyFromSeed(sum[:])
	cn := fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(sum[:16]), Subject: pkix.Name{CommonName: cn},
		NotBefore: notBefore, NotAfter: notAfter, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(bytes.NewReader(nil), template, template, key.Public(), key)
	if err != nil {
		panic("gkesim: " + err.Error()) // a template of our own that x509 refuses is a programming error
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// readAuthorities reads a bundle as GKE shows it, oldest first; what is no
// certificate makes a cluster without a CA, as recordings have them.
func readAuthorities(encoded string) []authority {
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil
	}
	var out []authority
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil
		}
		out = append(out, authority{string(pem.EncodeToMemory(block)), cert.NotBefore.UTC(), cert.NotAfter.UTC()})
	}
	slices.SortStableFunc(out, func(a, b authority) int { return a.issued.Compare(b.issued) })
	return out
}

// address makes up a control-plane address.
func (w *World) address(name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("34.%d.%d.%d", 64+sum[0]%64, sum[1], 1+sum[2]%254)
}

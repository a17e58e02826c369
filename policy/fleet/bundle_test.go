package fleet_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
)

// certificate makes a CA certificate in DER.
func certificate(t testing.TB, seed byte, issued, expires time.Time) []byte {
	t.Helper()
	key := ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
	c := &x509.Certificate{SerialNumber: big.NewInt(int64(seed)), Subject: pkix.Name{CommonName: "ca"},
		NotBefore: issued, NotAfter: expires, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(nil, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func armour(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// TestBundles: what a cluster may show as its CA. What cannot be read is said,
// and never taken for less than it is.
func TestBundles(t *testing.T) {
	y := func(year int) time.Time { return time.Date(year, 3, 1, 0, 0, 0, 0, time.UTC) }
	oldDER, newDER := certificate(t, 1, y(2022), y(2027)), certificate(t, 2, y(2026), y(2056))
	oldest, newest, third := armour("CERTIFICATE", oldDER), armour("CERTIFICATE", newDER),
		armour("CERTIFICATE", certificate(t, 3, y(2024), y(2054)))
	twin := armour("CERTIFICATE", certificate(t, 4, y(2022), y(2027)))
	_, private, err := ed25519.GenerateKey(strings.NewReader(strings.Repeat("x", 64)))
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key := armour("PRIVATE KEY", pkcs8)
	for _, tt := range []struct {
		name, in string
		years    []int // of issue, oldest first
		problem  string
	}{
		{"one", b64(oldest), []int{2022}, ""},
		{"old then new", b64(oldest + newest), []int{2022, 2026}, ""},
		{"new then old", b64(newest + oldest), []int{2022, 2026}, ""},
		{"the same twice", b64(oldest + oldest), []int{2022}, ""},
		{"issued at one moment", b64(oldest + twin), []int{2022, 2022}, ""},
		{"without a newline between", b64(strings.TrimSpace(oldest) + "\n" + strings.TrimSpace(newest)),
			[]int{2022, 2026}, ""},
		{"Windows line ends", b64(strings.ReplaceAll(oldest, "\n", "\r\n")), []int{2022}, ""},
		{"words before it", b64("subject=CN = ca\n" + oldest), []int{2022}, ""},
		{"wrapped base64", b64(oldest)[:64] + "\n" + b64(oldest)[64:] + "\n", []int{2022}, ""},
		{"three", b64(oldest + third + newest), []int{2022, 2024, 2026}, "3 certificates"},
		{"nothing", "", nil, "no CA certificate"},
		{"white", " \n", nil, "no CA certificate"},
		{"base64 of nothing", b64("\n"), nil, "no certificate"},
		{"no base64", "not base64!", nil, "not base64"},
		{"the PEM itself", oldest, nil, "not base64"},
		{"bare DER", b64(string(oldDER)), nil, "bare DER"},
		{"REDACTED", "REDACTED", nil, "no PEM"},
		{"text", b64("hello"), nil, "no PEM"},
		{"armour cut short", b64(oldest[:len(oldest)/2]), nil, "cut short or damaged"},
		{"body cut short", b64(armour("CERTIFICATE", oldDER[:len(oldDER)/2])), nil,
			"certificate 1 of the CA bundle cannot be read"},
		{"empty body", b64(armour("CERTIFICATE", nil)), nil, "cannot be read"},
		{"the second cut short", b64(oldest + newest[:len(newest)/2]), nil, "cut short or damaged"},
		{"the first damaged", b64(strings.Replace(oldest, "MII", "M!!", 1) + strings.Replace(oldest, "MI", "!!",
			1) + newest), nil, "can be read"},
		{"garbage after it", b64(oldest + "and more"), nil, "no PEM"},
		{"a private key", b64(key), nil, `"PRIVATE KEY" where a CERTIFICATE`},
		{"a private key after it", b64(oldest + key), nil, `"PRIVATE KEY" where a CERTIFICATE`},
		{"a request", b64(armour("CERTIFICATE REQUEST", oldDER)), nil, `"CERTIFICATE REQUEST"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := fleet.ParseBundle(tt.in)
			t.Logf("CA bundle, %-24s %d certificates %s", tt.name+":", len(b.CAs), b.Problem)
			if (b.Problem == "") != (tt.problem == "") || !strings.Contains(b.Problem, tt.problem) {
				t.Errorf("problem %q, want %q", b.Problem, tt.problem)
			}
			if len(b.CAs) != len(tt.years) {
				t.Fatalf("%d certificates, want %d", len(b.CAs), len(tt.years))
			}
			for i, year := range tt.years {
				if b.CAs[i].Issued.Year() != year {
					t.Errorf("certificate %d was issued in %d, want %d", i, b.CAs[i].Issued.Year(), year)
				}
			}
			if strings.Contains(b.Problem, pkcs8Secret(pkcs8)) {
				t.Error("the message tells the key")
			}
			if len(tt.years) > 1 && (b.Oldest() != b.CAs[0] || b.Newest() != b.CAs[len(b.CAs)-1] ||
				!b.Has(b.Newest().Fingerprint)) {
				t.Errorf("oldest %v, newest %v of %v", b.Oldest(), b.Newest(), b.CAs)
			}
		})
	}
	if one, other := fleet.ParseBundle(b64(oldest+twin)),
		fleet.ParseBundle(b64(twin+oldest)); one.Oldest() != other.Oldest() {
		t.Error("which of two alike is the older depends on their order")
	}
}

func pkcs8Secret(der []byte) string { return base64.StdEncoding.EncodeToString(der)[:24] }

func TestEmptyBundle(t *testing.T) {
	var b fleet.Bundle
	if b.Oldest() != (fleet.CA{}) || b.Newest() != (fleet.CA{}) || b.Has("") ||
		b.Oldest().Fingerprint.Short() != "" {
		t.Error("an empty bundle has certificates")
	}
}

// fixtures is the folder of recordings beside the project; tests of recorded
// data are skipped where it is absent.
func fixtures(t *testing.T, name string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(root); ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "shared", "fixtures", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if dir == filepath.Dir(dir) {
			t.Skip("no recorded data: ../shared/fixtures/" + name + " is absent")
		}
	}
}

// TestRecordedCAs: the certificates of real clusters are read; the odd ones say
// what is odd.
func TestRecordedCAs(t *testing.T) {
	dir := fixtures(t, "certs")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		type side struct{ ClusterCaCertificate string }
		var f struct {
			side
			Before, After side
		}
		read(t, file, &f)
		if filepath.Base(file) == "rotation-pair-istio-default.json" {
			before, after := fleet.ParseBundle(f.Before.ClusterCaCertificate),
				fleet.ParseBundle(f.After.ClusterCaCertificate)
			if before.Problem+after.Problem != "" || before.Oldest().Fingerprint == after.Oldest().Fingerprint ||
				!after.Oldest().Issued.Before(before.Oldest().Expires) {
				t.Errorf("%s: before %+v, after %+v", file, before, after)
			}
			continue
		}
		b := fleet.ParseBundle(f.ClusterCaCertificate)
		if b.Problem != "" || len(b.CAs) != 1 || !b.Oldest().Expires.After(b.Oldest().Issued.AddDate(4, 11, 0)) ||
			len(b.Oldest().Fingerprint) != 64 {
			t.Errorf("%s: %+v", filepath.Base(file), b)
		}
	}
	for name, want := range map[string]string{
		"kubeconfig-gcp-guest-der.json":                                 "bare DER",
		"kubeconfig-gcs-fuse-e2e-build-cluster-regional-truncated.json": "cut short or damaged",
		"placeholder-redacted.json":                                     "no PEM",
	} {
		var f struct{ ClusterCaCertificate string }
		read(t, filepath.Join(dir, "odd", name), &f)
		if b := fleet.ParseBundle(f.ClusterCaCertificate); !strings.Contains(b.Problem, want) || len(b.CAs) != 0 {
			t.Errorf("%s: %+v, want %q", name, b, want)
		}
	}
}

func read(t *testing.T, file string, v any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

package real

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// theToken is what the metadata server gives out; nobody but Google may see it.
const theToken = "ya29.TOKEN-OF-THE-RUNTIME-ACCOUNT"

// internet is all that is not this machine, as a process sees it that is given
// [internet.environ]: a metadata server, and a proxy that brings every host name
// to one server, whose certificates are good for any name. Behind container and
// recommender calls stands the simulated GKE, whatever the host.
type internet struct {
	metadata, proxy *httptest.Server
	roots           string        // the file with the authority of all certificates
	distrusted      chan struct{} // gets one when somebody minds a certificate

	mu       sync.Mutex
	asked    int      // how often the token was
	reached  []string // HOST:PORT that a connection was made to
	tokenAt  []string // the hosts that were shown the token
	requests []string // HOST/METHOD
}

func newInternet(t *testing.T, gke string) *internet {
	t.Helper()
	in := &internet{roots: filepath.Join(t.TempDir(), "roots.pem"), distrusted: make(chan struct{}, 1)}
	in.metadata = httptest.NewServer(http.HandlerFunc(in.tell))
	t.Cleanup(in.metadata.Close)
	server := httptest.NewUnstartedServer(in.answering(gke))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{GetCertificate: authority(t, in.roots)}
	server.Config.ErrorLog = log.New(in, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	in.proxy = httptest.NewServer(in.connecting(server.Listener.Addr().String()))
	t.Cleanup(in.proxy.Close)
	return in
}

// environ is what a process needs to live there: to be on Google Cloud, as far
// as the client libraries can tell, and to reach anything through the proxy.
func (in *internet) environ(t *testing.T) []string {
	return []string{
		"HOME=" + t.TempDir(), // and not the credentials of whoever runs the tests
		"GCE_METADATA_HOST=" + strings.TrimPrefix(in.metadata.URL, "http://"), "HTTPS_PROXY=" + in.proxy.URL,
		"SSL_CERT_FILE=" + in.roots,
	}
}

// tell is the metadata server.
func (in *internet) tell(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Metadata-Flavor", "Google")
	switch {
	case strings.HasSuffix(r.URL.Path, "/token"):
		in.mu.Lock()
		in.asked++
		in.mu.Unlock()
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":3599,"token_type":"Bearer"}`, theToken)
	case strings.HasSuffix(r.URL.Path, "/universe-domain"):
		_, _ = io.WriteString(w, "googleapis.com")
	case strings.HasSuffix(r.URL.Path, "/project-id"):
		_, _ = io.WriteString(w, "shop-prod")
	default:
		http.NotFound(w, r)
	}
}

// Write takes what the server has to complain of.
func (in *internet) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "bad certificate") {
		select {
		case in.distrusted <- struct{}{}:
		default: // it is known
		}
	}
	return len(line), nil
}

// connecting is the proxy: every name leads to the one server.
func (in *internet) connecting(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		in.mu.Lock()
		in.reached = append(in.reached, r.Host)
		in.mu.Unlock()
		there, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			_ = there.Close()
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		both := func(to, from net.Conn) { _, _ = io.Copy(to, from); _, _ = to.Close(), from.Close() }
		go both(there, here)
		go both(here, there)
	})
}

// answering is the one server: it notes who is asked, and with which token.
func (in *internet) answering(gke string) http.Handler {
	simulated := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", gke },
		Transport:     &http.Transport{Protocols: speaks()},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in.mu.Lock()
		in.requests = append(in.requests, r.Host+r.URL.Path)
		if strings.Contains(fmt.Sprint(r.Header), theToken) {
			in.tokenAt = append(in.tokenAt, r.Host)
		}
		in.mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/google.container.") ||
			strings.HasPrefix(r.URL.Path, "/google.cloud.recommender.") {
			simulated.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "7")
		w.Header().Set("Grpc-Message", "no")
	})
}

// authority writes a new authority's certificate to the file, and signs one for
// whichever name is asked for.
func authority(t *testing.T, file string) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := func(n int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: "authority of a test"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			BasicConstraintsValid: true,
		}
	}
	root := template(1)
	root.IsCA, root.KeyUsage = true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		0o644); err != nil {
		t.Fatal(err)
	}
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		leaf := template(2)
		leaf.DNSNames, leaf.KeyUsage = []string{hello.ServerName}, x509.KeyUsageDigitalSignature
		leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), key)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
	}
}

// seen is what came of one process.
type seen struct {
	code                       int
	stdout, stderr             string
	asked                      int
	reached, tokenAt, requests []string
}

// play runs the program once, and gives what it said and whom it reached.
func (in *internet) play(t *testing.T, p *program, args ...string) seen {
	t.Helper()
	in.mu.Lock()
	in.asked, in.reached, in.tokenAt, in.requests = 0, nil, nil, nil
	in.mu.Unlock()
	ps := p.start(t, args...)
	code := ps.wait(t)
	in.mu.Lock()
	defer in.mu.Unlock()
	s := seen{code, ps.stdout.String(), ps.stderr.String(), in.asked, slices.Clone(in.reached),
		slices.Clone(in.tokenAt), slices.Clone(in.requests)}
	t.Logf("exit status %d, token asked %d times\nreached %q\ntoken at %q\nrequests %q\n%s", s.code, s.asked,
		s.reached, s.tokenAt, s.requests, s.stderr)
	return s
}

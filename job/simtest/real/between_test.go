package real

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"sync"
	"testing"
	"time"
)

// exchange is one request and its answer, on their way between a process and a
// server that speaks gRPC.
type exchange struct {
	method  string // as CompleteIPRotation
	message []byte // what is asked, without gRPC's frame
	answer  string // gRPC's status, once there is an answer; "0" is good
}

// watch is asked about every request when it has arrived, and again when the
// server has answered. What it refuses is lost: the asker's stream breaks.
type watch func(x *exchange) bool

// between stands between processes and a server. It can be cut off and put
// back at the same address.
type between struct {
	address string
	to      string
	see     watch
	line    http.RoundTripper

	mu     sync.Mutex
	server *http.Server // nil while it is cut off
}

// standBetween listens for what is meant for the server at the address to.
func standBetween(t testing.TB, to string, see watch) *between {
	t.Helper()
	b := &between{address: "127.0.0.1:0", to: to, see: see, line: &http.Transport{Protocols: speaks()}}
	b.restore(t)
	t.Cleanup(b.cut)
	return b
}

// speaks is what a gRPC client without TLS speaks.
func speaks() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// cut ends every connection; from now on there is nobody at the address.
func (b *between) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server != nil {
		_ = b.server.Close()
		b.server = nil
	}
}

// restore listens again.
func (b *between) restore(t testing.TB) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	listener, err := net.Listen("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	b.address = listener.Addr().String()
	b.server = &http.Server{Handler: b, Protocols: speaks(), ReadHeaderTimeout: 10 * time.Second}
	go func(s *http.Server) { _ = s.Serve(listener) }(b.server) // ends with Close; its error says only that
}

// ServeHTTP passes one request on, whole, and its answer back. It is passed on
// also when the asker is gone by then: a network does not call packets back.
func (b *between) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	x := &exchange{method: path.Base(req.URL.Path), message: body[min(5, len(body)):]}
	if err != nil || !b.see(x) {
		panic(http.ErrAbortHandler)
	}
	on := req.Clone(context.WithoutCancel(req.Context()))
	on.URL, on.Body, on.RequestURI = &url.URL{Scheme: "http", Host: b.to, Path: req.URL.Path},
		io.NopCloser(bytes.NewReader(body)), ""
	res, err := b.line.RoundTrip(on)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if x.answer = res.Trailer.Get("Grpc-Status"); x.answer == "" {
		x.answer = res.Header.Get("Grpc-Status") // of one without a message
	}
	if err != nil || !b.see(x) {
		panic(http.ErrAbortHandler)
	}
	for name, values := range res.Header {
		rw.Header()[name] = values
	}
	for name, values := range res.Trailer {
		rw.Header()[http.TrailerPrefix+name] = values
	}
	rw.WriteHeader(res.StatusCode)
	_, _ = rw.Write(answer) // an asker that is gone needs none
}

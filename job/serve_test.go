package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestServe: the simulated GKE is served until the program is told to stop, on
// this machine alone.
func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"simulate", "--serve", "127.0.0.1:0", "--speed", "0"}, nil, in, io.Discard)
		_ = in.Close()
	}()
	first, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	url := regexp.MustCompile(`http://[0-9.:]+`).FindString(first)
	res, err := http.Get(url + "/v1/projects/shop-prod/locations/-/clusters")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if !strings.Contains(string(text), `"checkout"`) {
		t.Errorf("%s: %.200s", url, text)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d", code)
	}
	var errs bytes.Buffer
	for _, speed := range []string{"-1", "NaN", "+Inf", "1e300", "1000001"} {
		if code := run(t.Context(), []string{"simulate", "--serve", "127.0.0.1:0", "--speed", speed}, nil,
			io.Discard, &errs); code != 2 {
			t.Errorf("--speed %s: exit %d", speed, code)
		}
	}
	for _, addr := range []string{"0.0.0.0:1", "8080", ":8080", "127.0.0.1:99999"} {
		if code := run(t.Context(), []string{"simulate", "--serve", addr}, nil, io.Discard, &errs); code != 2 {
			t.Errorf("%s: exit %d", addr, code)
		}
	}
}

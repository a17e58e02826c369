package real

import (
	"encoding/base64"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/simtest/fleets"
)

// dueNow is a cluster that is due by the clock on the wall, which is the one
// that a run has that does not follow a simulated GKE's.
func dueNow(now time.Time) []*containerpb.Cluster {
	return fleets.Of([]fleets.Member{fleets.At("shop-prod", "europe-west1", "catalog",
		func(c *containerpb.Cluster) {
			ca := gkesim.IssueCA(7, c.GetName(), now.AddDate(-5, 0, 60), now.AddDate(0, 0, 60))
			c.MasterAuth.ClusterCaCertificate = base64.StdEncoding.EncodeToString([]byte(ca))
		})})
}

// googles says whether the host, with or without a port, is Google's.
func googles(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	labels := strings.Split(strings.ToLower(strings.TrimRight(host, ".")), ".")
	n := len(labels)
	return n > 2 && labels[n-1] == "com" && labels[n-2] == "googleapis"
}

// silentEmulator counts the connections that are made to it, and answers none.
func silentEmulator(t *testing.T) (host string, count *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	count = new(atomic.Int64)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			count.Add(1)
			_ = c.Close()
		}
	}()
	return listener.Addr().String(), count
}

// TestTokenGoesToGoogle: with endpoints that are Google's the token arrives
// there, and at no other host; which shows, too, that the tests below would see
// it arrive elsewhere.
func TestTokenGoesToGoogle(t *testing.T) {
	t.Parallel()
	gke := build(t).simulator(t, time.Now(), dueNow(time.Now()))
	in := newInternet(t, gke.address)
	rotator := build(t).with(in.environ(t)...).with("ROTATOR_ENV=token", "ROTATOR_PROJECTS=shop-prod")
	for _, c := range []struct{ endpoint, host string }{
		{"google", "container.googleapis.com"},
		{"container.googleapis.com:443", "container.googleapis.com"},
		{"https://container.googleapis.com/", "container.googleapis.com"},
		{"Container.GoogleAPIs.com.:443", "container.googleapis.com"},
		{"container-ours.p.googleapis.com:8443", "container-ours.p.googleapis.com"},
	} {
		s := in.play(t, rotator.with("ROTATOR_GKE_ENDPOINT="+c.endpoint), "plan")
		if s.code != 0 || !strings.Contains(s.stdout, "catalog") || len(s.tokenAt) == 0 {
			t.Errorf("%s: exit status %d, the token at %q\n%s%s", c.endpoint, s.code, s.tokenAt, s.stdout, s.stderr)
		}
		for _, host := range slices.Concat(s.reached, s.tokenAt) {
			if !googles(host) || !strings.HasPrefix(strings.ToLower(host), c.host) {
				t.Errorf("%s: %s was reached", c.endpoint, host)
			}
		}
	}
	s := in.play(t, rotator, "run")
	if s.code != 0 || !slices.ContainsFunc(s.requests,
		func(r string) bool { return strings.HasPrefix(r, "recommender.googleapis.com") }) {
		t.Errorf("Recommender was not asked: %q\n%s", s.requests, s.stderr)
	}
}

// TestNoTokenLeaves: settings and variables that would bring the token, or what
// it opens, to somebody else are refused before anybody is spoken to: exit status
// 2 and one line with the name, the value and the way out.
func TestNoTokenLeaves(t *testing.T) {
	t.Parallel()
	gke := build(t).simulator(t, time.Now(), dueNow(time.Now()))
	in := newInternet(t, gke.address)
	host, connections := silentEmulator(t)
	local := build(t).with(in.environ(t)...).with("ROTATOR_ENV=token", "ROTATOR_PROJECTS=shop-prod")
	cloud := local.with("SSL_CERT_FILE=", "CLOUD_RUN_JOB=rotator-token", "CLOUD_RUN_EXECUTION=rotator-token-x1",
		"ROTATOR_STATE=firestore://shop-prod/rotator", "GCE_METADATA_HOST=")
	const usual = "gke.attacker.example:443"
	for _, c := range []struct {
		what string
		p    *program
		args string
		set  string // the variable that is wrong
		hint string // a part of the way out
	}{
		{"GKE", local, "plan", "ROTATOR_GKE_ENDPOINT=" + usual, "google"},
		{"GKE, a run", local, "run", "ROTATOR_GKE_ENDPOINT=" + usual, "google"},
		{"GKE as a URL", local, "plan", "ROTATOR_GKE_ENDPOINT=https://gke.attacker.example/", "google"},
		{"GKE, its own name in front", local, "plan",
			"ROTATOR_GKE_ENDPOINT=container.googleapis.com.attacker.example:443", "google"},
		{"GKE, its own name behind", local, "plan", "ROTATOR_GKE_ENDPOINT=notgoogleapis.com:443", "google"},
		{"GKE, a label too few", local, "plan", "ROTATOR_GKE_ENDPOINT=googleapis.com:443", "google"},
		{"GKE, the status of one", local, "status shop-prod/europe-west1/catalog", "ROTATOR_GKE_ENDPOINT=" + usual,
			"google"},
		{"GKE, the forecast", local, "forecast --days 7", "ROTATOR_GKE_ENDPOINT=" + usual, "google"},
		{"GKE, somebody's word", local, "rotate shop-prod/europe-west1/catalog --by ann --reason leaked",
			"ROTATOR_GKE_ENDPOINT=" + usual, "google"},
		{"Recommender", local, "run", "ROTATOR_RECOMMENDER_ENDPOINT=recommender.attacker.example:443", "google"},
		{"another universe", local, "plan", "GOOGLE_CLOUD_UNIVERSE_DOMAIN=attacker.example", "Remove"},
		{"another universe, with a store", local.with("ROTATOR_STATE=firestore://shop-prod/rotator"), "status",
			"GOOGLE_CLOUD_UNIVERSE_DOMAIN=attacker.example", "Remove"},
		{"roots out of the process itself", local, "plan", "SSL_CERT_FILE=/proc/self/environ", "Remove"},
		{"on Cloud Run, GKE", cloud, "plan", "ROTATOR_GKE_ENDPOINT=" + usual, "google"},
		{"on Cloud Run, a GKE beside us", cloud, "plan", "ROTATOR_GKE_ENDPOINT=127.0.0.1:9", "google"},
		{"on Cloud Run, Recommender", cloud, "run", "ROTATOR_RECOMMENDER_ENDPOINT=" + usual, "google"},
		{"on Cloud Run, a store elsewhere", cloud, "status", "FIRESTORE_EMULATOR_HOST=" + host, "Remove"},
		{"on Cloud Run, a topic elsewhere", cloud.with("ROTATOR_NOTIFY_TOPIC=projects/shop-prod/topics/notices"),
			"run", "PUBSUB_EMULATOR_HOST=" + host, "Remove"},
		{"on Cloud Run, roots", cloud, "plan", "SSL_CERT_FILE=" + in.roots, "Remove"},
		{"on Cloud Run, more roots", cloud, "plan", "SSL_CERT_DIR=/tmp", "Remove"},
		{"on Cloud Run, another metadata server", cloud, "plan", "GCE_METADATA_HOST=" + host, "Remove"},
		{"on Cloud Run, another account", cloud, "plan", "GOOGLE_APPLICATION_CREDENTIALS=/mnt/reports/a.json",
			"Remove"},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := connections.Load()
			p := c.p.with(c.set)
			p.dir = t.TempDir() // a store of its own, in which Recommender was not asked today
			s := in.play(t, p, strings.Fields(c.args)...)
			for _, host := range s.tokenAt {
				if !googles(host) {
					t.Errorf("the token went to %s", host)
				}
			}
			if strings.Contains(s.stdout+s.stderr, theToken) {
				t.Error("the token is printed")
			}
			if n := connections.Load() - before; n > 0 || len(s.reached) > 0 || s.asked > 0 {
				t.Errorf("somebody was spoken to: the token was asked for %d times, %q reached, the emulator %d times",
					s.asked, s.reached, n)
			}
			name, value, _ := strings.Cut(c.set, "=")
			if s.code != 2 || strings.Count(s.stderr, "\n") != 1 {
				t.Errorf("exit status %d, want 2 and one line:\n%.2000s", s.code, s.stderr)
			}
			for _, part := range []string{name, value, c.hint} {
				if !strings.Contains(s.stderr, part) {
					t.Errorf("nothing is said of %q:\n%.2000s", part, s.stderr)
				}
			}
		})
	}
}

// TestCloudRunTellsAllAtOnce: everything that is wrong there is told together,
// and the token stays.
func TestCloudRunTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	gke := build(t).simulator(t, time.Now(), dueNow(time.Now()))
	in := newInternet(t, gke.address)
	wrong := append(in.environ(t), "ROTATOR_GKE_ENDPOINT=container.googleapis.com:443",
		"ROTATOR_RECOMMENDER_ENDPOINT=127.0.0.1:9",
		"FIRESTORE_EMULATOR_HOST=127.0.0.1:9", "PUBSUB_EMULATOR_HOST=127.0.0.1:9",
		"GOOGLE_CLOUD_UNIVERSE_DOMAIN=attacker.example")
	s := in.play(t, build(t).with(wrong...).with("CLOUD_RUN_JOB=rotator-token", "ROTATOR_ENV=token",
		"ROTATOR_PROJECTS=shop-prod", "ROTATOR_STATE=firestore://shop-prod/rotator"), "plan")
	if s.code != 2 || s.asked > 0 || len(s.reached) > 0 || strings.Count(s.stderr, "\n") != 7 {
		t.Errorf("exit status %d, want 2 and seven lines; the token was asked for %d times, %q reached\n%s", s.code,
			s.asked, s.reached, s.stderr)
	}
	for _, name := range []string{"GCE_METADATA_HOST", "SSL_CERT_FILE", "ROTATOR_GKE_ENDPOINT",
		"ROTATOR_RECOMMENDER_ENDPOINT", "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST",
		"GOOGLE_CLOUD_UNIVERSE_DOMAIN"} {
		if !strings.Contains(s.stderr, name+"=") {
			t.Errorf("%s is not told", name)
		}
	}
}

// TestNoTokenInTheLog: what makes libraries talkative does not make them tell the
// token.
func TestNoTokenInTheLog(t *testing.T) {
	t.Parallel()
	gke := build(t).simulator(t, time.Now(), dueNow(time.Now()))
	in := newInternet(t, gke.address)
	rotator := build(t).with(in.environ(t)...).with("ROTATOR_ENV=token", "ROTATOR_PROJECTS=shop-prod",
		"GOOGLE_SDK_GO_LOGGING_LEVEL=debug", "GOOGLE_SDK_GO_LOGGING=true",
		"GODEBUG=http2debug=2", "GRPC_GO_LOG_SEVERITY_LEVEL=info", "GRPC_GO_LOG_VERBOSITY_LEVEL=99")
	for _, command := range []string{"plan", "run"} {
		s := in.play(t, rotator, command)
		if s.code != 0 || len(s.tokenAt) == 0 || strings.Contains(s.stdout+s.stderr, theToken) {
			t.Errorf("%s: exit status %d, the token at %q, and printed: %t", command, s.code, s.tokenAt,
				strings.Contains(s.stdout+s.stderr, theToken))
		}
	}
}

// TestProxyAloneReadsNothing: a proxy is no endpoint. Whoever names one sees which
// host is spoken to, and cannot be that host.
func TestProxyAloneReadsNothing(t *testing.T) {
	t.Parallel()
	gke := build(t).simulator(t, time.Now(), dueNow(time.Now()))
	in := newInternet(t, gke.address)
	ps := build(t).with(in.environ(t)...).with("ROTATOR_ENV=token", "ROTATOR_PROJECTS=shop-prod",
		"SSL_CERT_FILE=").start(t, "plan")
	select {
	case <-in.distrusted:
	case <-time.After(30 * time.Second):
		t.Error("nobody came to the proxy's server, or nobody minded its certificate")
	}
	_ = ps.cmd.Process.Kill() // it would try again for half a minute
	ps.wait(t)
	in.mu.Lock()
	defer in.mu.Unlock()
	if !slices.Contains(in.reached, "container.googleapis.com:443") || len(in.requests) > 0 {
		t.Errorf("%q reached, requests %q", in.reached, in.requests)
	}
}

// TestWebhookGetsNoToken: what is posted to a receiver manages nothing of
// Google's.
func TestWebhookGetsNoToken(t *testing.T) {
	t.Parallel()
	posts := 0
	gke := build(t).simulator(t, time.Now(), dueNow(time.Now()))
	in := newInternet(t, gke.address)
	rotator := build(t).with(in.environ(t)...).with("ROTATOR_ENV=token", "ROTATOR_PROJECTS=shop-prod",
		"ROTATOR_MODE=act", "ROTATOR_STATE=file:store",
		"ROTATOR_NOTIFY_WEBHOOK=https://hooks.receiver.example/x", "ROTATOR_APPROVAL=start")
	s := in.play(t, rotator, "run")
	for _, r := range s.requests {
		if strings.HasPrefix(r, "hooks.receiver.example/") {
			posts++
		}
	}
	if posts == 0 || slices.Contains(s.tokenAt, "hooks.receiver.example") || len(s.tokenAt) == 0 {
		t.Errorf("%d posts, the token at %q\n%s", posts, s.tokenAt, s.stderr)
	}
}

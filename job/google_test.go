package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/notify"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// TestWhoseHost: what may and may not stand in GKE_ENDPOINT.
func TestWhoseHost(t *testing.T) {
	for text, want := range map[string]config.Address{
		"google": "", "container.googleapis.com:443": "container.googleapis.com:443",
		"restricted.googleapis.com:443":        "restricted.googleapis.com:443",
		"https://container-x.p.googleapis.com": "container-x.p.googleapis.com:443",
		"CONTAINER.GOOGLEAPIS.COM.:8443":       "CONTAINER.GOOGLEAPIS.COM.:8443",
		"[container.googleapis.com]:443":       "container.googleapis.com:443", "localhost:1": "localhost:1",
		"127.0.0.9:80": "127.0.0.9:80", "[::1]:80": "[::1]:80", "http://127.0.0.1:8080/": "127.0.0.1:8080",
	} {
		if s, problems := settingsOf(append([]string{"ROTATOR_GKE_ENDPOINT=" + text},
			enough...)); len(problems) > 0 || s.GKEEndpoint.V != want {
			t.Errorf("%q is read as %q: %v", text, s.GKEEndpoint.V, problems)
		}
	}
	for _, text := range []string{
		"attacker.example:443", "https://attacker.example", "10.0.0.1:443", "169.254.169.254:80", "0.0.0.0:443",
		"[::]:443", "metadata.google.internal:80",
		"googleapis.com:443", ".googleapis.com:443", "..googleapis.com:443", "container..googleapis.com:443",
		"container.googleapis.com..:443",
		"evilgoogleapis.com:443", "container.googleapis.com.attacker.example:443", "container-googleapis.com:443",
		"container.googleapis.co:443", "container.googleapis.comx:443",
		"container.googleapis.com@attacker.example:443", "https://container.googleapis.com@attacker.example/",
		"https://container.googleapis.com:x@attacker.example",
		"container.googleapis.com:443/x", "https://container.googleapis.com/x",
		"attacker.example/.googleapis.com:443", "attacker.example?.googleapis.com:443",
		"attacker.example#.googleapis.com:443", `attacker.example\.googleapis.com:443`,
		"dns:///container.googleapis.com:443", "passthrough:///attacker.example:443",
		"passthrough:container.googleapis.com:443", "unix:/tmp/x.googleapis.com:443",
		"unix:///tmp/x.googleapis.com:443", "xds:///container.googleapis.com:443",
		"google-c2p:///container.googleapis.com:443", "ftp://container.googleapis.com:443",
		"container.googleapıs.com:443", "container。googleapis.com:443", "ⅽontainer.googleapis.com:443",
		"\u212antainer.googleapis.com:443", "container.googleapis.com\u200b:443",
		"attacker.example .googleapis.com:443", "attacker.example\t.googleapis.com:443",
		"attacker.example\n.googleapis.com:443", "attacker.example%20.googleapis.com:443",
		"https://attacker.example%2f.googleapis.com", "container.googleapis.com", "container.googleapis.com:0",
		"container.googleapis.com:https", "[attacker.example]:443",
		"localhost.:80", "localhost.attacker.example:80", "127.0.0.1.attacker.example:80", "2130706433:80",
		"127.1:80",
	} {
		for _, name := range []string{"GKE_ENDPOINT", "RECOMMENDER_ENDPOINT"} {
			s, problems := settingsOf(append([]string{"ROTATOR_" + name + "=" + text}, enough...))
			if len(problems) != 1 || problems[0].Setting != "ROTATOR_"+name || problems[0].Hint == "" ||
				s.GKEEndpoint.V != "" || s.RecommenderEndpoint.V != "" {
				t.Errorf("%s=%q: want one problem and its way out, got %v", name, text, problems)
			}
		}
	}
}

// TestOnCloudRunOnlyGoogle: what a process has by itself there is no problem.
func TestOnCloudRunOnlyGoogle(t *testing.T) {
	environ := append([]string{"CLOUD_RUN_JOB=j", "ROTATOR_STATE=firestore://shop-prod/rotator",
		"SSL_CERT_FILE=" + "/etc/ssl/certs/ca-certificates.crt", "HTTPS_PROXY=http://proxy.example:3128",
		"GOOGLE_CLOUD_PROJECT=shop-prod", "GOOGLE_CLOUD_UNIVERSE_DOMAIN=googleapis.com"}, enough...)
	if _, problems := settingsOf(environ); len(problems) > 0 {
		t.Error(problems)
	}
	if _, problems := settingsOf(append([]string{"SSL_CERT_FILE=/etc/corp/roots.pem",
		"SSL_CERT_DIR=/etc/corp:/etc/ssl/certs", "FIRESTORE_EMULATOR_HOST=firestore:8080",
		"GOOGLE_APPLICATION_CREDENTIALS=/home/ann/key.json"}, enough...)); len(problems) > 0 {
		t.Errorf("on people's own machines: %v", problems)
	}
	_, problems := settingsOf(append(environ, "GOOGLE_APPLICATION_CREDENTIALS="+`{"private_key": "`+
		plantedWord+`"}`))
	if len(problems) != 1 || strings.Contains(problems[0].String(), plantedWord) ||
		!strings.Contains(problems[0].String(), "(not shown)") {
		t.Errorf("a key where a path should be: %v", problems)
	}
	link := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.Symlink("/proc/self/environ", link); err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{"SSL_CERT_FILE=/proc/self/environ", "SSL_CERT_FILE=//proc/1/../self/environ",
		"SSL_CERT_FILE=" + link, "SSL_CERT_DIR=/etc/ssl/certs:/proc/self", "SSL_CERT_DIR=/proc"} {
		if _, err := os.Stat("/proc/self/environ"); err != nil {
			t.Skip("there is no /proc here")
		}
		if _, problems := settingsOf(append([]string{set}, enough...)); len(problems) != 1 {
			t.Errorf("%s: want one problem, got %v", set, problems)
		}
	}
}

// TestNoClientLeavesGoogle: whatever a client's endpoint became after the settings
// were checked, none gives its token to somebody else, over requests of both kinds.
func TestNoClientLeavesGoogle(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	somebody := grpc.NewServer()
	go func() { _ = somebody.Serve(listener) }() // until it is stopped
	defer somebody.Stop()
	var asked counted
	opts := append(clientOptions(""), option.WithEndpoint("container.googleapis.com.attacker.example:443"),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithPerRPCCredentials(&asked)),
		option.WithGRPCDialOption(grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return net.Dial("tcp", listener.Addr().String())
		})))
	ctx := t.Context()
	cloud, err := gke.Dial(ctx, opts...)
	if err != nil {
		t.Fatal(err)
	}
	insights, err := gke.DialRecommender(ctx, gke.InsightRetry(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	topic, err := notify.NewTopic(ctx, "test", "projects/shop-prod/topics/notices", opts...)
	if err != nil {
		t.Fatal(err)
	}
	contents, err := state.OpenFirestore(ctx, "shop-prod", "rotator", state.FirestoreOptions{Client: opts})
	if err != nil {
		t.Fatal(err)
	}
	_, _, errGKE := cloud.Clusters(ctx, "shop-prod")
	_, _, errInsights := insights.Insights(ctx, "shop-prod", "europe-west1")
	_, errStore := contents.Fleet(ctx)                                          // a stream
	_, errWrite := contents.Write(ctx, state.Change{Fleet: &record.FleetDoc{}}) // and a single request
	for name, err := range map[string]error{"GKE": errGKE, "Recommender": errInsights,
		"Firestore, a read": errStore, "Firestore, a write": errWrite,
		"Pub/Sub": topic.Notify(ctx, record.Notice{ID: "n"})} {
		if err == nil || !strings.Contains(err.Error(), "is no host of googleapis.com") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the token was asked for %d times", n)
	}
	for _, c := range []interface{ Close() error }{cloud, insights, topic, contents} {
		_ = c.Close()
	}
}

// counted are credentials that count how often they are asked for.
type counted struct{ atomic.Int64 }

func (c *counted) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	c.Add(1)
	return map[string]string{"authorization": "Bearer ya29.x"}, nil
}

func (c *counted) RequireTransportSecurity() bool { return false }

// TestEveryClientIsOurs: no client of Google's APIs is made in this package with
// options that are not google.go's.
func TestEveryClientIsOurs(t *testing.T) {
	maker := regexp.MustCompile(`(gke\.Dial\w*|notify\.NewTopic|state\.OpenFirestore)\(`)
	ours := regexp.MustCompile(`(client|emulator|firestore)Options\(`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range files {
		if path == "google.go" || strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			makes := maker.MatchString(line)
			if makes {
				found++
			}
			if makes && !ours.MatchString(line) || strings.Contains(line, "option.With") {
				t.Errorf("%s:%d: options that are not google.go's: %s", path, n+1, strings.TrimSpace(line))
			}
		}
	}
	if found < 7 {
		t.Errorf("only %d clients are found", found)
	}
}

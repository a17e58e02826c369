package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/simtest/fleets"
)

// watchedGKE is a served simulated GKE that remembers what it was asked, and
// refuses what refuse says.
type watchedGKE struct {
	world   *gkesim.World
	addr    string
	mu      sync.Mutex
	methods []string
	refuse  func(method string) error
}

// asked are the methods so far, each once, in order.
func (g *watchedGKE) asked() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(g.methods)))
}

func watchGKE(t *testing.T, from time.Time, clusters map[string][]*containerpb.Cluster) *watchedGKE {
	t.Helper()
	g := &watchedGKE{world: gkesim.New(gkesim.Options{Seed: 1, Now: from})}
	for project, list := range clusters {
		for _, c := range list {
			if err := g.world.Add(project, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.addr = listener.Addr().String()
	s := g.world.NewServer(func(ctx context.Context, req any, info *grpc.UnaryServerInfo,
		handle grpc.UnaryHandler) (any, error) {
		method := info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:]
		g.mu.Lock()
		g.methods = append(g.methods, method)
		refuse := g.refuse
		g.mu.Unlock()
		if refuse != nil {
			if err := refuse(method); err != nil {
				return nil, err
			}
		}
		return handle(ctx, req)
	})
	go func() { _ = s.Serve(listener) }() // ends with Stop; its error says only that
	t.Cleanup(s.Stop)
	return g
}

// environ is a small deployment on the simulated GKE, with a store of its own.
func (g *watchedGKE) environ(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{
		"ROTATOR_ENV=test", "ROTATOR_PROJECTS=" + strings.Join(g.world.Projects(), ","), "ROTATOR_GKE_ENDPOINT=" +
			g.addr, "ROTATOR_RECOMMENDER_ENDPOINT=" + g.addr,
		"ROTATOR_STATE=file:" + filepath.Join(t.TempDir(), "store.db"),
	}, more...)
}

// told is everything that some commands printed.
type told struct{ bytes.Buffer }

// command runs one, as a process would.
func (o *told) command(t *testing.T, environ []string, args ...string) int {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, environ, &out, &errs)
	fmt.Fprintf(o, "\n$ rotator %d arguments\n%s%s", len(args), out.String(), errs.String())
	return code
}

// cloudCommand runs one with the log that it has on Cloud Run, where a store in a
// file would be refused.
func (o *told) cloudCommand(t *testing.T, environ []string, args ...string) int {
	t.Helper()
	a := newApp(environ, o, o)
	a.log = newLog(o, true, "rotator-x"+escape+hidden)
	return a.exit(a.command(args).ExecuteContext(t.Context()))
}

// everything is each command that looks, in each of its forms.
var everything = [][]string{
	{"plan"}, {"plan", "--format", "json"}, {"status"}, {"status", "--format", "json"}, {"validate"},
	{"forecast", "--days", "4"}, {"forecast", "--days", "4", "--format", "json"},
}

// escapes move a terminal, hide text or turn it round; each is a valid part of a
// JSON text, and all but the first may stand in a name of a recorded fleet.
const (
	escape = "\x1b[2J\x1b]0;owned\x07\x08\r"
	hidden = "\u009b31m\u202egnp\u2066\u200b\ufeff\u2028"
)

// TestNothingMovesTheTerminal: escape sequences in names, labels, pools,
// versions, GKE's errors, operations and what people say are written out in
// text and escaped in JSON, in every command's output, in both kinds of log.
func TestNothingMovesTheTerminal(t *testing.T) {
	m := fleets.At("shop", "europe-west1", "c"+hidden, func(c *containerpb.Cluster) {
		c.ResourceLabels = map[string]string{"env" + escape: escape}
		c.NodePools[0].Name, c.NodePools[0].Version, c.NodePools[0].Config.ImageType = "web"+hidden,
			"1.33.5-gke.1080000"+escape, escape
		c.Endpoint, c.Etag, c.Id = "1.2.3.4"+escape, escape+hidden, "id"+escape
		c.StatusMessage = escape //nolint:staticcheck // what old clusters still say
		c.MaintenancePolicy = nil
	})
	broken := fleets.At("shop", "europe-west1", "broken", func(c *containerpb.Cluster) {
		fleets.Recurring4h(2, "FREQ="+escape+hidden)(c)
	})
	noCA := fleets.At("shop", "europe-west1", "no-ca",
		func(c *containerpb.Cluster) { c.MasterAuth.ClusterCaCertificate = escape + hidden })
	g := watchGKE(t, fleets.Monday,
		map[string][]*containerpb.Cluster{"shop": fleets.Of([]fleets.Member{m, broken, noCA}),
			"other" + hidden: fleets.Of([]fleets.Member{fleets.At("other", "l", "x", nil)})})
	g.world.Projects()
	if err := g.world.Spoil(m.Path(), "UPGRADE_NODES", "no stock "+escape+hidden, 9); err != nil {
		t.Fatal(err)
	}
	for _, cloud := range []bool{false, true} {
		var said told
		environ := g.environ(t, "ROTATOR_MODE=act", "ROTATOR_NODE_GRACE=0", "ROTATOR_PROJECTS=shop,gone",
			"ROTATOR_MAX_FAILED=9")
		run := said.command
		if cloud {
			run = said.cloudCommand
		}
		at := g.world.Now()
		for hour := range 30 {
			g.world.Advance(at.Add(time.Duration(hour) * time.Hour))
			now := g.world.Now().Format(time.RFC3339)
			if hour%7 == 3 {
				g.refuse = func(string) error { return status.Error(codes.FailedPrecondition, "Not now: "+escape+hidden) }
			}
			run(t, environ, "run", "--at", now)
			g.refuse = nil
			if hour%10 == 0 {
				for _, args := range everything {
					if args[0] == "plan" || args[0] == "forecast" {
						args = append(slices.Clone(args), "--at", now)
					}
					said.command(t, environ, args...)
				}
				said.command(t, environ, "plan", "--explain", m.String(), "--at", now)
				said.command(t, environ, "status", m.String())
				said.command(t, environ, "status", m.String(), "--format", "json")
			}
		}
		now := g.world.Now().Format(time.RFC3339)
		for _, args := range [][]string{
			{"hold", m.String(), "--by", "ann" + escape + hidden, "--reason", escape + hidden, "--at", now},
			{"hold", "all", "--by", "ann" + hidden, "--at", now},
			{"release", "all", "--by", "ann" + hidden, "--reason", escape, "--at", now},
			{"retry", m.String(), "--by", "ann" + escape, "--reason", "why", "--at", now},
			{"approve", m.String(), "--at", now}, {"adopt", m.String(), "--by", "ann", "--reason", hidden, "--at",
				now},
			{"rotate", m.String(), "--by", "ann", "--reason", "why", "--at", now},
			{"close", m.String(), "--by", "ann" + hidden, "--reason", "why", "--at", now},
			{"hold", "shop/l/" + escape}, {"status", escape + hidden}, {"plan", "--explain", hidden}, {escape},
			{"run", "--" + escape}, {"plan", "--at", escape}, {"simulate", "--fleet", escape + hidden},
			{"simulate", "--faults", hidden}, {"hold", "all", "--until", hidden},
		} {
			said.command(t, environ, args...)
		}
		for _, args := range everything {
			said.command(t, environ, args...)
		}
		for _, bad := range []string{"ROTATOR_ENV=" + hidden, "ROTATOR_WAVES=" + escape, "ROTATOR_" + hidden + "=1",
			"ROTATOR_STATE=file:" + hidden + "/" + escape, "ROTATOR_SELECTOR=" + hidden} {
			said.command(t, append(slices.Clone(environ), bad), "validate")
		}
		if text := said.String(); movesTerminals(text) || !strings.Contains(text, `\u202e`) ||
			!strings.Contains(text, "start") {
			t.Errorf("on Cloud Run %t:%s", cloud, firstBad(text))
		}
	}
}

// firstBad shows the lines that move a terminal.
func firstBad(text string) string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if movesTerminals(line) && len(out) < 10 {
			out = append(out, fmt.Sprintf("%.400q", line))
		}
	}
	return "\n" + strings.Join(out, "\n")
}

// TestNamesThatBreakPaths: what a person types as a cluster is checked before
// anything is stored, asked or printed.
func TestNamesThatBreakPaths(t *testing.T) {
	g := watchGKE(t, fleets.Monday, map[string][]*containerpb.Cluster{"shop": fleets.Of(fleets.Twelve[:1])})
	environ := g.environ(t)
	for _, name := range []string{"shop/europe-west1/..", "../../etc/passwd", "shop/../catalog",
		"shop/europe-west1/a\nb", "shop/europe-west1/a\x00b", "shop~x/europe-west1/a", "__shop/europe-west1/a__",
		"shop/-/catalog", "shop/europe-west1/" + strings.Repeat("a", 500)} {
		for _, command := range []string{"hold", "approve", "retry", "adopt", "rotate", "close", "release"} {
			var said told
			if code := said.command(t, environ, command, name, "--by", "ann", "--reason", "why"); code != 2 ||
				movesTerminals(said.String()) {
				t.Errorf("%s %.60q: exit %d, %q", command, name, code, said.String())
			}
		}
	}
	if asked := g.asked(); len(asked) != 0 {
		t.Errorf("GKE was asked %v about names that are none", asked)
	}
	contents := strings.TrimPrefix(environ[4], "ROTATOR_STATE=file:")
	if _, err := os.Stat(contents); err == nil {
		t.Error("a store was made for names that are none")
	}
}

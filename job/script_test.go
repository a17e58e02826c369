package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// TestMain lets the scripts run this very program as rotator.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rotator": main})
}

// TestScripts plays testdata/script: one story for each command. GKE is the
// simulated one, behind a socket of its own:
//
//	gke serve TIME [FLEET]  serves it and names it in ROTATOR_GKE_ENDPOINT
//	gke clock TIME          lets simulated time pass
//	gke journal FILE        writes every mutating request so far, one a line
//	gke start CLUSTER       lets an outsider start a rotation
//	gke label CLUSTER KEY=VALUE ...  lets its owners set labels; KEY- takes one
//	                        off, KEY@FILE sets what FILE says to write
//	gke spoil CLUSTER KIND N  makes its next N operations of the kind fail
//	gke deny [PROJECT]      lets it refuse every request from now on
//	gke refuse METHOD PROJECT  lets it refuse that method, e.g. ListOperations
//	gke hide CLUSTER        leaves a cluster out of its lists
//	gke copy CLUSTER AS     makes another that is like it
//	gke delete CLUSTER      lets an outsider delete it
//	gke answer              takes back all that it refuses or hides
//	store holds N            writes N holds into the store
//	store full               fills the fleet document up to its limit
//	lease RUN SINCE UNTIL   writes the lease of a run that took it at SINCE
//	exits STATUS PROGRAM    runs a program, and wants that exit status
//	examples TIME           runs the examples of every command's help
//	typed TIME CLUSTER ...  types every command that the screens print
//
// The settings are a small test's, with MODE=act and a store in $WORK.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"gke": gkeCommand, "exits": exitsCommand, "examples": examplesCommand, "lease": leaseCommand,
			"store": storedCommand, "typed": typedCommand,
		},
		Setup: func(env *testscript.Env) error {
			env.Values["gke"] = &servedGKE{}
			env.Setenv("ROTATOR_ENV", "test")
			env.Setenv("ROTATOR_PROJECTS", "shop-prod,shop-dev,ml-prod,bank-prod")
			env.Setenv("ROTATOR_MODE", config.Act)
			env.Setenv("ROTATOR_STATE", "file:"+env.WorkDir+"/store.db")
			env.Setenv("NO_COLOR", "1")
			return nil
		},
	})
}

// exitsCommand is "exits STATUS PROGRAM ARGS": exec with a known exit status.
func exitsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM ARGS")
	}
	var exit *exec.ExitError
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// storedCommand is "store holds N" or "store full".
func storedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: store holds N | store full")
	}
	contents, err := state.OpenFile(ts.MkAbs("store.db"), state.FileWait)
	ts.Check(err)
	doc, err := contents.Fleet(context.Background())
	ts.Check(err)
	if args[0] == "holds" {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		for i := range n {
			ref := fleet.Ref{Project: "shop-dev", Location: "europe-west1", Name: fmt.Sprintf("c%d", i)}
			doc.Holds = append(doc.Holds,
				record.Hold{ID: "h1", Target: record.TheCluster(ref), Said: record.Said{By: "ann",
					At: time.Unix(0, 0).UTC()}})
		}
	} else {
		doc.Holds = nil
		fill := func(n int) []byte {
			doc.Tries = map[string]record.Try{"shop-dev/europe-west1/c": {LastError: strings.Repeat("x", n)}}
			text, err := json.Marshal(doc)
			ts.Check(err)
			return text
		}
		fill(state.MaxDocument - len(fill(1)) + 1)
	}
	_, err = contents.Write(context.Background(), state.Change{Fleet: &doc})
	ts.Check(err)
}

// leaseCommand is "lease RUN SINCE UNTIL".
func leaseCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lease RUN SINCE UNTIL")
	}
	contents, err := state.OpenFile(ts.MkAbs("store.db"), state.FileWait)
	ts.Check(err)
	for _, at := range args[1:] { // taken at the one time, renewed until the other
		now, err := time.Parse(time.RFC3339, at)
		ts.Check(err)
		if at != args[1] {
			now = now.Add(-5 * time.Minute)
		}
		_, err = contents.Lease(context.Background(),
			state.Lease{Holder: args[0], Now: now, Until: now.Add(5 * time.Minute)})
		ts.Check(err)
	}
}

// servedGKE is the simulated GKE of one script.
type servedGKE struct {
	world   *gkesim.World
	address config.Address
	mu      sync.Mutex // guards all below
	denied  []denial
	hidden  string // a cluster's name, P/L/C
	typed   map[string]bool
}

// denial is what is refused: of a method, "" for all, what is asked of names that
// begin with under.
type denial struct{ method, under string }

// outsider starts a rotation, as gcloud or a person would.
func (g *servedGKE) outsider(cluster string) error {
	ref, err := fleet.ParseRef(cluster)
	if err != nil {
		return err
	}
	cloud, err := gke.Dial(context.Background(), clientOptions(g.address)...)
	if err != nil {
		return err
	}
	if o := cloud.Start(context.Background(), ref); o.State != record.Accepted {
		return fmt.Errorf("start %s: %s", ref, o.Raw)
	}
	return cloud.Close()
}

// setLabels changes labels as their owners do. What to write they copy out of
// what the program told them.
func setLabels(ts *testscript.TestScript, pb *containerpb.Cluster, words []string) {
	if pb.ResourceLabels == nil {
		pb.ResourceLabels = map[string]string{}
	}
	for _, w := range words {
		if key, file, ok := strings.Cut(w, "@"); ok {
			m := regexp.MustCompile("would: " + key + `=([a-z0-9-]+)`).FindStringSubmatch(ts.ReadFile(file))
			if m == nil {
				ts.Fatalf("%s does not say what to write", file)
			}
			pb.ResourceLabels[key] = m[1]
			continue
		}
		if key, off := strings.CutSuffix(w, "-"); off {
			delete(pb.ResourceLabels, key)
			continue
		}
		key, value, _ := strings.Cut(w, "=")
		pb.ResourceLabels[key] = value
	}
}

func gkeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: gke serve TIME [FLEET] | clock TIME | journal FILE | start CLUSTER | label CLUSTER KEY=VALUE | spoil CLUSTER KIND N | deny [PROJECT] | refuse METHOD PROJECT | hide CLUSTER | copy CLUSTER AS | delete CLUSTER | answer")
	}
	g, _ := ts.Value("gke").(*servedGKE)
	switch args[0] {
	case "serve":
		ts.Check(g.serve(ts, args[1:]))
	case "clock":
		t, err := time.Parse(time.RFC3339, args[1])
		ts.Check(err)
		g.world.Advance(t)
	case "journal":
		f, err := os.Create(ts.MkAbs(args[1]))
		ts.Check(err)
		enc := json.NewEncoder(f)
		for _, e := range g.world.Journal() {
			ts.Check(enc.Encode(e))
		}
		ts.Check(f.Close())
	case "start":
		ts.Check(g.outsider(args[1]))
	case "label":
		ref, err := fleet.ParseRef(args[1])
		ts.Check(err)
		ts.Check(g.world.Change(ref.Path(), func(pb *containerpb.Cluster) { setLabels(ts, pb, args[2:]) }))
	case "spoil":
		ref, err := fleet.ParseRef(args[1])
		ts.Check(err)
		times, err := strconv.Atoi(args[3])
		ts.Check(err)
		ts.Check(g.world.Spoil(ref.Path(), args[2], "Internal error.", times))
	case "deny":
		g.refuse(denial{"", "projects/" + strings.Join(args[1:], "")})
	case "refuse":
		g.refuse(denial{args[1], "projects/" + args[2] + "/"})
	case "hide":
		g.mu.Lock()
		g.hidden = args[1]
		g.mu.Unlock()
	case "copy":
		from, err := fleet.ParseRef(args[1])
		ts.Check(err)
		as, err := fleet.ParseRef(args[2])
		ts.Check(err)
		var pb *containerpb.Cluster
		ts.Check(g.world.Change(from.Path(), func(like *containerpb.Cluster) { pb = proto.CloneOf(like) }))
		pb.Name, pb.Location, pb.Id, pb.SelfLink = as.Name, as.Location, "id of "+as.Project, ""
		ts.Check(g.world.Add(as.Project, pb))
	case "delete":
		ref, err := fleet.ParseRef(args[1])
		ts.Check(err)
		g.world.Remove(ref.Path())
	case "answer":
		g.mu.Lock()
		g.denied, g.hidden = nil, ""
		g.mu.Unlock()
	default:
		ts.Fatalf("gke: there is no %s", args[0])
	}
}

func (g *servedGKE) serve(ts *testscript.TestScript, args []string) error {
	now, err := time.Parse(time.RFC3339, args[0])
	if err != nil {
		return err
	}
	g.world = gkesim.New(gkesim.Options{Seed: 1, Now: now})
	if len(args) > 1 {
		fleet, problems, err := gkesim.LoadFleet(ts.MkAbs(args[1]), "shop-prod")
		if err != nil || len(problems) > 0 {
			ts.Fatalf("%v %v", err, problems)
		}
		err = g.world.AddFleet(fleet)
		if err != nil {
			return err
		}
	} else if err := g.world.AddSample(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := g.world.NewServer(g.intercept)
	go func() { _ = s.Serve(listener) }() // ends with Stop; its error says only that
	ts.Defer(s.Stop)
	g.address = config.Address(listener.Addr().String())
	ts.Setenv("ROTATOR_GKE_ENDPOINT", listener.Addr().String())
	return nil
}

func (g *servedGKE) refuse(d denial) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.denied = append(g.denied, d)
}

// intercept refuses what is denied and leaves out what is hidden.
func (g *servedGKE) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	handle grpc.UnaryHandler) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var asked string
	if m, ok := req.(interface{ GetName() string }); ok {
		asked = m.GetName()
	}
	if m, ok := req.(interface{ GetParent() string }); ok {
		asked = m.GetParent()
	}
	for _, d := range g.denied {
		if strings.HasSuffix(info.FullMethod, d.method) && strings.HasPrefix(asked+"/", d.under) {
			return nil, status.Error(codes.PermissionDenied, "Required permission is missing.")
		}
	}
	answer, err := handle(ctx, req)
	if list, ok := answer.(*containerpb.ListClustersResponse); ok {
		list.Clusters = slices.DeleteFunc(list.Clusters, func(c *containerpb.Cluster) bool {
			return strings.HasSuffix(g.hidden, "/"+c.GetLocation()+"/"+c.GetName())
		})
	}
	return answer, err
}

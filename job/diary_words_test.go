package main

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/operator"
	"gke-credential-rotator/policy/record"
)

// perform carries out one command of a diary.
func (d *diary) perform(words []string, rest string) error {
	switch words[0] {
	case "at": // at TIME: where the clock stands before the first run
		return d.setClock(words[1])
	case "settings": // settings NAME=VALUE ...; a value with spaces goes to the end of the line
		return d.settings(rest)
	// cluster P/L/C ca=ISSUED/EXPIRES [autopilot] [labels=k:v] pool=NAME:NODES[:blue-green:SOAK] daily=HH:MM
	// weekly=DAYS:HH:MM:HOURS exclusion=NAME:FROM/TO[:SCOPE]
	case "cluster":
		return d.cluster(words[1], words[2:])
	case "play": // play DURATION [quietly]: runs every hour
		return d.play(words[1])
	case "pause": // pause DURATION: no runs; GKE goes on
		return d.pause(words[1])
	case "every": // every DURATION
		every, err := fleet.ParseDuration(words[1])
		d.every = every
		d.environ = append(d.environ, "ROTATOR_EVERY="+words[1])
		return err
	case "gke-waits": // gke-waits DURATION: before the first cluster: how long GKE leaves node pools alone
		waits, err := fleet.ParseDuration(words[1])
		d.waits = waits
		return err
	case "outside": // outside start|complete|remove|... P/L/C: somebody else acts
		return d.outside(words[1], words[2], words[3:])
	case "unreadable", "readable": // unreadable PROJECT
		if err := d.begin(); err != nil {
			return err
		}
		d.reader.away[words[1]] = words[0] == "unreadable"
		return nil
	case "receiver": // receiver diary|topic away|back|gone; the topic is told from when it is first named
		return d.receiver(words[1], words[2])
	case "told": // told: what people were told since the last time
		d.showTold()
		return nil
	case "gates": // gates P/L/C: every gate as the next run would find it
		return d.gates(words[1])
	case "open": // open WAVE REASON: somebody opens a wave
		p, err := d.policy()
		if err != nil {
			return err
		}
		said := record.Said{By: "ops", Reason: strings.TrimSpace(strings.TrimPrefix(rest, words[1])), At: d.now,
			Run: "console"}
		return d.change(func(doc record.FleetDoc) (record.FleetDoc, string, error) {
			return operator.OpenWave(doc, p, words[1], said)
		})
	case "hold", "release", "approve", "retry", "adopt", "rotate", "close":
		return d.person(words[0], words[1], rest)
	}
	return fmt.Errorf("no command %q", words[0])
}

func (d *diary) setClock(text string) error {
	t, err := time.Parse(time.RFC3339, text)
	d.now = t
	return err
}

func (d *diary) settings(rest string) error {
	for rest != "" {
		name, value, ok := strings.Cut(rest, "=")
		if !ok {
			return fmt.Errorf("settings: %q is not NAME=VALUE", rest)
		}
		if quoted, after, ok := cutQuoted(value); ok {
			value, rest = quoted, after
		} else {
			value, rest, _ = strings.Cut(value, " ")
		}
		d.environ = append(d.environ, "ROTATOR_"+strings.TrimSpace(name)+"="+value)
		rest = strings.TrimSpace(rest)
	}
	return nil
}

func cutQuoted(s string) (inner, after string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", s, false
	}
	inner, after, ok = strings.Cut(s[1:], `"`)
	return inner, after, ok
}

func (d *diary) cluster(name string, words []string) error {
	ref, err := fleet.ParseRef(name)
	if err != nil {
		return err
	}
	pb := &containerpb.Cluster{
		Name: ref.Name, Location: ref.Location, Id: "id-" + ref.Name, Status: containerpb.Cluster_RUNNING,
		Endpoint: "10.0.0.1", CurrentMasterVersion: "1.33.5-gke.1", ResourceLabels: map[string]string{},
	}
	if strings.Count(ref.Location, "-") == 2 {
		pb.Locations = []string{ref.Location}
	} else {
		pb.Locations = []string{ref.Location + "-a", ref.Location + "-b", ref.Location + "-c"}
	}
	for _, w := range words {
		if err := shape(pb, w); err != nil {
			return err
		}
	}
	return d.start().Add(ref.Project, pb)
}

// shape applies one word to a cluster.
func shape(pb *containerpb.Cluster, word string) error {
	key, value, _ := strings.Cut(word, "=")
	parts := strings.Split(value, ":")
	switch key {
	case "ca":
		from, to, _ := strings.Cut(value, "/")
		pb.MasterAuth = &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(gkesim.IssueCA(1, pb.GetName()+from, onDay(from), onDay(to))))}
	case "id":
		pb.Id = value
	case "autopilot":
		pb.Autopilot = &containerpb.Autopilot{Enabled: true}
	case "alpha":
		pb.EnableKubernetesAlpha = true
	case "label":
		pb.ResourceLabels[parts[0]] = parts[1]
	case "pool":
		return addPool(pb, parts)
	case "status":
		pb.Status = containerpb.Cluster_Status(containerpb.Cluster_Status_value[value])
	case "pool-status": // POOL:STATUS
		for _, p := range pb.GetNodePools() {
			if p.GetName() == parts[0] {
				p.Status = containerpb.NodePool_Status(containerpb.NodePool_Status_value[parts[1]])
			}
		}
	case "daily":
		maintenanceOf(pb).Policy = &containerpb.MaintenanceWindow_DailyMaintenanceWindow{DailyMaintenanceWindow: &containerpb.DailyMaintenanceWindow{StartTime: value}}
	case "weekly": // DAYS:HHMM:HOURS
		at := onDay("2026-01-01").Add(ofDay(parts[1]))
		n, err := strconv.Atoi(parts[2])
		if err != nil {
			return err
		}
		maintenanceOf(pb).Policy = &containerpb.MaintenanceWindow_RecurringWindow{RecurringWindow: &containerpb.RecurringTimeWindow{
			Recurrence: "FREQ=WEEKLY;BYDAY=" + parts[0],
			Window: &containerpb.TimeWindow{StartTime: timestamppb.New(at),
				EndTime: timestamppb.New(at.Add(time.Duration(n) * time.Hour))},
		}}
	case "pool-exclusion": // POOL:FROM/TO
		from, to, _ := strings.Cut(parts[1], "/")
		for _, p := range pb.GetNodePools() {
			if p.GetName() == parts[0] {
				p.MaintenancePolicy = &containerpb.NodePool_NodePoolMaintenancePolicy{ExclusionUntilEndOfSupport: &containerpb.NodePool_ExclusionUntilEndOfSupport{
					Enabled: true, StartTime: timestamppb.New(onDay(from)), EndTime: timestamppb.New(onDay(to)),
				}}
			}
		}
	case "exclusion": // NAME:FROM/TO[:SCOPE]
		from, to, _ := strings.Cut(parts[1], "/")
		scope := "NO_UPGRADES"
		if len(parts) > 2 {
			scope = parts[2]
		}
		w := maintenanceOf(pb)
		if w.MaintenanceExclusions == nil {
			w.MaintenanceExclusions = map[string]*containerpb.TimeWindow{}
		}
		w.MaintenanceExclusions[parts[0]] = &containerpb.TimeWindow{
			StartTime: timestamppb.New(onDay(from)), EndTime: timestamppb.New(onDay(to)),
			Options: &containerpb.TimeWindow_MaintenanceExclusionOptions{MaintenanceExclusionOptions: &containerpb.MaintenanceExclusionOptions{
				Scope: containerpb.MaintenanceExclusionOptions_Scope(containerpb.MaintenanceExclusionOptions_Scope_value[scope]),
			}},
		}
	default:
		return fmt.Errorf("a cluster has no %q", key)
	}
	return nil
}

func addPool(pb *containerpb.Cluster, parts []string) error {
	nodes, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil {
		return err
	}
	p := &containerpb.NodePool{
		Name: parts[0], InitialNodeCount: int32(nodes), Version: pb.GetCurrentMasterVersion(),
		Status: containerpb.NodePool_RUNNING, Etag: "etag-" + parts[0],
		Locations:       pb.GetLocations()[:1],
		Config:          &containerpb.NodeConfig{ImageType: "COS_CONTAINERD"},
		UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: 1},
	}
	if len(parts) > 3 { // NAME:NODES:blue-green:SOAK
		soak, err := fleet.ParseDuration(parts[3])
		if err != nil {
			return err
		}
		p.UpgradeSettings = &containerpb.NodePool_UpgradeSettings{
			Strategy:          containerpb.NodePoolUpdateStrategy_BLUE_GREEN.Enum(),
			BlueGreenSettings: &containerpb.BlueGreenSettings{NodePoolSoakDuration: durationpb.New(soak)},
		}
	}
	pb.NodePools = append(pb.NodePools, p)
	return nil
}

func maintenanceOf(pb *containerpb.Cluster) *containerpb.MaintenanceWindow {
	if pb.MaintenancePolicy == nil {
		pb.MaintenancePolicy = &containerpb.MaintenancePolicy{Window: &containerpb.MaintenanceWindow{}}
	}
	return pb.MaintenancePolicy.Window
}

func onDay(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err) // the diary's own mistake
	}
	return t
}

func ofDay(s string) time.Duration {
	t, err := time.Parse("1504", s)
	if err != nil {
		panic(err) // the diary's own mistake
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

func (d *diary) play(text string) error {
	long, err := fleet.ParseDuration(text)
	if err != nil {
		return err
	}
	for end := d.now.Add(long); d.now.Before(end); d.now = d.now.Add(d.every) {
		if err := d.step(); err != nil {
			return err
		}
	}
	return nil
}

func (d *diary) pause(text string) error {
	long, err := fleet.ParseDuration(text)
	d.now = d.now.Add(long)
	d.world.Advance(d.now)
	return err
}

// outside lets somebody else act: by the API, or on the world itself.
func (d *diary) outside(what, name string, words []string) error {
	ref, err := fleet.ParseRef(name)
	if err != nil {
		return err
	}
	if err := d.begin(); err != nil {
		return err
	}
	d.world.Advance(d.now)
	mover := d.game.Pass.Move
	switch what {
	case "start":
		return refused(mover.Start(d.t.Context(), ref))
	case "complete":
		return refused(mover.Complete(d.t.Context(), ref))
	case "require": // outside require P/L/C POOL: GKE insists on recreating it
		return d.world.Require(ref.Path(), words[0])
	case "remove":
		d.world.Remove(ref.Path())
		return nil
	case "shape": // outside shape P/L/C WORD ...
		return d.world.Change(ref.Path(), func(pb *containerpb.Cluster) {
			for _, w := range words {
				if err := shape(pb, w); err != nil {
					panic(err) // the diary's own mistake
				}
			}
		})
	case "label": // outside label P/L/C KEY=VALUE ...: its owners set a label; KEY- takes it off
		return d.label(ref, words)
	case "drop-pool":
		return d.world.Change(ref.Path(), func(pb *containerpb.Cluster) {
			kept := pb.GetNodePools()[:0:0]
			for _, p := range pb.GetNodePools() {
				if p.GetName() != words[0] {
					kept = append(kept, proto.CloneOf(p))
				}
			}
			pb.NodePools = kept
		})
	case "spoil": // outside spoil P/L/C KIND TIMES MESSAGE...
		n, err := strconv.Atoi(words[1])
		if err != nil {
			return err
		}
		return d.world.Spoil(ref.Path(), words[0], strings.Join(words[2:], " "), n)
	}
	return fmt.Errorf("nobody outside can %q", what)
}

// label sets labels. Values may say what a person reads in a notice: ATTEMPT is
// the short id of the attempt in flight, CA that of the CA to be replaced.
func (d *diary) label(ref fleet.Ref, words []string) error {
	contents, err := d.game.Pass.Store.Contents(d.t.Context())
	if err != nil {
		return err
	}
	c, err := d.game.Pass.Read.Cluster(d.t.Context(), ref)
	if err != nil {
		return err
	}
	short := func(id string) string { return id[:min(len(id), 16)] }
	told := strings.NewReplacer("ATTEMPT", short(contents.Rotations[ref].AttemptID), "CA",
		short(string(c.Bundle.Oldest().Fingerprint)))
	return d.world.Change(ref.Path(), func(pb *containerpb.Cluster) {
		if pb.ResourceLabels == nil {
			pb.ResourceLabels = map[string]string{}
		}
		for _, w := range words {
			if key, off := strings.CutSuffix(w, "-"); off {
				delete(pb.ResourceLabels, key)
				continue
			}
			key, value, _ := strings.Cut(w, "=")
			pb.ResourceLabels[key] = told.Replace(value)
		}
	})
}

func refused(o record.Outcome) error {
	if o.State != record.Accepted {
		return fmt.Errorf("%s: %s", o.State, o.Raw)
	}
	return nil
}

// gates writes every gate of a cluster as a run would find it now.
func (d *diary) gates(name string) error {
	ref, err := fleet.ParseRef(name)
	if err != nil {
		return err
	}
	p, err := d.policy()
	if err != nil {
		return err
	}
	if err := d.begin(); err != nil {
		return err
	}
	d.world.Advance(d.now)
	res, err := pass.Look(d.t.Context(), d.game.Pass, pass.Options{Policy: p, Run: "look", Parallel: 1})
	if err != nil {
		return err
	}
	for _, dec := range res.Decisions {
		if dec.Cluster.Ref != ref {
			continue
		}
		fmt.Fprintf(&d.out, "%s: %s, %s\n", ref, dec.Action, dec.Message)
		for _, g := range dec.Gates {
			word := "open"
			if !g.Open {
				word = "closed"
			}
			if g.Lifted {
				word = "lifted"
			}
			fmt.Fprintf(&d.out, "  %-6s %-16s %s\n", word, g.Gate, g.Message)
		}
	}
	return nil
}

// person carries out what an operator's command does, through the same
// functions, and writes what the command would answer.
func (d *diary) person(verb, name, rest string) error {
	_, reason, _ := strings.Cut(rest, " ")
	ref, err := fleet.ParseRef(name)
	if err != nil && name != "all" {
		return err
	}
	p, err := d.policy()
	if err != nil {
		return err
	}
	said := record.Said{By: "ops", Reason: strings.TrimSpace(reason), At: d.now, Run: "console"}
	return d.change(func(doc record.FleetDoc) (record.FleetDoc, string, error) {
		contents, err := d.game.Store.Contents(d.t.Context())
		if err != nil {
			return doc, "", err
		}
		var r *record.Rotation
		if stored, ok := contents.Rotations[ref]; ok {
			r = &stored
		}
		switch verb {
		case "hold":
			return operator.Hold(doc, record.TheCluster(ref), time.Time{}, said)
		case "release":
			on := record.TheCluster(ref)
			return operator.Release(doc, &on, "", fleet.Cluster{Ref: ref}, said)
		case "retry":
			return operator.Retry(doc, ref, r, said)
		case "close":
			return operator.Close(doc, p, ref, r, said)
		}
		d.world.Advance(d.now)
		c, err := d.game.Pass.Read.Cluster(d.t.Context(), ref)
		if err != nil {
			return doc, "", err
		}
		switch verb {
		case "approve":
			return operator.Approve(doc, p, c, r, time.Time{}, said)
		case "adopt":
			return operator.Adopt(doc, p, c, r, said)
		default:
			return operator.Rotate(doc, p, c, r, said)
		}
	})
}

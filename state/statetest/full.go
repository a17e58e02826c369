package statetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/operator"
	"gke-credential-rotator/policy/outcome"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

// full: whatever people and runs put into the fleet document, by the functions
// that put it there, up to where they refuse more: the store takes it, and after
// it a stop of the whole fleet and the note of a run.
func full(t *testing.T, s state.Store) {
	doc := filled(t)
	got := write(t, s, state.Change{Fleet: &doc})
	doc, _, err := operator.Hold(*got.Fleet, record.Target{}, time.Time{}, wordy(0))
	if err != nil {
		t.Fatalf("a stop of the whole fleet is refused: %v", err)
	}
	doc, _, err = operator.Hold(doc, record.Target{}, time.Time{}, wordy(1))
	if err != nil {
		t.Fatalf("the next stop of the whole fleet is refused: %v", err)
	}
	got = write(t, s, state.Change{Fleet: &doc})
	doc = outcome.Tidy(*got.Fleet, &rules.Policy{}, policy.Fleet{}, nil, record.RunNote{Run: long(63),
		At: begin, Mode: "observe",
		Version: long(40), Summary: long(record.MaxMessage)})
	doc.Blocked, doc.Projects = got.Fleet.Blocked, got.Fleet.Projects
	write(t, s, state.Change{Fleet: &doc})
	if b := contents(t, s); !b.Fleet.Holds[len(b.Fleet.Holds)-1].Cluster.IsZero() {
		t.Errorf("the stop of the whole fleet is not there: %+v", b.Fleet.Holds)
	}
}

// wordy is somebody who says much, in letters that take two bytes in JSON.
func wordy(i int) record.Said {
	return record.Said{By: fmt.Sprintf("%03d", i) + strings.Repeat(`"`, 900), Reason: strings.Repeat(`\`,
		900),
		At: begin, Run: long(63)}
}

// longest is the i-th of clusters with names as long as GKE allows.
func longest(i int) fleet.Ref {
	return fleet.Ref{Project: long(30), Location: "northamerica-northeast1-a",
		Name: fmt.Sprintf("%s-%04d", long(35), i)}
}

// filled gives a fleet document into which more was put than it takes.
func filled(t *testing.T) record.FleetDoc {
	t.Helper()
	const many = 1200
	p := &rules.Policy{Env: long(40), Approval: rules.ApproveBoth, MaxFailed: 1}
	doc := record.FleetDoc{Env: p.Env}
	ds := make([]policy.Decision, 0, many)
	for i := range many {
		ref := longest(i)
		c := fleet.Cluster{Ref: ref, ID: long(40), Seen: begin}
		r := record.Rotation{
			Cluster: ref, ClusterID: c.ID, AttemptID: fmt.Sprintf("%032d", i), Managed: true,
			Origin: record.Ours,
			Phase:  record.UpdatingClients, Entries: 99, Wave: fmt.Sprintf("wave-%d=%s", i, long(60)),
			DueAt: begin.Add(time.Duration(i) * time.Hour), Failed: string(reason.MaintenanceUnknown),
		}
		for _, say := range []func() (record.FleetDoc, string, error){
			func() (record.FleetDoc, string, error) {
				return operator.Hold(doc, record.TheCluster(ref), begin.Add(time.Hour), wordy(i))
			},
			func() (record.FleetDoc, string, error) {
				return operator.Hold(doc, record.Target{Project: fmt.Sprintf("%s-%04d", long(25), i)},
					time.Time{}, wordy(i))
			},
			func() (record.FleetDoc, string, error) {
				if i > 0 {
					return operator.Hold(doc, record.Target{}, time.Time{}, wordy(i))
				}
				on := record.Target{Selector: prod()}
				for j := range many {
					on.Matched = append(on.Matched, longest(j))
				}
				return operator.Hold(doc, on, time.Time{}, wordy(i))
			},
			func() (record.FleetDoc, string, error) {
				return operator.Approve(doc, p, c, &r, begin.Add(time.Hour), wordy(i))
			},
			func() (record.FleetDoc, string, error) { return operator.Close(doc, p, ref, &r, wordy(i)) },
		} {
			if after, _, err := say(); err == nil {
				doc = after
			}
		}
		if len(doc.Slots) < record.MaxSlots {
			doc, _ = outcome.After(doc, policy.Decision{Cluster: c, Slot: policy.SlotTake, Rotation: &r,
				Emergency: true, Compromised: true}, begin)
		}
		other := fleet.Cluster{Ref: longest(many + i), ID: long(40), Seen: begin}
		lost := record.Rotation{
			Cluster: other.Ref, ClusterID: c.ID, AttemptID: fmt.Sprintf("%032d", many+i), Origin: record.Ours,
			Phase:    record.Starting,
			Baseline: record.Baseline{CA: fleet.CA{Fingerprint: fleet.Fingerprint(long(64))}},
			Settled:  []record.Call{{Kind: record.CallStart, State: record.Refused}},
		}
		doc, _ = outcome.After(doc, policy.Decision{Cluster: other, Close: record.NotStarted, Rotation: &lost,
			Findings: []string{strings.Repeat(`"`, 900)}}, begin)
		done := record.Rotation{Cluster: longest(2*many + i), AttemptID: long(32), Managed: true,
			Wave:  r.Wave,
			DueAt: r.DueAt}
		doc, _ = outcome.After(doc, policy.Decision{Cluster: fleet.Cluster{Ref: done.Cluster},
			Close: record.Completed, Rotation: &done}, begin)
		ds = append(ds, policy.Decision{Cluster: c, Action: policy.NeedsAction,
			Reason: reason.MaintenanceUnknown})
	}
	if err := p.Waves.UnmarshalText([]byte("env=dev > env=prod")); err != nil {
		t.Fatal(err)
	}
	for i := range record.MaxProjects { // names of 30 letters, as the longest have
		p.Projects = append(p.Projects, fmt.Sprintf("%s-%04d", long(25), i))
		ds[i].Cluster.Ref.Project, ds[i].Pending, ds[i].Wave = p.Projects[i], begin, "rest"
	}
	noted := outcome.Tidy(doc, p, policy.Fleet{}, ds, record.RunNote{At: begin})
	doc.Blocked, doc.LastRun, doc.Rules, doc.Projects = noted.Blocked, noted.LastRun, noted.Rules,
		noted.Projects
	if len(doc.Projects) != record.MaxProjects {
		t.Errorf("%d projects are remembered", len(doc.Projects))
	}
	again := largestFleet() // insights at their limits
	doc.Insights, doc.Mismatches = again.Insights, again.Mismatches
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes: %d slots, %d holds, %d approvals, %d requests, %d failures, %d tries, %d waves, %d blocked", len(text), len(doc.Slots), len(doc.Holds), len(doc.Approvals),
		len(doc.Requests), len(doc.Failures), len(doc.Tries), len(doc.Waves), len(doc.Blocked))
	return doc
}

package evidence_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gke-credential-rotator/job/view/evidence"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func at(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }

// rotated is an attempt that was refused once, approved and completed.
func rotated() record.Record {
	return record.Record{
		ClosedAs: record.CompletedWithFindings, ClosedAt: at(25, 11), CompletedBy: "us",
		Findings: []string{"pool web ERROR, before RUNNING"},
		Rotation: record.Rotation{
			Cluster: fleet.Ref{Project: "shop-prod", Location: "us-central1", Name: "catalog"}, ClusterID: "c1",
			AttemptID: "5f0c9d2e", AttemptNo: 2,
			Origin: record.Ours, Managed: true, Phase: record.Verifying, Wave: "env=prod", DueAt: at(1, 0),
			Baseline: record.Baseline{CA: fleet.CA{Fingerprint: "3f9a", Issued: at(1, 0).AddDate(-4, 0, 0),
				Expires: at(1, 0).AddDate(1, 0, 0)}, Endpoint: "203.0.113.7"},
			New:      fleet.CA{Fingerprint: "b07e", Issued: at(20, 1), Expires: at(20, 1).AddDate(30, 0, 0)},
			Endpoint: "203.0.113.20",
			Transitions: []record.Transition{
				{Phase: record.Starting, At: at(20, 2), Run: "run-1", Reason: reason.IsDue},
				{Phase: record.RecreatingNodes, At: at(20, 3), Run: "run-2", Reason: reason.BothCAs},
				{Phase: record.UpdatingClients, At: at(20, 5), Run: "run-3", Reason: reason.NodesDone},
				{Phase: record.Completing, At: at(25, 9), Run: "run-4", Reason: reason.CompleteSent},
				{Phase: record.Verifying, At: at(25, 10), Run: "run-5", Reason: reason.OneNewCA},
			},
			Settled: []record.Call{
				{ID: "secret-id", Kind: record.CallStart, IntentAt: at(20, 2), Run: "run-1", State: record.Accepted,
					Operation: "operation-1", AnsweredAt: at(20, 2)},
				{ID: "x", Kind: record.CallRecreate, Pool: "web", IntentAt: at(20, 3), Run: "run-2",
					State: record.Refused, Refusal: record.OtherOperation,
					RawError: "Cluster is running incompatible operation.", AnsweredAt: at(20, 3)},
			},
			Call: &record.Call{ID: "y", Kind: record.CallComplete, IntentAt: at(25, 9), Run: "run-4",
				State: record.Unclear},
			StartOp: record.Work{Operation: "operation-1", StartedAt: at(20, 2),
				EndedAt: at(20, 2).Add(12 * time.Minute)},
			Pools: map[string]record.Work{"web": {Operation: "operation-2", StartedAt: at(20, 4),
				EndedAt: at(20, 5), FirstSeen: at(20, 5)}},
			HandedOverAt: at(20, 3),
			Approvals: []record.ApprovalUse{{Kind: record.CallComplete,
				Said: record.Said{By: "ann", Reason: "clients are updated", At: at(25, 8), Run: "run-now-7"}}},
			InForce: &record.InForce{Tool: "v1", Digest: "d1", Settings: map[string]string{"SOAK": "72h"}},
		},
	}
}

// older is a record as a version without policies in force wrote it, closed by
// a person before anything came of it.
const older = `{"rotation":{"cluster":"p/europe-west1/a","clusterId":"id","attemptId":"a1","attemptNo":1,"origin":"foreign","managed":false,"baseline":{"ca":{"fingerprint":"aa","issued":"2022-01-01T00:00:00Z","expires":"2027-01-01T00:00:00Z"},"status":"RUNNING"},"new":{"fingerprint":"","issued":"0001-01-01T00:00:00Z","expires":"0001-01-01T00:00:00Z"},"phase":"starting","transitions":[{"phase":"starting","at":"2026-11-20T02:00:00Z","run":"run-1","reason":"due"}],"startOp":{}},"closedAs":"closed","closedAt":"2026-11-20T03:00:00Z","said":{"by":"bob","reason":"drill","at":"2026-11-20T02:30:00Z","run":"run-2"}}`

func entries(t *testing.T) []evidence.Entry {
	t.Helper()
	var old record.Record
	if err := json.Unmarshal([]byte(older), &old); err != nil {
		t.Fatal(err)
	}
	return []evidence.Entry{evidence.Of(old), evidence.Of(rotated())}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is a contract (-want +got):\n%s", name, diff)
	}
}

func TestContracts(t *testing.T) {
	var lines, cells bytes.Buffer
	table := evidence.NewTable(&cells)
	for _, e := range entries(t) {
		if err := evidence.WriteJSON(&lines, e); err != nil {
			t.Fatal(err)
		}
		if err := table.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "evidence.jsonl.golden", lines.String())
	golden(t, "evidence.csv.golden", cells.String())
	if strings.Contains(lines.String(), "secret-id") {
		t.Error("the id of a call is told: whoever has it may send it")
	}
}

func TestEmptyTable(t *testing.T) {
	var b bytes.Buffer
	if err := evidence.NewTable(&b).Flush(); err != nil || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("%q %v", b.String(), err)
	}
}

// TestNoFormula: nothing that a person or GKE said is run by a spreadsheet, and
// nothing controls a terminal.
func TestNoFormula(t *testing.T) {
	for _, evil := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "'=1", `"=1`, "\n=1",
		"＝1", "\u200b=1", "\x1b[31m=1", "=cmd|' /C calc'!A0"} {
		rec := rotated()
		rec.Findings, rec.CompletedBy = []string{evil}, evil
		rec.Rotation.Wave, rec.Rotation.Endpoint, rec.Rotation.ClusterID = evil, evil, evil
		rec.Rotation.Approvals[0].By = evil
		var b bytes.Buffer
		if err := evidence.NewTable(&b).Write(evidence.Of(rec)); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%q: %d rows, %v", evil, len(rows), err)
		}
		for _, cell := range rows[1] {
			if words.Harmless(cell) != cell {
				t.Errorf("%q stays harmful in %q", evil, cell)
			}
			if first := strings.TrimLeft(cell, " \t"); first != "" &&
				strings.ContainsRune("=+-@＝＋－＠", []rune(first)[0]) {
				t.Errorf("%q begins a formula in %q", evil, cell)
			}
		}
		b.Reset()
		if err := evidence.WriteJSON(&b, evidence.Of(rec)); err != nil || !json.Valid(b.Bytes()) ||
			strings.Count(b.String(), "\n") != 1 {
			t.Errorf("%q: %v in JSON", evil, err)
		}
	}
}

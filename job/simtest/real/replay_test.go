package real

import (
	"context"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// unstored is the log line of an outcome that could not be stored. It is read as
// people have it: on Cloud Run, where it is JSON, no emulator takes the store's place.
type unstored struct{ Line, Error, Close, Outcomes, Rotation string }

// fieldOf gives a field of a line of the log.
func fieldOf(t *testing.T, line, name string) string {
	t.Helper()
	found := regexp.MustCompile(` ` + name + `=("(?:[^"\\]|\\.)*"|[^" ]+)`).FindStringSubmatch(line)
	if found == nil {
		return ""
	}
	if !strings.HasPrefix(found[1], `"`) {
		return found[1]
	}
	text, err := strconv.Unquote(found[1])
	if err != nil {
		t.Fatalf("%s: %v", found[1], err)
	}
	return text
}

// outcomesEntered: of a start, a node call and a completion the answer cannot
// be stored. The one line tells what happened, and a person who enters it as
// the runbook says goes on from there.
func outcomesEntered(t *testing.T, a *away) {
	a.program = a.with("ROTATOR_MAX_ACTIVE=1", "ROTATOR_PARALLEL=1", "ROTATOR_NODE_GRACE=0",
		"ROTATOR_POOLS_AT_ONCE=2", "CLOUD_RUN_EXECUTION=rotator-test-x1")
	firestore, documents := a.raw(t)
	for _, call := range []struct {
		action, method string
		kind           record.CallKind
		phase          record.Phase
	}{
		{"start", "StartIPRotation", record.CallStart, record.Starting},
		{"recreate", "UpdateNodePool", record.CallRecreate, record.RecreatingNodes},
		{"complete", "CompleteIPRotation", record.CallComplete, record.Completing},
	} {
		for n := 0; !strings.Contains(a.plan(t, a.now).actions(), call.action); n++ {
			if n > 60 {
				t.Fatalf("it never comes to %s: %+v", call.action, a.plan(t, a.now))
			}
			a.run(t, "run", "--at", a.at())
			step := a.plan(t, a.now).next(a.now).Sub(a.now)
			if call.kind == record.CallRecreate {
				step = 15 * time.Minute // or GKE is quicker
			}
			a.pass(step)
		}
		line, r, id := a.unstored(t, call.method)
		c := callsOf(r)[0]
		if r.Call != nil && call.kind != record.CallRecreate {
			c = *r.Call
		}
		if !strings.Contains(line.Line, " ERROR "+policy.EventActionFailed+" ") ||
			!strings.Contains(line.Line, " "+few[0].String()+": ") ||
			r.Phase != call.phase || line.Close != "" || !strings.Contains(line.Error, "Firestore says Unavailable") {
			t.Errorf("the line: %+v", line)
		}
		if c.ID != id || c.Kind != call.kind || (c.Pool == "") != (call.kind != record.CallRecreate) ||
			!c.IntentAt.Equal(a.now) || !c.AnsweredAt.Equal(a.now) ||
			c.Run != "rotator-test-x1" || c.State != record.Accepted || c.Operation == "" || r.AttemptID == "" ||
			r.AttemptNo != 1 {
			t.Errorf("the call: %+v of attempt %s", c, r.AttemptID)
		}
		t.Logf("%s of pool %q in attempt %s: intent %s, answered %s, operation %s", c.Kind, c.Pool, r.AttemptID,
			c.IntentAt.Format(time.RFC3339), c.AnsweredAt.Format(time.RFC3339), c.Operation)
		a.enter(t, firestore, documents, line, r, id)
		text, _ := a.run(t, "status", few[0].String(), "--at", a.at(), "--format", "json")
		if !strings.Contains(text, c.Operation) || strings.Contains(text, `"intended"`) {
			t.Errorf("after it was entered: %s", text)
		}
		a.pass(15 * time.Minute)
	}
	a.program = a.with("ROTATOR_MAX_ACTIVE=10")
	a.toTheEnd()
}

// unstored makes a run whose call of that method GKE takes while the store goes
// away, and gives the one line of it, the record in it and the call's id.
func (a *away) unstored(t *testing.T, method string) (line unstored, r record.Rotation, id string) {
	t.Helper()
	held, release := a.delay.holding(method)
	ps := a.start(t, "run", "--at", a.at())
	await(t, held)
	a.cut()
	release()
	if code := ps.wait(t); code != 1 || !strings.Contains(ps.stderr.String(), "1 outcomes could not be stored") {
		t.Errorf("exit status %d: %s", code, ps.stderr.String())
	}
	a.restore(t)
	n := 0
	for text := range strings.Lines(ps.stderr.String()) {
		if strings.Contains(text, "[outcome-unstored]") {
			n++
			line = unstored{text, fieldOf(t, text, "error"), fieldOf(t, text, "close"), fieldOf(t, text, "outcomes"),
				fieldOf(t, text, "rotation")}
		}
	}
	outcomes := map[string]record.Outcome{}
	if err := json.Unmarshal([]byte(line.Rotation), &r); n != 1 || err != nil {
		t.Fatalf("%d lines, %v: %s", n, err, ps.stderr.String())
	}
	if err := json.Unmarshal([]byte(line.Outcomes), &outcomes); err != nil || len(outcomes) != 1 {
		t.Fatalf("outcomes %s, %v", line.Outcomes, err)
	}
	for id = range outcomes {
		if outcomes[id].State != record.Accepted || outcomes[id].Operation == "" {
			t.Errorf("the outcome: %+v", outcomes[id])
		}
	}
	return line, r, id
}

// raw is Firestore without anything of ours, as the console is, and where in it
// the store's documents are.
func (a *away) raw(t *testing.T) (firestore pb.FirestoreClient, documents string) {
	t.Helper()
	conn, err := grpc.NewClient(a.to, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for _, s := range a.environ {
		if name, ok := strings.CutPrefix(s, "ROTATOR_STATE=firestore://demo-away/"); ok {
			documents = "projects/demo-away/databases/" + name + "/documents"
		}
	}
	return pb.NewFirestoreClient(conn), documents
}

// enter does what the runbook says under "Entering an unstored outcome".
func (a *away) enter(t *testing.T, firestore pb.FirestoreClient, documents string, line unstored,
	r record.Rotation, id string) {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer owner")
	doc, err := firestore.GetDocument(ctx,
		&pb.GetDocumentRequest{Name: documents + "/rotations/" + state.DocID(r.Cluster)})
	if err != nil {
		t.Fatal(err)
	}
	body := doc.GetFields()["body"].GetStringValue()
	for _, want := range []string{`"attemptId":"` + r.AttemptID + `"`, `"id":"` + id + `"`,
		`"state":"intended"`} {
		if !strings.Contains(body, want) {
			t.Fatalf("the stored body lacks %s: %s", want, body)
		}
	}
	doc.Fields = map[string]*pb.Value{"body": {ValueType: &pb.Value_StringValue{StringValue: line.Rotation}}}
	if _, err := firestore.UpdateDocument(ctx,
		&pb.UpdateDocumentRequest{Document: doc,
			UpdateMask: &pb.DocumentMask{FieldPaths: []string{"body"}}}); err != nil {
		t.Fatal(err)
	}
}

package state_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/statetest"
)

// TestOlderFile: a file that an older version made, without a place for notices,
// is read as it is, and gets that place when it is written.
func TestOlderFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	f := open(t, path)
	if _, err := f.Write(t.Context(), state.Change{Fleet: &record.FleetDoc{Env: "test"}}); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("notices")) }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	if box, err := s.Outbox(t.Context()); err != nil || len(box.Notices) != 0 {
		t.Errorf("%+v, %v", box, err)
	}
	doc, err := s.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(),
		state.Change{Fleet: &doc, Notices: []record.Notice{{ID: "aa"}}}); err != nil {
		t.Fatal(err)
	}
	if box, err := s.Outbox(t.Context()); err != nil || len(box.Notices) != 1 {
		t.Errorf("%+v, %v", box, err)
	}
}

// TestOutboxFits: what people were told of, at its limit, and the notice of the
// largest hand-over stay below the limit of a document.
func TestOutboxFits(t *testing.T) {
	told := record.Standing{Sent: map[string][]string{}}
	for i := range record.MaxStanding {
		name := fmt.Sprintf("%s/northamerica-northeast1/%s-%03d", strings.Repeat("p", 30), strings.Repeat("c", 36),
			i)
		told.Sent[name] = []string{"approval-needed/12345678.99", "completes-soon/12345678.99",
			"blocked/complete-window-closed"}
	}
	r := statetest.ManyPools()
	longest := fact.Say("") // nothing but times takes the most room where it is stored
	for len(longest) < record.MaxMessage {
		longest = fact.Sayf("%v%v", longest, time.Unix(0, 0))
	}
	longest = longest.Clip(record.MaxMessage)
	n := record.Notice{ID: strings.Repeat("a", 32), Message: longest,
		HandOver: &record.HandOver{Waits: longest, Pools: map[string]bool{}}}
	for name := range r.Pools {
		n.HandOver.Pools[name] = true
	}
	for name, v := range map[string]any{"announced": told, "notice": n} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", name, len(text))
		if len(text) > state.MaxDocument/2 {
			t.Errorf("%s: %d bytes", name, len(text))
		}
	}
}

package state

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
)

func TestDocID(t *testing.T) {
	seen := map[string]policy.Ref{}
	for _, r := range []policy.Ref{{Project: "p", Location: "l", Name: "c"}, {Project: "p", Location: "l", Name: "c~2"}, {Project: "p", Location: "l-c", Name: "2"}, {Project: "p-l", Location: "c", Name: "2"}} {
		id := DocID(r)
		if other, taken := seen[id]; taken || strings.Contains(id, "/") {
			t.Errorf("%s: document id %q, taken by %s", r, id, other)
		}
		seen[id] = r
	}
}

// FuzzDecode: no stored text makes the program panic; what is read is written
// and read again as the same; a newer document is always told from a bad one.
func FuzzDecode(f *testing.F) {
	r := policy.Rotation{
		Cluster: policy.Ref{Project: "p", Location: "l", Name: "c"}, AttemptID: "one", Phase: policy.Starting,
		Call:  &policy.Call{ID: "c", Kind: policy.CallStart, IntentAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		Pools: map[string]policy.Work{"web": {Failures: 1}},
	}
	text, err := encode("7", r)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(text), `{"schema":2,"version":"1","body":{}}`, `{}`, `null`, ``, `{"schema":1,"version":"1","body":{"pools":{"":null}}}`, `{"schema":1,"version":"1","body":{"unexplained":-1,"transitions":[{}]}}`, string(text[:len(text)/2])} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var first policy.Rotation
		version, err := decode("x", text, &first)
		if err != nil {
			if !strings.Contains(err.Error(), "document x") {
				t.Errorf("%v names no document", err)
			}
			if errors.Is(err, ErrNewer) && !strings.Contains(string(text), "chema") && !strings.Contains(strings.ToLower(string(text)), "schema") {
				t.Errorf("%q is newer without a schema", text)
			}
			return
		}
		again, err := encode(version, first)
		if err != nil {
			t.Skip() // e.g. a year that JSON cannot write
		}
		var second policy.Rotation
		if got, err := decode("x", again, &second); err != nil || got != version {
			t.Fatalf("written again it reads as version %q, error %v", got, err)
		}
		third, err := encode(version, second)
		if err != nil || !reflect.DeepEqual(again, third) {
			t.Errorf("first %s\nthen %s\nerror %v", again, third, err)
		}
	})
}

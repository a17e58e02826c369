package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/operator"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// busyStore lets somebody else write first, so many times.
type busyStore struct {
	state.Store
	times int
	other func(record.FleetDoc) record.FleetDoc
}

func (b *busyStore) Write(ctx context.Context, c state.Change) (state.Change, error) {
	if b.times > 0 {
		b.times--
		doc, err := b.Fleet(ctx)
		if err != nil {
			return c, err
		}
		doc = b.other(doc)
		if _, err := b.Store.Write(ctx, state.Change{Fleet: &doc}); err != nil {
			return c, err
		}
	}
	return b.Store.Write(ctx, c)
}

// TestNoteOutlivesConflicts: what people say is said again on the newer
// document, and what others wrote meanwhile stays.
func TestNoteOutlivesConflicts(t *testing.T) {
	for _, c := range []struct {
		times int
		want  string
	}{{0, ""}, {conflicts - 1, ""}, {conflicts, "nothing was noted"}} {
		var out bytes.Buffer
		contents := state.NewMemory(true)
		s, _ := settingsOf(enough)
		h := &heard{
			said:    record.Said{By: "ann", At: time.Unix(1e9, 0)},
			reading: &reading{app: newApp(nil, &out, &out), s: s},
		}
		h.store = &busyStore{Store: contents, times: c.times, other: func(d record.FleetDoc) record.FleetDoc {
			d.Requests = append(d.Requests,
				record.Request{Kind: record.RequestRetry, Cluster: fleet.Ref{Project: "p", Location: "l", Name: "c"}})
			return d
		}}
		err := h.note(t.Context(), func(_ *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Hold(contents.Fleet, record.Target{}, time.Time{}, h.said)
		})
		doc, readErr := contents.Fleet(t.Context())
		if readErr != nil {
			t.Fatal(readErr)
		}
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, state.ErrConflict) ||
				len(doc.Holds) != 0 {
				t.Errorf("%d conflicts: %v, holds %v", c.times, err, doc.Holds)
			}
		} else if err != nil || len(doc.Holds) != 1 || len(doc.Requests) != c.times || doc.Env != "test" {
			t.Errorf("%d conflicts: %v, document %+v", c.times, err, doc)
		}
	}
}

func TestClip(t *testing.T) {
	if got := clip("a\n\tb\x00\xff" + strings.Repeat("é", 200)); len(got) > 210 ||
		strings.ContainsAny(got, "\n\t\x00") || !strings.HasSuffix(got, "…") {
		t.Errorf("%q", got)
	}
}

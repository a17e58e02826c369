package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// Heard is what a deployment's receiver got, and what it should have got.
type Heard struct {
	Stored    []record.Notice // in the order of the writes
	Delivered []record.Notice // in the order of delivery, some more than once
	Early     []record.Notice // delivered before they were stored
}

var errDeaf = errors.New("the receiver is out of reach")

// receiver is somebody to tell, at times out of reach for days, at times with an
// answer that is lost.
type receiver struct{ x *process }

// Name implements [pass.Receiver].
func (receiver) Name() string { return "receiver" }

// Notify implements [pass.Receiver].
func (r receiver) Notify(ctx context.Context, n record.Notice) error {
	x, h := r.x, &r.x.dep.heard
	if err := x.await(ctx); err != nil {
		return err
	}
	if x.sometimes(0.03) {
		x.dep.deafUntil = x.now.Add(x.between(time.Minute, 4*day))
	}
	if !x.calm && x.now.Before(x.dep.deafUntil) {
		x.fault("receiver out of reach")
		return errDeaf
	}
	h.Delivered = append(h.Delivered, n)
	if !slices.ContainsFunc(h.Stored, func(o record.Notice) bool { return o.ID == n.ID }) {
		h.Early = append(h.Early, n)
	}
	x.reach(elsewhere, fleet.Ref{})
	if x.sometimes(0.1) {
		x.fault("receiver's answer lost")
		return errDeaf
	}
	return x.alive(nobody)
}

// Wrong says what is not as it was promised: each notice that was stored came at
// least once, none before it was stored, those of a cluster in their order.
func (h Heard) Wrong() (wrong []string) {
	for _, n := range h.Early {
		wrong = append(wrong, fmt.Sprintf("%s of %s came before it was stored", n.Kind, n.Subject()))
	}
	first := map[string]int{}
	for i, n := range h.Delivered {
		if _, came := first[n.ID]; !came {
			first[n.ID] = i
		}
	}
	last, stored := map[fleet.Ref]int{}, map[string]bool{}
	for _, n := range h.Stored {
		at, came := first[n.ID]
		switch {
		case stored[n.ID]:
			wrong = append(wrong, fmt.Sprintf("%s of %s was stored twice", n.Kind, n.Subject()))
		case !came:
			wrong = append(wrong, fmt.Sprintf("%s of %s, stored %s, never came", n.Kind, n.Subject(),
				n.At.Format(time.RFC3339)))
		case at < last[n.Cluster]:
			wrong = append(wrong, fmt.Sprintf("%s of %s came before an earlier one", n.Kind, n.Subject()))
		default:
			last[n.Cluster] = at
		}
		stored[n.ID] = true
	}
	return wrong
}

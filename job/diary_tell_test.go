package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// listener writes down what people are told in a diary.
type listener struct{ d *diary }

func (listener) Name() string { return "diary" }

func (l listener) Notify(_ context.Context, n record.Notice) error {
	if l.d.deaf["diary"] {
		return errors.New("no answer")
	}
	l.d.heard = append(l.d.heard, n)
	return nil
}

// second is another receiver, of which only is known whether it answers.
type second struct{ d *diary }

func (second) Name() string { return "topic" }

func (s second) Notify(context.Context, record.Notice) error {
	if s.d.deaf["topic"] {
		return errors.New("no answer")
	}
	return nil
}

func (d *diary) listen() {
	d.game.Pass.Notify = []pass.Receiver{listener{d}}
	if _, named := d.deaf["topic"]; named {
		d.game.Pass.Notify = append(d.game.Pass.Notify, second{d})
	}
}

// showTold writes what people were told since the last time.
func (d *diary) showTold() {
	for _, n := range d.heard[d.shown:] {
		name := n.Cluster.Name
		if name == "" {
			name = "(the fleet)"
		}
		fmt.Fprintf(&d.out, "%s  %-16s  @ %s: %s\n", stamp(n.At), name, n.Kind, n.Message)
		if next := words.Plain(n.Next(), n.Subject(), ""); next != "" {
			fmt.Fprintf(&d.out, "%41s %s\n", "next:", next)
		}
	}
	d.shown = len(d.heard)
}

// afterwards says which kinds of one attempt come only after another.
var afterwards = map[record.NoticeKind][]record.NoticeKind{
	record.NoticeStartsSoon:    nil,
	record.NoticeHandedOver:    {record.NoticeForeign, record.NoticeStartsSoon, record.NoticeApprovalNeeded},
	record.NoticeNodesDone:     {record.NoticeHandedOver},
	record.NoticeCompletesSoon: {record.NoticeNodesDone},
	record.NoticeCompleted: {record.NoticeCompletesSoon, record.NoticeCompletedExternally,
		record.NoticeNodesDone},
	record.NoticeApprovalNeeded: nil,
}

// judgeTold: whatever a diary is about, nothing is told twice, all of it says
// what it means, and what is told of a cluster is in an order that makes sense.
func (d *diary) judgeTold() {
	ids := map[string]bool{}
	last := map[fleet.Ref]record.Notice{}
	for _, n := range d.heard {
		if ids[n.ID] || n.ID == "" {
			d.t.Errorf("%s %s: the id %q is told twice", n.Kind, n.Cluster, n.ID)
		}
		ids[n.ID] = true
		if len(n.Message) == 0 || n.Run == "" || n.At.IsZero() || n.Kind.About().Tells == "" {
			d.t.Errorf("a notice that says too little: %+v", n)
		}
		before := last[n.Cluster]
		if n.At.Before(before.At) || slices.Contains(afterwards[before.Kind], n.Kind) && n.At.Equal(before.At) {
			d.t.Errorf("%s: %s of %s is told before %s of %s", n.Cluster, before.Kind, before.At, n.Kind, n.At)
		}
		last[n.Cluster] = n
		heardKinds.Store(n.Kind, true)
	}
	if box, err := d.game.Store.Outbox(context.Background()); err != nil || len(box.Notices) != 0 {
		d.t.Errorf("%d notices are left, %v", len(box.Notices), err)
	}
}

var heardKinds sync.Map

// everyKindHeard: the diaries together tell of everything there is to be told.
func everyKindHeard(t *testing.T) {
	for _, k := range record.NoticeKinds {
		if _, ok := heardKinds.Load(k.Kind); !ok && !t.Failed() {
			t.Errorf("no diary tells %s", k.Kind)
		}
	}
}

// receiver lets one answer, or not, or be named no more.
func (d *diary) receiver(name, how string) error {
	d.deaf[name] = how == "away"
	if how == "gone" {
		delete(d.deaf, name)
	}
	if err := d.begin(); err != nil {
		return err
	}
	d.listen()
	return nil
}

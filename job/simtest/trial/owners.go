package trial

import (
	"fmt"
	"math/rand/v2"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
)

// owners steer by labels on their clusters, in some plays. They have dice of
// their own, so that in all others nothing is different for them.
type owners struct {
	p    *play
	dice *rand.Rand
	busy bool // this is such a play
}

func newOwners(p *play) *owners {
	dice := rand.New(rand.NewPCG(p.Seed, 0x6c62)) //nolint:gosec // seeded on purpose: a play is repeatable
	return &owners{p: p, dice: dice, busy: p.Faults && dice.IntN(4) == 0}
}

// allowed draws OWNER_LABELS.
func (o *owners) allowed() rules.OwnerLabels {
	if !o.busy {
		return rules.OwnerLabelsHold
	}
	return []rules.OwnerLabels{rules.OwnerLabelsOff, rules.OwnerLabelsHold, rules.OwnerLabelsBoth,
		rules.OwnerLabelsBoth}[o.dice.IntN(4)]
}

// approve says whether the yes is left to owners' labels: nobody says it by
// command, so that all rests on what the labels say.
func (o *owners) approve(d *deployment) bool {
	return o.busy && !o.p.calm && d.policy.OwnerLabels == rules.OwnerLabelsBoth
}

// act lets the owners of one cluster say something, rightly or wrongly.
func (o *owners) act() {
	p := o.p
	if p.calm {
		return
	}
	p.in(time.Hour+time.Duration(o.dice.Int64N(int64(10*time.Hour))), o.act)
	refs := p.refs()
	if len(refs) == 0 {
		return
	}
	ref := refs[o.dice.IntN(len(refs))]
	what, labels := o.say(ref)
	o.set(ref, what, labels)
}

// say draws what they say; the values are written as the documents have them,
// without the planner's code.
func (o *owners) say(ref fleet.Ref) (what string, labels map[string]string) {
	day := func(least, most int) string {
		return o.p.now.AddDate(0, 0, least+o.dice.IntN(most-least)).Format(time.DateOnly)
	}
	switch o.dice.IntN(14) {
	case 0:
		return "hold", map[string]string{"rotator-hold": "launch"}
	case 1, 2:
		return "hold until", map[string]string{"rotator-hold-until": day(-1, 4)}
	case 3:
		return "hold until nonsense", map[string]string{"rotator-hold-until": "soon"}
	case 4, 5:
		return "hold no longer", nil
	}
	c := o.p.cache.Now(ref).Cluster
	for _, d := range o.p.deployments {
		b, err := d.contents.Contents(nobody)
		if r, flies := b.Rotations[ref]; err == nil && flies {
			entry := r.Entries - o.dice.IntN(2)*o.dice.IntN(2) // now and then an older one's
			return "approve the completion",
				map[string]string{"rotator-approve": fmt.Sprintf("complete-%.16s-%d", r.AttemptID, entry)}
		}
	}
	return "approve the start",
		map[string]string{"rotator-approve": fmt.Sprintf("start-%.16s-%s", oldest(c).Fingerprint, day(-1, 17))}
}

// set puts labels in place of those that steered before.
func (o *owners) set(ref fleet.Ref, what string, labels map[string]string) {
	p := o.p
	changed := p.edit(ref, func(pb *containerpb.Cluster) bool {
		if pb.ResourceLabels == nil {
			pb.ResourceLabels = map[string]string{}
		}
		for _, key := range []string{"rotator-hold", "rotator-hold-until", "rotator-approve"} {
			delete(pb.ResourceLabels, key)
		}
		for key, value := range labels {
			pb.ResourceLabels[key] = value
		}
		return true
	})
	if changed {
		p.fault("owners' label: " + what)
		p.noticed(ref, "its owners: "+what)
	}
}

// rest takes all their labels off: people hold nothing for ever.
func (o *owners) rest() {
	for _, ref := range o.p.refs() {
		if o.busy {
			o.set(ref, "hold no longer", nil)
		}
	}
}

package trial

import (
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// meddle is somebody outside who does something to a cluster.
func (p *play) meddle() {
	if p.calm {
		return
	}
	p.in(p.between(p.rates.outside/2, 2*p.rates.outside), p.meddle)
	refs := p.refs()
	if len(refs) == 0 {
		return
	}
	ref := pick(p, refs...)
	deed := pick(p, deeds...)
	if !deed.do(p, ref) {
		return
	}
	p.fault("outside: " + deed.what)
	p.noticed(ref, deed.what)
}

// noticed tells what somebody did to a cluster.
func (p *play) noticed(ref fleet.Ref, what string) {
	p.world.Advance(p.now)
	p.cache.Add(ref)
	p.tell(&Event{Kind: Outside, Cluster: ref, Text: what, Fact: p.fact(ref)})
	p.refresh()
	p.stir()
}

// deed is something that happens to a cluster without us; do says whether it
// did.
type deed struct {
	what string
	do   func(*play, fleet.Ref) bool
}

var deeds = []deed{
	{"somebody starts a rotation", func(p *play, ref fleet.Ref) bool {
		// Of an alpha cluster nobody can recreate the nodes: it would stay so.
		return !p.cache.Now(ref).Cluster.Alpha && p.cloud.Start(nobody, ref).State == record.Accepted
	}},
	{"somebody completes the rotation", func(p *play, ref fleet.Ref) bool {
		return p.cloud.Complete(nobody, ref).State == record.Accepted
	}},
	{"somebody upgrades a node pool", func(p *play, ref fleet.Ref) bool {
		pools := p.cache.Now(ref).Cluster.Pools
		return len(pools) > 0 && p.cloud.Recreate(nobody, ref, pick(p, pools...)).State == record.Accepted
	}},
	{"a node pool is added", func(p *play, ref fleet.Ref) bool {
		return p.edit(ref, func(pb *containerpb.Cluster) bool {
			if pb.GetAutopilot().GetEnabled() || len(pb.GetNodePools()) > 5 {
				return false
			}
			p.fleet.added++
			pb.NodePools = append(pb.NodePools, p.pool(fmt.Sprintf("added-%d", p.fleet.added),
				pb.GetCurrentMasterVersion(), 1))
			return true
		})
	}},
	{"a node pool is removed", func(p *play, ref fleet.Ref) bool {
		if p.busy(ref) {
			return false
		}
		return p.edit(ref, func(pb *containerpb.Cluster) bool {
			if len(pb.GetNodePools()) < 2 || pb.GetAutopilot().GetEnabled() {
				return false
			}
			pb.NodePools = pb.GetNodePools()[:len(pb.GetNodePools())-1]
			return true
		})
	}},
	{"the maintenance policy is changed", func(p *play, ref fleet.Ref) bool {
		return p.edit(ref, func(pb *containerpb.Cluster) bool {
			pb.MaintenancePolicy = p.maintenance()
			return true
		})
	}},
	{"its labels are changed", func(p *play, ref fleet.Ref) bool {
		return p.edit(ref, func(pb *containerpb.Cluster) bool {
			pb.ResourceLabels = p.labels()
			return true
		})
	}},
	{"its next node work will fail", func(p *play, ref fleet.Ref) bool {
		return p.world.Spoil(ref.Path(), "UPGRADE_NODES", "stockout: no capacity", 1+p.dice.IntN(2)) == nil
	}},
	{"its next start or completion will fail", func(p *play, ref fleet.Ref) bool {
		return p.world.Spoil(ref.Path(), "UPDATE_CLUSTER", "internal error", 1) == nil
	}},
	{"GKE still requires a recreation", func(p *play, ref fleet.Ref) bool {
		pools := p.cache.Now(ref).Cluster.Pools
		return len(pools) > 0 && p.world.Require(ref.Path(), pick(p, pools...).Name) == nil
	}},
	{"the cluster is deleted", func(p *play, ref fleet.Ref) bool {
		if !p.likely(0.3) {
			return false
		}
		p.world.Remove(ref.Path())
		return true
	}},
	{"the cluster is made anew", func(p *play, ref fleet.Ref) bool {
		if !p.likely(0.3) {
			return false
		}
		p.world.Remove(ref.Path())
		return p.fleet.make(p, ref, "") == nil
	}},
}

// edit changes what the API shows of a cluster.
func (p *play) edit(ref fleet.Ref, change func(*containerpb.Cluster) bool) bool {
	did := false
	err := p.world.Change(ref.Path(), func(pb *containerpb.Cluster) { did = change(pb) })
	return err == nil && did
}

// busy says whether an operation runs on the cluster.
func (p *play) busy(ref fleet.Ref) bool {
	return slices.ContainsFunc(p.cache.Operations(ref.Project, p.now)[ref], running)
}

// grow adds a cluster to a dev fleet that keeps growing.
func (p *play) grow() {
	if p.now.After(p.Calm.Add(-2*day)) || len(p.refs()) > 3*p.Clusters {
		return
	}
	p.in(p.between(12*time.Hour, 6*day), p.grow)
	ref, err := p.fleet.add(p, "dev")
	if err != nil {
		return
	}
	p.fault("dev fleet grows")
	p.tell(&Event{Kind: Outside, Cluster: ref, Text: "a cluster is made", Fact: p.fact(ref)})
	p.stir()
}

package gke

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"gke-credential-rotator/gke/maintenance"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// nameOf is the cluster's name, if it can be one of ours. Nothing else of the
// answer reaches a path, a document id or a command.
func nameOf(project string, pb *containerpb.Cluster) (fleet.Ref, error) {
	ref := fleet.Ref{Project: project, Location: location(pb), Name: pb.GetName()}
	if read, err := fleet.ParseRef(ref.String()); err != nil || read != ref {
		return fleet.Ref{}, fmt.Errorf("GKE lists a cluster %.200q in %.100q, a name that would break a path or a document id: %w", ref.Name, ref.Location, errUnnameable)
	}
	return ref, nil
}

// fromProto is the only place where the API's cluster becomes ours.
func fromProto(project string, pb *containerpb.Cluster) fleet.Cluster {
	location := location(pb)
	c := fleet.Cluster{
		Ref:         fleet.Ref{Project: project, Location: location, Name: pb.GetName()},
		ID:          pb.GetId(),
		Status:      fleet.Status(pb.GetStatus().String()),
		Labels:      pb.GetResourceLabels(),
		Bundle:      fleet.ParseBundle(pb.GetMasterAuth().GetClusterCaCertificate()),
		Endpoint:    endpoint(pb),
		DNS:         pb.GetControlPlaneEndpointsConfig().GetDnsEndpointConfig().GetEndpoint(),
		DNSExternal: pb.GetControlPlaneEndpointsConfig().GetDnsEndpointConfig().GetAllowExternalTraffic(),
		Autopilot:   pb.GetAutopilot().GetEnabled(),
		Zonal:       strings.Count(location, "-") == 2,
		Alpha:       pb.GetEnableKubernetesAlpha(),
		CustomerCA:  pb.GetUserManagedKeysConfig().GetClusterCa() != "",
		Version:     pb.GetCurrentMasterVersion(),
		Etag:        pb.GetEtag(),
		Maintenance: maintenance.Of(pb.GetMaintenancePolicy()),
	}
	for _, cond := range pb.GetConditions() {
		c.Conditions = append(c.Conditions, condition(cond))
	}
	c.Words = said(pb.GetConditions(), pb.GetStatusMessage()) //nolint:staticcheck // what older answers have
	initial := 0
	for _, p := range pb.GetNodePools() {
		initial += initialNodes(p, pb)
	}
	live := counted(pb.GetCurrentNodeCount(), 1) //nolint:staticcheck // the only live count there is
	for _, p := range pb.GetNodePools() {
		c.Pools = append(c.Pools, poolFromProto(p, pb, nodes(p, pb, initial, live)))
	}
	return c
}

// location is the cluster's region or zone.
func location(pb *containerpb.Cluster) string {
	return cmp.Or(pb.GetLocation(), pb.GetZone()) //nolint:staticcheck // recordings older than locations have only the zone
}

// endpoint is where the control plane is advertised: public, else private.
func endpoint(pb *containerpb.Cluster) string {
	ip := pb.GetControlPlaneEndpointsConfig().GetIpEndpointsConfig()
	if ip != nil && ip.Enabled != nil && !ip.GetEnabled() {
		return "" // what then stands in the other fields leads nowhere
	}
	private := pb.GetPrivateClusterConfig()
	return cmp.Or(pb.GetEndpoint(), ip.GetPublicEndpoint(), ip.GetPrivateEndpoint(),
		private.GetPublicEndpoint(), private.GetPrivateEndpoint()) //nolint:staticcheck // what older clusters have
}

// condition is the condition's code. The code is deprecated, and what replaces
// it cannot say CA_EXPIRING: then the text must do.
func condition(cond *containerpb.StatusCondition) string {
	code := cond.GetCode() //nolint:staticcheck // see above
	if code == containerpb.StatusCondition_UNKNOWN && caExpiring.MatchString(cond.GetMessage()) {
		code = containerpb.StatusCondition_CA_EXPIRING
	}
	return code.String()
}

// said is what GKE says of a status: its conditions, else the old message.
func said(conditions []*containerpb.StatusCondition, message string) string {
	var out []string
	for _, cond := range conditions {
		code := condition(cond)
		if code == containerpb.StatusCondition_UNKNOWN.String() {
			code = cond.GetCanonicalCode().String()
		}
		out = append(out, strings.TrimSpace(code+" "+cond.GetMessage()))
	}
	return record.Clip(cmp.Or(strings.Join(out, "; "), message))
}

var caExpiring = regexp.MustCompile(`(?i)\bCA\b.*\bexpir`)

// initialNodes is how many nodes the pool was made with, in all its zones.
func initialNodes(p *containerpb.NodePool, c *containerpb.Cluster) int {
	return counted(p.GetInitialNodeCount(), zones(p, c))
}

// mostNodes is more than any cluster has: GKE's limit is 65,000.
const mostNodes = 1_000_000

// counted is so many nodes in so many zones, within what can be.
func counted(n int32, zones int) int { return min(max(int(n), 0)*zones, mostNodes) }

// zones is in how many zones the pool has nodes.
func zones(p *containerpb.NodePool, c *containerpb.Cluster) int {
	if n := len(p.GetLocations()); n > 0 {
		return n
	}
	return max(len(c.GetLocations()), 1)
}

// What GKE does with a blue-green pool unless told otherwise. (docs.cloud.google.com/
// kubernetes-engine, "Node upgrade strategies")
const (
	drainWait   = 3 * 24 * time.Hour // before an autoscaled pool is drained
	defaultSoak = time.Hour          // before the old nodes go
	drainGroup  = 20                 // nodes that an autoscaled pool drains at a time
)

// longestWait is more than GKE lets any part of a blue-green upgrade wait, which
// is a week; sums of it stay in range.
const longestWait = 100 * 24 * time.Hour

// wait reads a wait, which absent is the default.
func wait(d *durationpb.Duration, absent time.Duration) time.Duration {
	if d == nil {
		return absent
	}
	return min(max(d.AsDuration(), 0), longestWait)
}

// blueGreen is in how many batches the old nodes of a blue-green pool are drained, and
// how long all of it waits on purpose: after each batch, before an autoscaled drain,
// and before the old nodes go.
func blueGreen(s *containerpb.BlueGreenSettings, nodes int) (batches int, waits time.Duration) {
	if a := s.GetAutoscaledRolloutPolicy(); a != nil {
		return max((nodes+drainGroup-1)/drainGroup, 1), wait(a.GetWaitForDrainDuration(), drainWait)
	}
	standard, size := s.GetStandardRolloutPolicy(), 1
	if n := int(standard.GetBatchNodeCount()); n > 0 {
		size = n
	} else if part := float64(standard.GetBatchPercentage()); part > 0 {
		size = max(int(float64(nodes)*min(part, 1)), 1)
	}
	batches = max((nodes+size-1)/size, 1)
	waits = wait(s.GetNodePoolSoakDuration(), defaultSoak)
	each := wait(standard.GetBatchSoakDuration(), 0)
	if each > 0 && batches > int(longestWait/each) {
		return batches, waits + longestWait
	}
	return batches, waits + time.Duration(batches)*each
}

// shortLived is how long flex-start and queued nodes may live, at most GKE's seven
// days; zero: the pool has none.
func shortLived(p *containerpb.NodePool) time.Duration {
	config := p.GetConfig()
	if p.GetUpgradeSettings().GetStrategy() == containerpb.NodePoolUpdateStrategy_SHORT_LIVED ||
		config.GetFlexStart() || p.GetQueuedProvisioning().GetEnabled() {
		const most = 7 * 24 * time.Hour
		return min(wait(config.GetMaxRunDuration(), most), most)
	}
	return 0
}

// nodes is the best count of the pool's nodes that the API allows: as it was
// made, scaled to what the cluster has now, never less than its autoscaler's
// least. Where nothing tells how the live ones are shared, each pool counts as
// having them all.
func nodes(p *containerpb.NodePool, c *containerpb.Cluster, initial, live int) int {
	n := initialNodes(p, c)
	switch {
	case initial == 0:
		n = live
	case live > initial:
		n = (n*live + initial - 1) / initial
	}
	if a := p.GetAutoscaling(); a.GetEnabled() {
		n = max(n, counted(a.GetMinNodeCount(), zones(p, c)), counted(a.GetTotalMinNodeCount(), 1))
	}
	return n
}

func poolFromProto(p *containerpb.NodePool, c *containerpb.Cluster, nodes int) fleet.Pool {
	up := p.GetUpgradeSettings()
	pool := fleet.Pool{
		Name: p.GetName(), Version: p.GetVersion(), Image: p.GetConfig().GetImageType(),
		Status: fleet.Status(p.GetStatus().String()), Etag: p.GetEtag(), Nodes: nodes,
		Words:       said(p.GetConditions(), p.GetStatusMessage()), //nolint:staticcheck // what older answers have
		Reservation: reservation(p.GetConfig().GetReservationAffinity()),
		BlueGreen:   up.GetStrategy() == containerpb.NodePoolUpdateStrategy_BLUE_GREEN,
		MaxSurge:    counted(up.GetMaxSurge(), 1), MaxUnavailable: counted(up.GetMaxUnavailable(), 1),
		Zones: zones(p, c), Atomic: p.GetPlacementPolicy().GetTpuTopology() != "", ShortLived: shortLived(p),
		DrainTimeout: wait(p.GetNodeDrainConfig().GetPdbTimeoutDuration(), 0),
	}
	if pool.BlueGreen {
		pool.Batches, pool.PoolSoak = blueGreen(up.GetBlueGreenSettings(), nodes)
	}
	if e := p.GetMaintenancePolicy().GetExclusionUntilEndOfSupport(); e.GetEnabled() {
		pool.Exclusion = &window.Exclusion{Name: p.GetName(), Scope: window.NoMinorOrNodeUpgrades,
			UntilEndOfSupport: e.GetEndTime() == nil}
		if e.GetStartTime() != nil {
			pool.Exclusion.Span.Start = e.GetStartTime().AsTime()
		}
		if e.GetEndTime() != nil {
			pool.Exclusion.Span.End = e.GetEndTime().AsTime()
		}
	}
	if unknown := p.GetMaintenancePolicy().ProtoReflect().GetUnknown(); len(unknown) > 0 &&
		pool.Exclusion == nil {
		// Absent rules are not permission, and what these say nobody knows.
		pool.Exclusion = &window.Exclusion{Name: "of a kind that this version does not know",
			Scope: window.NoUpgrades, UntilEndOfSupport: true}
	}
	return pool
}

// reservation is the one that a pool's nodes come from, and from nowhere else.
func reservation(a *containerpb.ReservationAffinity) string {
	if a.GetConsumeReservationType() != containerpb.ReservationAffinity_SPECIFIC_RESERVATION {
		return ""
	}
	return cmp.Or(strings.Join(a.GetValues(), ", "), "one of its own")
}

// operationFromProto reads an operation and the cluster that its target link
// names: the link may say zones or locations, and the project's number.
func operationFromProto(project string, pb *containerpb.Operation) (fleet.Ref, fleet.Operation, bool) {
	ref, pool := parseTarget(project, pb.GetTargetLink())
	op := fleet.Operation{
		Name: pb.GetName(), Type: pb.GetOperationType().String(), Pool: pool,
		Done:  pb.GetStatus() == containerpb.Operation_DONE,
		Start: parseTime(pb.GetStartTime()), End: parseTime(pb.GetEndTime()),
	}
	for _, m := range pb.GetProgress().GetMetrics() {
		switch n := int(min(max(m.GetIntValue(), 0), mostNodes)); m.GetName() {
		case "NODES_TOTAL":
			op.Nodes = n
		case "NODES_DONE":
			op.NodesDone = n
		}
	}
	if op.Done {
		op.Error = cmp.Or(pb.GetError().GetMessage(), pb.GetStatusMessage()) //nolint:staticcheck // gcloud treats it as failure too
		if op.Error == "" && pb.GetError().GetCode() != 0 {
			op.Error = "failed without a message"
		}
	}
	return ref, op, ref.Name != ""
}

// parseTarget reads which cluster and pool a link is about.
func parseTarget(project, link string) (ref fleet.Ref, pool string) {
	ref.Project = project
	parts := strings.Split(link, "/")
	for i, next := range parts[1:] {
		switch parts[i] {
		case "locations", "zones":
			ref.Location = next
		case "clusters":
			ref.Name = next
		case "nodePools":
			pool = next
		}
	}
	return ref, pool
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

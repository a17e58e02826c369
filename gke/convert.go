package gke

import (
	"strings"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke/maintenance"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/window"
)

// fromProto is the only place where the API's cluster becomes ours.
func fromProto(project string, pb *containerpb.Cluster) policy.Cluster {
	location := pb.GetLocation()
	if location == "" {
		location = pb.GetZone() //nolint:staticcheck // recordings older than locations have only this
	}
	c := policy.Cluster{
		Ref:         policy.Ref{Project: project, Location: location, Name: pb.GetName()},
		ID:          pb.GetId(),
		Status:      policy.Status(pb.GetStatus().String()),
		Labels:      pb.GetResourceLabels(),
		Bundle:      policy.ParseBundle(pb.GetMasterAuth().GetClusterCaCertificate()),
		Endpoint:    pb.GetEndpoint(),
		DNS:         pb.GetControlPlaneEndpointsConfig().GetDnsEndpointConfig().GetEndpoint(),
		Autopilot:   pb.GetAutopilot().GetEnabled(),
		Zonal:       strings.Count(location, "-") == 2,
		Alpha:       pb.GetEnableKubernetesAlpha(),
		CustomerCA:  pb.GetUserManagedKeysConfig().GetClusterCa() != "",
		Version:     pb.GetCurrentMasterVersion(),
		Etag:        pb.GetEtag(),
		Maintenance: maintenance.Of(pb.GetMaintenancePolicy()),
	}
	for _, cond := range pb.GetConditions() {
		c.Conditions = append(c.Conditions, cond.GetCode().String()) //nolint:staticcheck // canonical_code cannot say CA_EXPIRING
	}
	initial := 0
	for _, p := range pb.GetNodePools() {
		initial += initialNodes(p, pb)
	}
	live := int(pb.GetCurrentNodeCount()) //nolint:staticcheck // the only live count there is
	for _, p := range pb.GetNodePools() {
		c.Pools = append(c.Pools, poolFromProto(p, pb, initial, live))
	}
	return c
}

// initialNodes is how many nodes the pool was made with, in all its zones.
func initialNodes(p *containerpb.NodePool, c *containerpb.Cluster) int {
	zones := len(p.GetLocations())
	if zones == 0 {
		zones = len(c.GetLocations())
	}
	return int(p.GetInitialNodeCount()) * max(zones, 1)
}

func poolFromProto(p *containerpb.NodePool, c *containerpb.Cluster, initial, live int) policy.Pool {
	up := p.GetUpgradeSettings()
	pool := policy.Pool{
		Name: p.GetName(), Version: p.GetVersion(), Image: p.GetConfig().GetImageType(),
		Status: policy.Status(p.GetStatus().String()), Etag: p.GetEtag(),
		Nodes:     initialNodes(p, c),
		BlueGreen: up.GetStrategy() == containerpb.NodePoolUpdateStrategy_BLUE_GREEN,
		PoolSoak:  up.GetBlueGreenSettings().GetNodePoolSoakDuration().AsDuration(),
		MaxSurge:  int(up.GetMaxSurge()), MaxUnavailable: int(up.GetMaxUnavailable()),
	}
	if live > initial && initial > 0 {
		pool.Nodes = (pool.Nodes*live + initial - 1) / initial
	}
	if e := p.GetMaintenancePolicy().GetExclusionUntilEndOfSupport(); e.GetEnabled() {
		pool.Exclusion = &window.Exclusion{Name: p.GetName(), Scope: window.NoMinorOrNodeUpgrades, UntilEndOfSupport: e.GetEndTime() == nil}
		if e.GetStartTime() != nil {
			pool.Exclusion.Span.Start = e.GetStartTime().AsTime()
		}
		if e.GetEndTime() != nil {
			pool.Exclusion.Span.End = e.GetEndTime().AsTime()
		}
	}
	return pool
}

// anyMissing says whether the cluster lies in a zone that did not answer.
func anyMissing(pb *containerpb.Cluster, missing []string) bool {
	for _, zone := range missing {
		if pb.GetLocation() == zone || strings.HasPrefix(zone, pb.GetLocation()+"-") {
			return true
		}
	}
	return false
}

// operationFromProto reads an operation and the cluster that its target link
// names: the link may say zones or locations, and the project's number.
func operationFromProto(project string, pb *containerpb.Operation) (policy.Ref, policy.Operation, bool) {
	parts := strings.Split(pb.GetTargetLink(), "/")
	ref := policy.Ref{Project: project}
	op := policy.Operation{
		Name: pb.GetName(), Type: pb.GetOperationType().String(),
		Done:  pb.GetStatus() == containerpb.Operation_DONE,
		Start: parseTime(pb.GetStartTime()), End: parseTime(pb.GetEndTime()),
	}
	for i := 0; i+1 < len(parts); i++ {
		switch parts[i] {
		case "locations", "zones":
			ref.Location = parts[i+1]
		case "clusters":
			ref.Name = parts[i+1]
		case "nodePools":
			op.Pool = parts[i+1]
		}
	}
	if op.Done {
		op.Error = pb.GetError().GetMessage()
		if op.Error == "" {
			op.Error = pb.GetStatusMessage() //nolint:staticcheck // gcloud treats it as failure too
		}
		if op.Error == "" && pb.GetError().GetCode() != 0 {
			op.Error = "failed without a message"
		}
	}
	return ref, op, ref.Name != ""
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

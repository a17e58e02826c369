package trial

import (
	"encoding/base64"
	"fmt"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/genproto/googleapis/type/timeofday"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy/fleet"
)

var places = []string{
	"europe-west1", "europe-west1-b", "europe-west1-c", "us-central1", "us-central1-a", "asia-south1",
	"asia-south1-b", "europe-north1-a",
}

// fleetMaker makes clusters.
type fleetMaker struct {
	projects []string
	made     int
	added    int           // node pools, from outside
	week     time.Duration // oneWeek: when all CAs expire, from the begin
}

func (p *play) drawFleet() fleetMaker {
	f := fleetMaker{week: p.between(50*day, 230*day)}
	for i := range 1 + p.dice.IntN(4) {
		f.projects = append(f.projects, fmt.Sprintf("project-%d", i))
	}
	return f
}

// add makes one cluster more. env is its label; "": any.
func (f *fleetMaker) add(p *play, env string) (fleet.Ref, error) {
	f.made++
	ref := fleet.Ref{Project: pick(p, f.projects...), Location: pick(p, places...),
		Name: fmt.Sprintf("c%02d", f.made)}
	p.out.Clusters++
	p.out.ClusterDays += p.End.Sub(p.now).Hours() / 24
	return ref, f.make(p, ref, env)
}

// make puts a cluster of that name into GKE.
func (f *fleetMaker) make(p *play, ref fleet.Ref, env string) error {
	issued, expires := f.life(p)
	id := fmt.Sprintf("id-%s-%d", ref.Name, p.dice.IntN(1_000_000))
	pem := gkesim.IssueCA(int64(p.Seed), ref.String()+id, issued, expires) //nolint:gosec // any mapping will do
	pb := &containerpb.Cluster{
		Name: ref.Name, Location: ref.Location, Id: id, Status: containerpb.Cluster_RUNNING, Endpoint: "34.1.2.3",
		CurrentMasterVersion: pick(p, "1.33.5-gke.1080000", "1.32.9-gke.1000000"), ResourceLabels: p.labels(),
		MaintenancePolicy: p.maintenance(),
		MasterAuth:        &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(pem))},
	}
	if env != "" {
		pb.ResourceLabels["env"] = env
	}
	p.nature(pb)
	if err := p.world.Add(ref.Project, pb); err != nil {
		return broken("make "+ref.String(), err)
	}
	p.cache.Add(ref)
	return nil
}

// life draws when the CA was issued and when it expires.
func (f *fleetMaker) life(p *play) (issued, expires time.Time) {
	years := time.Duration(5)
	var left time.Duration
	switch n := p.dice.IntN(20); {
	case p.rates.oneWeek:
		left = f.week + p.between(0, 7*day)
	case n < 8:
		left = p.between(60*day, 200*day)
	case n < 12:
		left = p.between(180*day, 260*day)
	case n < 14:
		left = p.between(33*day, 60*day)
	case n < 15:
		left = p.between(2*day, 33*day)
	case n == 15 && p.likely(0.3):
		left = -p.between(time.Hour, 20*day)
	default:
		years, left = 30, p.between(28*365*day, 30*365*day)
	}
	expires = p.now.Add(left).Truncate(time.Second)
	return expires.Add(-years * 365 * day), expires
}

// nature draws what kind of cluster it is, and its pools.
func (p *play) nature(pb *containerpb.Cluster) {
	switch n := p.dice.IntN(40); {
	case n < 5:
		pb.Autopilot = &containerpb.Autopilot{Enabled: true}
	case n == 5:
		pb.EnableKubernetesAlpha = true
	case n == 6:
		pb.UserManagedKeysConfig = &containerpb.UserManagedKeysConfig{ClusterCa: "projects/p/locations/l/caPools/x"}
	case n == 7:
		pb.Status = pick(p, containerpb.Cluster_ERROR, containerpb.Cluster_DEGRADED)
	}
	zone := pb.GetLocation()
	if len(zone) > 0 && zone[len(zone)-2] != '-' {
		pb.Locations = []string{zone + "-a", zone + "-b", zone + "-c"}[:1+p.dice.IntN(3)]
	}
	if pb.GetControlPlaneEndpointsConfig() == nil && p.likely(0.3) {
		pb.ControlPlaneEndpointsConfig = &containerpb.ControlPlaneEndpointsConfig{DnsEndpointConfig: &containerpb.ControlPlaneEndpointsConfig_DNSEndpointConfig{Endpoint: "gke-" + pb.GetName() + ".example"}}
	}
	for i := range pick(p, 0, 1, 1, 1, 2, 2, 3, 4) {
		pb.NodePools = append(pb.NodePools, p.pool(fmt.Sprintf("pool-%d", i), pb.GetCurrentMasterVersion(),
			pick(p, 0, 1, 1, 2, 3, 6, 12)))
	}
}

// pool draws a node pool.
func (p *play) pool(name, version string, nodes int) *containerpb.NodePool {
	pool := &containerpb.NodePool{
		Name: name, InitialNodeCount: int32(nodes), Version: version, Status: containerpb.NodePool_RUNNING, Etag: "etag-" + name, //nolint:gosec // small
		Config:          &containerpb.NodeConfig{ImageType: "COS_CONTAINERD"},
		UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: int32(1 + p.dice.IntN(3)), MaxUnavailable: int32(p.dice.IntN(2))}, //nolint:gosec // small
	}
	switch p.dice.IntN(12) {
	case 0:
		strategy := containerpb.NodePoolUpdateStrategy_BLUE_GREEN
		pool.UpgradeSettings = &containerpb.NodePool_UpgradeSettings{Strategy: &strategy,
			BlueGreenSettings: &containerpb.BlueGreenSettings{
				NodePoolSoakDuration: durationpb.New(p.between(0, 12*time.Hour)),
				RolloutPolicy: &containerpb.BlueGreenSettings_StandardRolloutPolicy_{StandardRolloutPolicy: &containerpb.BlueGreenSettings_StandardRolloutPolicy{
					UpdateBatchSize:   &containerpb.BlueGreenSettings_StandardRolloutPolicy_BatchNodeCount{BatchNodeCount: 1},
					BatchSoakDuration: durationpb.New(p.between(0, 30*time.Minute)),
				}},
			}}
	case 1:
		pool.Autoscaling = &containerpb.NodePoolAutoscaling{Enabled: true, MinNodeCount: 1, MaxNodeCount: 10}
	case 2:
		if p.likely(0.3) {
			until := timestamppb.New(p.now.Add(p.between(-10*day, 20*day)))
			pool.MaintenancePolicy = &containerpb.NodePool_NodePoolMaintenancePolicy{ExclusionUntilEndOfSupport: &containerpb.NodePool_ExclusionUntilEndOfSupport{
				Enabled: true, StartTime: timestamppb.New(p.now.Add(-20 * day)), EndTime: until,
			}}
		}
	}
	return pool
}

func (p *play) labels() map[string]string {
	l := map[string]string{"env": pick(p, "dev", "staging", "prod", "prod"), "tier": pick(p, "web", "data")}
	if p.likely(0.05) {
		l["legacy"] = "true"
	}
	return l
}

// maintenance draws a maintenance policy; nil: none.
func (p *play) maintenance() *containerpb.MaintenancePolicy {
	w := &containerpb.MaintenanceWindow{}
	first := p.now.Truncate(day).Add(-30 * day).Add(time.Duration(p.dice.IntN(96)) * 15 * time.Minute)
	length := pick(p, 4*time.Hour, 4*time.Hour, 6*time.Hour, 12*time.Hour, 30*time.Hour)
	rule := pick(p, "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SA,SU", "FREQ=WEEKLY;BYDAY=SA",
		"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH", "FREQ=DAILY;INTERVAL=3", "FREQ=MONTHLY;BYDAY=1SU,3SU",
		"FREQ=WEEKLY;INTERVAL=2;BYDAY=WE")
	switch p.dice.IntN(6) {
	case 0, 1:
		if p.likely(0.5) {
			return nil
		}
	case 2:
		w.Policy = &containerpb.MaintenanceWindow_DailyMaintenanceWindow{DailyMaintenanceWindow: &containerpb.DailyMaintenanceWindow{StartTime: fmt.Sprintf("%02d:%02d", p.dice.IntN(24), 15*p.dice.IntN(4))}}
	case 3:
		length = min(length, 23*time.Hour)
		w.Policy = &containerpb.MaintenanceWindow_RecurringMaintenanceWindow{RecurringMaintenanceWindow: &containerpb.RecurringMaintenanceWindow{
			WindowStartTime: &timeofday.TimeOfDay{Hours: int32(first.Hour()), Minutes: int32(first.Minute())}, WindowDuration: durationpb.New(length), Recurrence: rule, //nolint:gosec // a time of day fits
		}}
	default:
		if length > day && rule == "FREQ=DAILY" {
			length = 6 * time.Hour
		}
		w.Policy = &containerpb.MaintenanceWindow_RecurringWindow{RecurringWindow: &containerpb.RecurringTimeWindow{
			Window: &containerpb.TimeWindow{StartTime: timestamppb.New(first),
				EndTime: timestamppb.New(first.Add(length))}, Recurrence: rule,
		}}
	}
	if p.likely(0.2) {
		w.MaintenanceExclusions = map[string]*containerpb.TimeWindow{"quiet": p.exclusion()}
	}
	return &containerpb.MaintenancePolicy{Window: w}
}

// exclusion draws one that has ended before the calm part is half over.
func (p *play) exclusion() *containerpb.TimeWindow {
	from := p.now.Add(p.between(-5*day, 20*day))
	w := &containerpb.TimeWindow{StartTime: timestamppb.New(from),
		EndTime: timestamppb.New(from.Add(p.between(time.Hour, 12*day)))}
	if p.likely(0.6) {
		w.Options = &containerpb.TimeWindow_MaintenanceExclusionOptions{MaintenanceExclusionOptions: &containerpb.MaintenanceExclusionOptions{
			Scope: pick(p, containerpb.MaintenanceExclusionOptions_NO_UPGRADES,
				containerpb.MaintenanceExclusionOptions_NO_MINOR_UPGRADES,
				containerpb.MaintenanceExclusionOptions_NO_MINOR_OR_NODE_UPGRADES),
		}}
	}
	return w
}

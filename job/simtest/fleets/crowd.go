package fleets

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
)

// Crowd is a large fleet behind a simulated GKE that takes its time.
type Crowd struct {
	Projects, Clusters int // clusters in each project
	Due                int // of a hundred clusters, how many are due
	AnswersAfter       time.Duration
}

// Names are the projects.
func (c Crowd) Names() []string {
	var out []string
	for i := range c.Projects {
		out = append(out, fmt.Sprintf("team-%03d", i))
	}
	return out
}

// World makes the clusters, each with a CA and a calendar of its own.
func (c Crowd) World(tb testing.TB) *gkesim.World {
	tb.Helper()
	w := gkesim.New(gkesim.Options{Seed: 1, Now: Monday})
	for i, project := range c.Names() {
		for j := range c.Clusters {
			if err := w.Add(project, c.Cluster(i*c.Clusters+j)); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return w
}

// Cluster is the nth of them.
func (c Crowd) Cluster(n int) *containerpb.Cluster {
	m := Member{Location: "europe-west1", Name: fmt.Sprintf("cluster-%05d", n)}
	issued := Monday.AddDate(-1, 0, -n%300)
	expires := issued.AddDate(30, 0, 0)
	if n%100 < c.Due {
		issued, expires = Monday.AddDate(-4, 0, -n%300), Monday.AddDate(0, 0, 60+n%100)
	}
	pb := m.Cluster(0)
	pb.Id = fmt.Sprintf("%064x", n)
	pb.MasterAuth = caOf(gkesim.IssueCA(1, m.Name, issued, expires))
	pb.ResourceLabels = map[string]string{"env": []string{"dev", "staging", "prod"}[n%3],
		"team": fmt.Sprintf("team-%d", n%40), "cost-center": fmt.Sprint(n % 300)}
	addPool(pb, "spare", 1)
	for _, p := range pb.GetNodePools() { // recorded clusters take 3.6 KB, the largest 12
		const apis = "https://www.googleapis.com/"
		p.SelfLink = apis + "container/v1/" + m.Path() + "/nodePools/" + p.GetName()
		for _, zone := range []string{"b", "c", "d"} {
			p.InstanceGroupUrls = append(p.InstanceGroupUrls,
				fmt.Sprintf("%scompute/v1/projects/p/zones/europe-west1-%s/instanceGroupManagers/gke-%s-%s-%08x-grp",
					apis, zone, m.Name, p.GetName(), n))
		}
		for _, scope := range []string{"devstorage.read_only", "logging.write", "monitoring",
			"service.management.readonly", "servicecontrol", "trace.append"} {
			p.Config.OauthScopes = append(p.Config.OauthScopes, apis+"auth/"+scope)
		}
		p.Config.Metadata = map[string]string{"disable-legacy-endpoints": "true", "cluster": m.Name}
		p.Config.MachineType, p.Config.ServiceAccount = "e2-standard-8",
			"nodes-of-"+m.Name+"@some-project.iam.gserviceaccount.com"
		pb.InstanceGroupUrls = append(pb.InstanceGroupUrls, p.GetInstanceGroupUrls()...) //nolint:staticcheck // real listings have it
	}
	switch n % 4 {
	case 0:
		DailyAt2(pb)
	case 1:
		Recurring4h(2, "FREQ=WEEKLY;BYDAY=SA,SU")(pb)
	case 2:
		Recurring4h(n%24, "FREQ=WEEKLY;BYDAY=TU,TH")(pb)
		WindowOf(pb).MaintenanceExclusions = map[string]*containerpb.TimeWindow{
			"sale": {StartTime: timestamppb.New(Monday), EndTime: timestamppb.New(December.AddDate(0, 0, n%20))},
		}
	}
	return pb
}

// Served is a served crowd, and how often it was asked.
type Served struct {
	Address       string
	Lists, Others atomic.Int64
}

// Serve puts the crowd behind gRPC. What gkesim answers is asked once, before
// anything is measured, so that its own work is not.
func (c Crowd) Serve(tb testing.TB) *Served {
	tb.Helper()
	w := c.World(tb)
	out, answers := &Served{}, sync.Map{}
	s := w.NewServer(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo,
		handle grpc.UnaryHandler) (any, error) {
		list, ok := req.(*containerpb.ListClustersRequest)
		if !ok {
			out.Others.Add(1)
			return handle(ctx, req)
		}
		out.Lists.Add(1)
		if known, ok := answers.Load(list.GetParent()); ok {
			time.Sleep(c.AnswersAfter) //nolint:forbidigo // the latency that BenchmarkRun is about
			return known, nil
		}
		res, err := handle(ctx, req)
		answers.Store(list.GetParent(), res)
		return res, err
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	go func() { _ = s.Serve(listener) }() // ends with Stop; its error says only that
	tb.Cleanup(s.Stop)
	out.Address = listener.Addr().String()
	cloud := c.Dial(tb, out.Address)
	for _, p := range c.Names() {
		if _, _, err := cloud.Clusters(tb.Context(), p); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// Dial connects to what is served.
func (c Crowd) Dial(tb testing.TB, at string) *gke.Cloud {
	tb.Helper()
	cloud, err := gke.DialWith(tb.Context(), gke.NoRetry(), option.WithEndpoint(at),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cloud.Close() })
	return cloud
}

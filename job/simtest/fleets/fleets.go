// Package fleets is clusters for tests: as the API shows them, each with its
// calendar in plain arithmetic.
package fleets

import (
	"fmt"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke/gkesim"
)

const version = "1.33.5-gke.1080000"

// Monday is when the stories begin.
var Monday = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// Member is one cluster. Open is its calendar in plain arithmetic, which shares
// nothing with the program's: may nodes be worked on at the time?
type Member struct {
	Project, Location, Name string
	// Shape makes it what it is; nil: a plain cluster.
	Shape func(*containerpb.Cluster)
	Open  func(time.Time) bool
}

// At is a cluster there that may be worked on at any time.
func At(project, location, name string, shape func(*containerpb.Cluster)) Member {
	return Member{project, location, name, shape, Always}
}

// Path is the API's name of it.
func (m Member) Path() string {
	return "projects/" + m.Project + "/locations/" + m.Location + "/clusters/" + m.Name
}

// String is the short name, P/L/C.
func (m Member) String() string { return m.Project + "/" + m.Location + "/" + m.Name }

// Cluster is the member as the API shows it; its CA ends n days after the
// others'.
func (m Member) Cluster(n int) *containerpb.Cluster {
	issued := time.Date(2022, 3, 15+n, 0, 0, 0, 0, time.UTC)
	ca := gkesim.IssueCA(7, m.String(), issued, issued.AddDate(5, 0, 0))
	c := &containerpb.Cluster{
		Name: m.Name, Location: m.Location, Id: fmt.Sprintf("id-%d", n), Status: containerpb.Cluster_RUNNING,
		Endpoint:             "34.1.2.3",
		SelfLink:             "https://container.googleapis.com/v1/" + m.Path(),
		CurrentMasterVersion: version, Locations: []string{m.Location},
		MasterAuth: caOf(ca),
	}
	addPool(c, "web", 2)
	addPool(c, "batch", 2)
	if m.Shape != nil {
		m.Shape(c)
	}
	return c
}

// Of is the members as the API lists them.
func Of(members []Member) []*containerpb.Cluster {
	var out []*containerpb.Cluster
	for n, m := range members {
		out = append(out, m.Cluster(n))
	}
	return out
}

// Always is no calendar.
func Always(time.Time) bool { return true }

// Nightly is the four hours from 02:00 UTC on some weekdays; none is all.
func Nightly(days ...time.Weekday) func(time.Time) bool {
	return func(t time.Time) bool {
		ok := len(days) == 0
		for _, d := range days {
			ok = ok || t.Weekday() == d
		}
		return ok && t.Hour() >= 2 && t.Hour() < 6
	}
}

// WindowOf is the cluster's maintenance policy, made if there is none.
func WindowOf(c *containerpb.Cluster) *containerpb.MaintenanceWindow {
	if c.MaintenancePolicy == nil {
		c.MaintenancePolicy = &containerpb.MaintenancePolicy{Window: &containerpb.MaintenanceWindow{}}
	}
	return c.MaintenancePolicy.Window
}

// Daily gives the cluster a daily window from that time, in UTC.
func Daily(from string) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		WindowOf(c).Policy = &containerpb.MaintenanceWindow_DailyMaintenanceWindow{
			DailyMaintenanceWindow: &containerpb.DailyMaintenanceWindow{StartTime: from, Duration: "PT4H0M0S"},
		}
	}
}

// DailyAt2 is a daily window from 02:00.
func DailyAt2(c *containerpb.Cluster) { Daily("02:00")(c) }

// Recurring is a recurring window of so many hours from that one on.
func Recurring(hour, hours int, rule string) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		from := time.Date(2026, 1, 3, hour, 0, 0, 0, time.UTC) // a Saturday
		to := from.Add(time.Duration(hours) * time.Hour)
		WindowOf(c).Policy = &containerpb.MaintenanceWindow_RecurringWindow{RecurringWindow: &containerpb.RecurringTimeWindow{
			Recurrence: rule, Window: &containerpb.TimeWindow{StartTime: timestamppb.New(from),
				EndTime: timestamppb.New(to)},
		}}
	}
}

// Recurring4h is one of four hours.
func Recurring4h(hour int, rule string) func(*containerpb.Cluster) { return Recurring(hour, 4, rule) }

// December is when that exclusion ends.
var December = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// ClosedInNovember gives the cluster an exclusion that ends with November.
func ClosedInNovember(c *containerpb.Cluster) {
	WindowOf(c).MaintenanceExclusions = map[string]*containerpb.TimeWindow{
		"sale": {StartTime: timestamppb.New(Monday.AddDate(0, 0, -3)), EndTime: timestamppb.New(December)},
	}
}

// BlueGreen lets the second pool be recreated blue-green.
func BlueGreen(c *containerpb.Cluster) { c.NodePools[1].UpgradeSettings = soaking(time.Hour) }

// Autopilot makes the cluster one of Autopilot.
func Autopilot(c *containerpb.Cluster) { c.Autopilot = &containerpb.Autopilot{Enabled: true} }

// Twelve is the fleet of the long story: three clusters in each project.
var Twelve = []Member{
	{"shop", "europe-west1", "catalog", nil, Always},
	{"shop", "europe-west1", "checkout", Recurring4h(2, "FREQ=WEEKLY;BYDAY=SA,SU"),
		Nightly(time.Saturday, time.Sunday)},
	{"shop", "us-east4", "search", DailyAt2, Nightly()},
	{"bank", "europe-west3", "orders", DailyAt2, Nightly()},
	{"bank", "europe-west3-a", "ledger", Recurring4h(2, "FREQ=WEEKLY;BYDAY=SA"), Nightly(time.Saturday)},
	{"bank", "europe-west3-b", "audit", nil, Always},
	{"ml", "europe-west4", "serve", Autopilot, Always},
	{"ml", "us-central1-a", "train", BlueGreen, Always},
	{"ml", "us-central1", "sale", ClosedInNovember, func(t time.Time) bool { return !t.Before(December) }},
	{"dev", "asia-east1", "one", Recurring4h(2, "FREQ=WEEKLY;BYDAY=TU,TH"),
		Nightly(time.Tuesday, time.Thursday)},
	{"dev", "asia-east1", "two", Recurring4h(22, "FREQ=DAILY"), func(t time.Time) bool {
		return t.Hour() >= 22 ||
			t.Hour() < 2
	}},
	{"dev", "asia-east1-a", "three", nil, Always},
}

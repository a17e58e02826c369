package view

import (
	"cmp"
	"strconv"
	"time"

	"gke-credential-rotator/policy"
)

// Policy is the policy in force: the names of the settings in camel
// case, the values in the form that the settings take.
type Policy struct {
	Env                   string   `json:"env"`
	Projects              []string `json:"projects"`
	Locations             []string `json:"locations"`
	Selector              string   `json:"selector"`
	RotateBeforeExpiry    string   `json:"rotateBeforeExpiry"`
	MaxCAAge              string   `json:"maxCaAge"`
	RotateIssuedBefore    string   `json:"rotateIssuedBefore"`
	Urgent                string   `json:"urgent"`
	SoakUrgent            string   `json:"soakUrgent"`
	UrgentMaxActive       int      `json:"urgentMaxActive"`
	EmergencyBeforeExpiry string   `json:"emergencyBeforeExpiry"`
	EmergencyMaxActive    int      `json:"emergencyMaxActive"`
	Window                string   `json:"window"`
	StartWindow           string   `json:"startWindow"`
	Freezes               string   `json:"freezes"`
	CompleteWindow        string   `json:"completeWindow"`
	ZonalComplete         string   `json:"zonalComplete"`
	Soak                  string   `json:"soak"`
	Approval              string   `json:"approval"`
	Steer                 string   `json:"steer"`
	Nodes                 string   `json:"nodes"`
	NodeGrace             string   `json:"nodeGrace"`
	NodeTime              string   `json:"nodeTime"`
	PoolsAtOnce           string   `json:"poolsAtOnce"`
	Adopt                 string   `json:"adopt"`
	MaxActive             int      `json:"maxActive"`
	MaxActivePerProject   string   `json:"maxActivePerProject"`
	MaxActivePerLocation  string   `json:"maxActivePerLocation"`
	Waves                 string   `json:"waves"`
	WaveSoak              string   `json:"waveSoak"`
	MaxFailed             int      `json:"maxFailed"`
	StuckAfter            string   `json:"stuckAfter"`
	Every                 string   `json:"every"`
}

// PolicyOf makes it.
func PolicyOf(p *policy.Policy) Policy {
	urgent := "none"
	if p.Urgent != nil {
		urgent = p.Urgent.String()
	}
	waves, _ := policy.Waves(p.Waves).MarshalText() // cannot fail: it joins names
	return Policy{
		Env: p.Env, Projects: listed(p.Projects), Locations: listed(p.Locations), Selector: p.Selector.String(),
		RotateBeforeExpiry: policy.Days(p.RotateBeforeExpiry), MaxCAAge: offOr(p.MaxCAAge), RotateIssuedBefore: dateOr(p.RotateIssuedBefore),
		Urgent: urgent, SoakUrgent: policy.Days(p.SoakUrgent), UrgentMaxActive: p.UrgentMaxActive,
		EmergencyBeforeExpiry: policy.Days(p.EmergencyBeforeExpiry), EmergencyMaxActive: p.EmergencyMaxActive,
		Window: p.Window.String(), StartWindow: p.StartWindow.String(), Freezes: cmp.Or(p.Freezes.String(), "none"),
		CompleteWindow: p.CompleteWindow.String(), ZonalComplete: string(p.ZonalComplete), Soak: policy.Days(p.Soak), Approval: string(p.Approval), Steer: string(p.Steer),
		Nodes: string(p.Nodes), NodeGrace: policy.Days(p.NodeGrace), NodeTime: policy.Days(p.NodeTime), PoolsAtOnce: numberOr(p.PoolsAtOnce, "fit"),
		Adopt: string(p.Adopt), MaxActive: p.MaxActive, MaxActivePerProject: numberOr(p.MaxActivePerProject, "off"),
		MaxActivePerLocation: numberOr(p.MaxActivePerLocation, "off"), Waves: string(waves), WaveSoak: policy.Days(p.WaveSoak),
		MaxFailed: p.MaxFailed, StuckAfter: policy.Days(p.StuckAfter), Every: policy.Days(p.Every),
	}
}

func offOr(d time.Duration) string {
	if d == 0 {
		return "off"
	}
	return policy.Days(d)
}

func dateOr(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339)
}

func numberOr(n int, zero string) string {
	if n == 0 {
		return zero
	}
	return strconv.Itoa(n)
}

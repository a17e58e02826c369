package show

import (
	"cmp"
	"strconv"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
)

// policyJSON is the policy for programs: the names of the settings in camel
// case, the values in the form that the settings take.
type policyJSON struct {
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

func policyOf(p *policy.Policy) policyJSON {
	urgent := "none"
	if p.Urgent != nil {
		urgent = p.Urgent.String()
	}
	waves, _ := fleet.Waves(p.Waves).MarshalText() // cannot fail: it joins names
	return policyJSON{
		Env: p.Env, Projects: filled(p.Projects), Locations: filled(p.Locations), Selector: p.Selector.String(),
		RotateBeforeExpiry: fleet.Days(p.RotateBeforeExpiry), MaxCAAge: offOr(p.MaxCAAge), RotateIssuedBefore: dateOr(p.RotateIssuedBefore),
		Urgent: urgent, SoakUrgent: fleet.Days(p.SoakUrgent), UrgentMaxActive: p.UrgentMaxActive,
		EmergencyBeforeExpiry: fleet.Days(p.EmergencyBeforeExpiry), EmergencyMaxActive: p.EmergencyMaxActive,
		Window: p.Window.String(), StartWindow: p.StartWindow.String(), Freezes: cmp.Or(p.Freezes.String(), "none"),
		CompleteWindow: p.CompleteWindow.String(), ZonalComplete: string(p.ZonalComplete), Soak: fleet.Days(p.Soak), Approval: string(p.Approval), Steer: string(p.Steer),
		Nodes: string(p.Nodes), NodeGrace: fleet.Days(p.NodeGrace), NodeTime: fleet.Days(p.NodeTime), PoolsAtOnce: numberOr(p.PoolsAtOnce, "fit"),
		Adopt: string(p.Adopt), MaxActive: p.MaxActive, MaxActivePerProject: numberOr(p.MaxActivePerProject, "off"),
		MaxActivePerLocation: numberOr(p.MaxActivePerLocation, "off"), Waves: string(waves), WaveSoak: fleet.Days(p.WaveSoak),
		MaxFailed: p.MaxFailed, StuckAfter: fleet.Days(p.StuckAfter), Every: fleet.Days(p.Every),
	}
}

// filled is never null in JSON.
func filled(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func offOr(d time.Duration) string {
	if d == 0 {
		return "off"
	}
	return fleet.Days(d)
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

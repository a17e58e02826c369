package show

import (
	"io"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
)

type storyJSON struct {
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to"`
	Every    string        `json:"every"`
	Seed     int64         `json:"seed"`
	Runs     int           `json:"runs"`
	Clusters []chapterJSON `json:"clusters"`
}

type chapterJSON struct {
	Cluster string               `json:"cluster"`
	Outcome string               `json:"outcome"`
	Phase   string               `json:"phase"`
	Reason  string               `json:"reason"`
	Message string               `json:"message"`
	OldCA   *caJSON              `json:"oldCA"`
	NewCA   *caJSON              `json:"newCA"`
	Entered map[string]time.Time `json:"entered"`
	Waited  []waitJSON           `json:"waited"`
}

type caJSON struct {
	Fingerprint string    `json:"fingerprint"`
	Issued      time.Time `json:"issued"`
	Expires     time.Time `json:"expires"`
}

type waitJSON struct {
	Gate   string  `json:"gate"`
	Reason string  `json:"reason"`
	Hours  float64 `json:"hours"`
}

// StoryJSON writes a simulation's story for programs: one object, times in
// UTC, clusters in the order of their names. The error is the writer's.
func StoryJSON(w io.Writer, s sim.Story) error {
	out := storyJSON{From: s.From.UTC(), To: s.To.UTC(), Every: policy.Days(s.Every), Seed: s.Seed, Runs: s.Runs, Clusters: []chapterJSON{}}
	for _, c := range s.Clusters {
		j := chapterJSON{
			Cluster: c.Cluster.String(), Outcome: string(c.Outcome), Phase: string(c.Phase), Reason: string(c.Reason), Message: c.Message.String(),
			OldCA: caOf(c.OldCA), NewCA: caOf(c.NewCA), Entered: map[string]time.Time{}, Waited: []waitJSON{},
		}
		for phase, t := range c.Entered {
			j.Entered[string(phase)] = t.UTC()
		}
		for _, w := range c.Waited {
			j.Waited = append(j.Waited, waitJSON{w.Gate, string(w.Reason), w.Time.Hours()})
		}
		out.Clusters = append(out.Clusters, j)
	}
	return writeJSON(w, out)
}

func caOf(ca policy.CA) *caJSON {
	if ca.Fingerprint == "" {
		return nil
	}
	return &caJSON{string(ca.Fingerprint), ca.Issued.UTC(), ca.Expires.UTC()}
}

package html

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// finished is the evidence of rotations that have ended.
type finished struct {
	Records int
	Proofs  []proof
	Older   int // not shown
}

type proof struct {
	who
	Ended              string
	Well               bool
	At                 moment
	OldShort, NewShort string
	Facts              []fact
}

// mostProofs is how many are shown, newest first: rotator evidence has them all.
const mostProofs = 250

func (m *maker) finished() finished {
	list := slices.SortedStableFunc(slices.Values(m.Finished), func(a, b record.Record) int {
		return cmp.Or(b.ClosedAt.Compare(a.ClosedAt), a.Rotation.Cluster.Compare(b.Rotation.Cluster))
	})
	f := finished{Records: len(list)}
	if n := len(list) - mostProofs; n > 0 {
		f.Older, list = n, list[:mostProofs]
	}
	f.Proofs = words.Each(list, m.proof)
	return f
}

func (m *maker) proof(rec record.Record) proof {
	r := rec.Rotation
	p := proof{
		who: whoIs(r.Cluster), Ended: endedAs(rec.ClosedAs), Well: rec.ClosedAs.Verified(),
		At: m.at(rec.ClosedAt), OldShort: words.Harmless(r.Baseline.CA.Fingerprint.Short()),
		NewShort: words.Harmless(r.New.Fingerprint.Short()),
	}
	add := func(label, text string) {
		if text != "" {
			p.Facts = append(p.Facts, fact{Label: label, Text: text})
		}
	}
	add("Old CA, SHA-256", caText(r.Baseline.CA))
	add("New CA, SHA-256", caText(r.New))
	for _, s := range r.Stays(rec.ClosedAt) {
		text := "for " + words.Lasting(s.Left.Sub(s.At)) + ", run " + words.Harmless(s.Run)
		p.Facts = append(p.Facts, fact{Label: phaseWord(s.Phase), Text: text, At: m.at(s.At)})
	}
	if !r.HandedOverAt.IsZero() {
		p.Facts = append(p.Facts, fact{Label: "Handed over", At: m.at(r.HandedOverAt)})
	}
	add("Start operation", words.Harmless(r.StartOp.Operation))
	for _, name := range slices.Sorted(maps.Keys(r.Pools)) {
		if w := r.Pools[name]; w.Operation != "" {
			add("Nodes of "+cmp.Or(words.Harmless(name), "the control plane"), m.work(w))
		}
	}
	for _, a := range r.Approvals {
		add("Approved to "+string(a.Kind), m.said(a.Said))
	}
	if r.WaveOpened != nil {
		add("Wave opened", m.said(*r.WaveOpened))
	}
	if len(r.Approvals) == 0 {
		add("Approved by", "nobody was asked")
	}
	add("Completed by", map[string]string{"us": "this tool", "other": "somebody else",
		"gke": "GKE, by itself"}[rec.CompletedBy])
	add("Ended by", m.said(rec.Said))
	if r.ClosedBy != nil {
		add("Record closed by", m.said(*r.ClosedBy))
	}
	for _, text := range rec.Findings {
		add("Finding", words.Harmless(text))
	}
	add("Attempt", fmt.Sprintf("%d, %s, %s", r.AttemptNo, words.Harmless(r.AttemptID),
		cmp.Or(whose(r), "started by us")))
	add("Cluster id", words.Harmless(r.ClusterID))
	return p
}

func (m *maker) work(w record.Work) string {
	text := words.Harmless(w.Operation) + words.If(w.Done(), ", "+m.At(w.StartedAt)+" to "+m.At(w.EndedAt))
	return text
}

// said is who said something, as stated.
func (m *maker) said(s record.Said) string {
	if s == (record.Said{}) {
		return ""
	}
	text := cmp.Or(s.By, "somebody unnamed") + ", as stated" + words.If(s.Reason != "", ": "+s.Reason)
	run := words.If(s.Run != "", ", by "+words.Harmless(s.Run))
	return words.Harmless(text) + words.If(!s.At.IsZero(), " ("+m.At(s.At)+run+")")
}

func caText(ca fleet.CA) string {
	return words.If(ca.Fingerprint != "",
		words.Harmless(string(ca.Fingerprint))+", "+words.Day(ca.Issued)+" to "+words.Day(ca.Expires))
}

func phaseWord(p record.Phase) string {
	return map[record.Phase]string{
		record.Starting: "Starting", record.RecreatingNodes: "Recreating nodes",
		record.UpdatingClients: "Updating clients",
		record.Completing:      "Completing", record.Verifying: "Verifying",
	}[p]
}

func endedAs(as record.ClosedAs) string {
	return map[record.ClosedAs]string{
		record.Completed: "rotated and verified", record.CompletedWithFindings: "rotated, with findings",
		record.CompletedElsewhere: "completed elsewhere", record.NotStarted: "not started",
		record.Gone: "cluster gone", record.Recreated: "cluster created again", record.Lost: "lost",
		record.ClosedByPeople: "closed by people",
	}[as]
}

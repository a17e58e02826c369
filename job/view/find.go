package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
)

// Find gives the cluster that the text names: P/L/C, GKE's long path, or the
// end of the name where only one cluster has it. The error suggests what was
// meant.
func Find(known []fleet.Ref, text string) (fleet.Ref, error) {
	text = strings.TrimSpace(text)
	if ref, err := fleet.ParseRef(text); err == nil && slices.Contains(known, ref) {
		return ref, nil
	}
	ends := slices.DeleteFunc(slices.Clone(known), func(ref fleet.Ref) bool { return !ref.Ends(text) })
	if len(ends) == 1 {
		return ends[0], nil
	}
	name := words.Harmless(text)
	if len(ends) > 1 {
		return fleet.Ref{}, fmt.Errorf("%q names %d clusters: %s", name, len(ends), alternatives(ends))
	}
	if near := nearest(known, text); len(near) > 0 {
		return fleet.Ref{}, fmt.Errorf("no cluster %q was seen; did you mean %s?", name, alternatives(near))
	}
	return fleet.Ref{}, fmt.Errorf("no cluster %q was seen; names are PROJECT/LOCATION/CLUSTER, and rotator plan --format json lists them all", name)
}

func alternatives(refs []fleet.Ref) string {
	const few = 5
	name := func(r fleet.Ref) string { return words.Harmless(r.String()) }
	names := words.Each(refs[:min(len(refs), few)], name)
	if n := len(refs) - few; n > 0 {
		return strings.Join(names, ", ") + fmt.Sprintf(" or %d more", n)
	}
	return words.Listed(names, "or")
}

// nearest gives at most three clusters whose names are a few letters away.
func nearest(known []fleet.Ref, text string) []fleet.Ref {
	own := text[strings.LastIndexByte(text, '/')+1:]
	var near []fleet.Ref
	far := map[fleet.Ref]int{}
	for _, ref := range known {
		d := min(words.Distance(text, ref.String()), words.Distance(own, ref.Name))
		if own != "" && (strings.Contains(ref.Name, own) || strings.Contains(own, ref.Name)) {
			d = min(d, 2)
		}
		if d <= max(len(own)/3, 2) {
			near, far[ref] = append(near, ref), d
		}
	}
	slices.SortFunc(near, func(a, b fleet.Ref) int { return cmp.Or(far[a]-far[b], a.Compare(b)) })
	return near[:min(len(near), 3)]
}

// DidYouMean names the clusters that are a few letters away, as " (did you mean
// X?)", or is "".
func DidYouMean(known []fleet.Ref, text string) string {
	near := nearest(known, text)
	return words.If(len(near) > 0, " (did you mean "+alternatives(near)+"?)")
}

// Refs lists the clusters of the plan, for [Find].
func (p Plan) Refs() []fleet.Ref {
	return words.Each(p.Clusters, func(c Cluster) fleet.Ref { return c.Decision.Cluster.Ref })
}

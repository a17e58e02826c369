package view

import (
	"fmt"
	"slices"

	"gke-credential-rotator/policy/fleet"
)

// Findings are settings that fit no cluster that was seen, and so probably are not what
// somebody meant.
func (p Plan) Findings() []string {
	clusters := p.result.Fleet.Clusters
	if len(clusters) == 0 {
		return nil
	}
	has := func(key string) bool {
		return slices.ContainsFunc(clusters, func(c fleet.Cluster) bool { _, ok := c.Labels[key]; return ok })
	}
	var out []string
	odd := func(name string, s fleet.Selector) bool {
		before := len(out)
		for _, key := range s.Keys() {
			if !has(key) {
				out = append(out, fmt.Sprintf("No cluster that was read has the label %q, which %s names (%s). Mend the key, or label the clusters.",
					key, name, s))
			}
		}
		return len(out) > before
	}
	odd("SELECTOR", p.Policy.Selector)
	if s := p.Policy.Compromised; s != nil {
		odd("COMPROMISED", *s)
	}
	for i, w := range p.Policy.Waves {
		matches := func(c fleet.Cluster) bool {
			of, _ := p.Policy.Waves.Of(c.Labels)
			return of == i && len(p.Policy.Unselected(c)) == 0
		}
		if !odd("WAVES", w.Selector) && !slices.ContainsFunc(clusters, matches) {
			out = append(out, fmt.Sprintf("Wave %q matches no cluster that was read and selected, so none of it goes before the others. Mend it, or take it out of WAVES.",
				w.Name))
		}
	}
	return harmless(out)
}

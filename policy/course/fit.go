package course

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Misfit says which step of a course that does not fit comes too late, and what that
// hangs on.
func (k *Course) Misfit(f Forecast) fact.Text {
	if f.Likely.NodesDone.IsZero() || !f.Likely.NodesDone.Before(f.Limit) {
		if f.Likely.NodesDone.IsZero() {
			return fact.Sayf("the nodes would not be recreated by %v, %s: %v", f.Limit, k.limitIs(f),
				k.slowest(f))
		}
		return fact.Sayf("the nodes would be recreated about %v, not by %v, %s: %v",
			f.Likely.NodesDone, f.Limit, k.limitIs(f), k.slowest(f))
	}
	if f.Likely.Completed.IsZero() {
		return fact.Sayf("nodes done about %v, soak over %v, and no run finds the completion open by %v, %s (%v)",
			f.Likely.NodesDone, f.Likely.SoakOver, f.Limit, k.limitIs(f), k.completeText(f.Likely.SoakOver,
				f.Limit))
	}
	return fact.Sayf("nodes done about %v, soak over %v, and the completion (%v) opens %v, later than %v, %s",
		f.Likely.NodesDone, f.Likely.SoakOver, k.completeText(f.Likely.SoakOver, f.Limit), f.Likely.Completed,
		f.Limit, k.limitIs(f))
}

func (k *Course) limitIs(f Forecast) string {
	if f.Limit.Equal(f.GKE) {
		return "seven days after the start, when GKE completes"
	}
	return "the expiry"
}

// slowest is the node work that comes last, or finds no time at all.
func (k *Course) slowest(f Forecast) fact.Text {
	begun := map[string]bool{}
	var last Work
	for _, w := range f.Work {
		begun[w.Pool] = true
		if last.Begin.IsZero() || w.Likely.IsZero() || !last.Likely.IsZero() && w.Likely.After(last.Likely) {
			last = w
		}
	}
	for _, p := range k.Cluster.Pools {
		if !begun[p.Name] {
			return fact.Sayf("pool %q finds no time for its %s of work (window %v%v)", p.Name,
				fleet.Days(k.takes(p, false)), k.WindowText(), k.atOnceText(f))
		}
	}
	if last.Begin.IsZero() {
		return fact.Sayf("no work can begin (window %v)", k.WindowText())
	}
	for _, p := range k.Cluster.Pools {
		if p.Name == last.Pool {
			return fact.Sayf("pool %q, begun %v by %s, needs %s (window %v%v)", p.Name, last.Begin,
				last.who(), fleet.Days(k.takes(p, last.ByGKE)), k.WindowText(), k.atOnceText(f))
		}
	}
	return fact.Sayf("%s, begun %v by %s (window %v)", fleet.PoolName(last.Pool), last.Begin, last.who(),
		k.WindowText())
}

func (k *Course) takes(p fleet.Pool, byGKE bool) time.Duration {
	d, _ := Takes(p, byGKE, k.Policy.NodeTime)
	return d
}

func (k *Course) atOnceText(f Forecast) fact.Text {
	if len(k.Cluster.Pools) <= 1 || k.Policy.Nodes == rules.NodesGKE {
		return nil
	}
	return fact.Sayf("; %d pools, at most %d at one time", len(k.Cluster.Pools), f.AtOnce)
}

func (w Work) who() string {
	if w.ByGKE {
		return "GKE"
	}
	return "us"
}

// completeText names what shuts the completion: where two calendars must meet, both,
// and a freeze that lies in between.
func (k *Course) completeText(from, to time.Time) fact.Text {
	text := fact.Set("COMPLETE_WINDOW", k.Policy.CompleteWindow)
	switch {
	case !k.Cluster.Zonal || k.Policy.ZonalComplete == rules.ZonalPeople:
	case k.ZonalOnly():
		text = k.ZonalText()
	default:
		text = fact.Sayf("%v; %v", text, k.ZonalText())
	}
	if window.OpenTime(k.Policy.Freezes, window.Span{Start: from, End: to}) < to.Sub(from) {
		text = fact.Sayf("%v; %v", text, fact.Set("FREEZES", k.Policy.Freezes))
	}
	return text
}

// NeverOpen names what leaves no opening for a start.
func (k *Course) NeverOpen() fact.Text {
	var what []fact.Text
	if w := k.Policy.StartWindow; !w.IsAlways() {
		what = append(what, fact.Set("START_WINDOW", w))
	}
	if f := k.Policy.Freezes; !f.IsNone() {
		what = append(what, fact.Set("FREEZES", f))
	}
	for _, e := range k.Excluding() {
		what = append(what, fact.Sayf("exclusion %q", e.Name))
	}
	text := fact.Sayf("window %v", k.WindowText())
	for _, w := range what {
		text = fact.Sayf("%v, %v", text, w)
	}
	return fact.Sayf("%v with a run EVERY=%s leave no opening for a start within %s", text,
		fleet.Days(k.Policy.Every), fleet.Days(window.Horizon))
}

// EndOfSupport says of an exclusion that it stands until the version's end of support.
func EndOfSupport(e window.Exclusion) fact.Text {
	if e.Span.End.IsZero() {
		return fact.Sayf("exclusion %q blocks node work until the version's end of support", e.Name)
	}
	return fact.Sayf("exclusion %q blocks node work until the version's end of support (at present %s, GKE moves it)",
		e.Name, e.Span.End.UTC().Format(time.DateOnly))
}

// EndsExclusion is what to type so that an exclusion blocks no node work any more.
func (k *Course) EndsExclusion(e window.Exclusion) fact.Text {
	ref, name := k.Cluster.Ref, shellWord(e.Name)
	update := fmt.Sprintf("gcloud container clusters update %s --project=%s --location=%s", ref.Name, ref.Project,
		ref.Location)
	end := "DATE"
	if !e.Span.End.IsZero() {
		end = e.Span.End.UTC().Format(time.RFC3339)
	}
	return fact.Sayf("remove it: %s --remove-maintenance-exclusion=%s; to keep minor upgrades away, then: %s "+
		"--add-maintenance-exclusion-name=%s --add-maintenance-exclusion-end=%s "+
		"--add-maintenance-exclusion-scope=no_minor_upgrades", update, name, update, name, end)
}

// shellWord is a name that a shell takes as one word.
func shellWord(name string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (r == '-' || r == '_' || r == '.' || unicode.IsLetter(r) || unicode.IsDigit(r))
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

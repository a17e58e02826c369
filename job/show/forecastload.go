package show

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/reason"
)

func keysOf[V any](m map[time.Time]V) iter.Seq[time.Time] { return maps.Keys(m) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// bars are the eighths of a sparkline.
var bars = []rune(" ▁▂▃▄▅▆▇█")

// inFlight draws how many rotations are in flight, in as many marks as fit.
func (g *page) inFlight(f sim.Forecast, p *policy.Policy) {
	if f.Peak == 0 {
		return
	}
	each := (len(f.Days) + g.width - 5) / (g.width - 4)
	var line strings.Builder
	for part := range slices.Chunk(f.Days, max(each, 1)) {
		most := 0
		for _, d := range part {
			most = max(most, d.InFlight)
		}
		line.WriteRune(bars[(most*(len(bars)-1)+f.Peak-1)/f.Peak])
	}
	mark := "a mark a day"
	if each > 1 {
		mark = fmt.Sprintf("a mark is %d days", each)
	}
	g.heading(bold, "IN FLIGHT")
	g.line("  %s", g.paint(cyan, strings.TrimRight(line.String(), " ")))
	first, last := f.Days[0].Date.Format("02 Jan 2006"), f.Days[len(f.Days)-1].Date.Format("02 Jan 2006")
	g.line("%s", g.paint(dim, strings.TrimRight("  "+first+strings.Repeat(" ", max(cells(line.String())-2*len(first), 3))+last, " ")))
	g.para(2, plain, fmt.Sprintf("at most %d, first on %s; %d of MAX_ACTIVE=%d slots at most; %s", f.Peak, g.at(f.PeakAt), f.MostSlots, p.MaxActive, mark))
}

// Blame names the setting, or what else it is, that keeps a cluster from being
// rotated in time.
func Blame(l sim.Left) string {
	why, message := l.Held.Reason, l.Held.Message
	if why == "" {
		why, message = l.Reason, l.Message
	}
	names := message.Settings()
	switch blame := why.Info().Blame; {
	case blame != "":
		return blame
	case why == reason.WindowClosed && len(names) == 0:
		return "its own maintenance window"
	}
	if len(names) > 0 {
		return strings.Join(names, ", ")
	}
	return string(why)
}

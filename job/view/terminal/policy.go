package terminal

import (
	"cmp"
	"io"
	"strings"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/rules"
)

// Policy shows what the settings mean, in sentences, what deserves a second
// look, and every setting. now places freezes and dates. The error is the
// writer's.
func Policy(w io.Writer, p *rules.Policy, settings []view.Setting, now time.Time, o Options) error {
	g := newPage(o, now)
	mode := words.If(o.Mode != "", "MODE="+o.Mode)
	g.parts(bold, "Policy of "+clean(p.Env), mode, "at "+g.headTime(g.Now))
	for _, s := range view.Meanings(p, o.Mode) {
		g.heading(bold, strings.ToUpper(s.Title))
		for _, line := range s.Lines {
			g.bullet(plain, line)
		}
	}
	if warn := view.Warnings(p, o.Mode, now); len(warn) > 0 {
		g.heading(yellow, "WORTH A SECOND LOOK")
		for _, line := range warn {
			g.bullet(plain, line)
		}
	}
	g.settings(settings)
	return g.send(w)
}

func (g *page) settings(settings []view.Setting) {
	if len(settings) == 0 {
		return
	}
	g.heading(bold, "SETTINGS (* set by you)")
	longest := 0
	for _, s := range settings {
		longest = max(longest, len(s.Name))
	}
	for _, s := range settings {
		mark := "*"
		if s.Default {
			mark = " "
		}
		g.hang(longest+14, "  "+mark+" ROTATOR_"+pad(s.Name, longest)+"  ", plain, clean(cmp.Or(s.Value, `""`)))
	}
}

// Package show makes pictures of values, for people and for programs: what a
// run would do and why, how a rotation stands, what a simulation told. It
// reads no clock, asks nobody and decides nothing.
package show

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
)

// Options say how a picture is made. The zero value suits a pipe: 100 columns,
// no colour, UTC.
type Options struct {
	// Width is the columns of the terminal; below 1 means that there is none.
	Width int
	// Color allows colour. It only repeats what words say.
	Color bool
	// Zone is what times are shown in; nil is UTC.
	Zone *time.Location
	// Live says that a line may be redrawn: the writer is a terminal.
	Live bool
	// Mode is observe or act; "" is left out.
	Mode string
	// Wall is how long a simulation took; 0 is left out.
	Wall time.Duration
}

// The columns when there is no terminal, and those beyond which sentences and
// their codes drift apart.
const (
	pipeWidth = 100
	leastWide = 40
	mostWide  = 160
	// narrow is where rows become paragraphs.
	narrow = 80
)

// style is what colour says once more.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// page is a picture in the making: one write at its end.
type page struct {
	bytes.Buffer
	o     Options
	now   time.Time
	width int
	// hours: every time of the table is a full hour; days: no day of the month
	// comes twice.
	hours, days bool
	// brief: the fleet is large, so each cluster gets one line.
	brief bool
}

func newPage(o Options, now time.Time) *page {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	g := &page{o: o, now: now, width: pipeWidth}
	if o.Width > 0 {
		g.width = min(max(o.Width, leastWide), mostWide)
	}
	return g
}

// send writes the page.
func (g *page) send(w io.Writer) error {
	if _, err := w.Write(bytes.ReplaceAll(g.Bytes(), []byte(hard), []byte(" "))); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}

func (g *page) paint(s style, text string) string {
	if !g.o.Color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// line writes one line.
func (g *page) line(format string, args ...any) {
	fmt.Fprintf(g, format+"\n", args...)
}

// para writes text as wrapped lines behind the indent.
func (g *page) para(indent int, s style, text string) {
	for _, l := range wrap(text, g.width-indent) {
		g.line("%s%s", strings.Repeat(" ", indent), g.paint(s, l))
	}
}

// parts writes what belongs together on one line, or on more when it must.
func (g *page) parts(s style, parts ...string) {
	var kept []string
	for _, p := range parts {
		switch {
		case p == "":
		case cells(p) > g.width-2: // it breaks, or it would stand out
			kept = append(kept, p)
		default:
			kept = append(kept, strings.ReplaceAll(p, " ", hard))
		}
	}
	for _, l := range wrap(strings.Join(kept, hard+"· "), g.width) {
		g.line("%s", g.paint(s, strings.TrimSuffix(l, " ·")))
	}
}

// zone names the zone of all times on the page.
func (g *page) zone() string { return g.o.Zone.String() }

// at shows a time: with its year only when it is far away.
func (g *page) at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	form := "Mon 02 Jan 15:04"
	if far(t, g.now) {
		form = "2006-01-02 15:04"
	}
	return strings.ReplaceAll(t.In(g.o.Zone).Format(form), " ", hard)
}

func far(t, now time.Time) bool {
	const half = 183 * 24 * time.Hour
	return now.IsZero() || t.Sub(now) > half || now.Sub(t) > half
}

// day shows a date. Dates of certificates are UTC, like Google's console.
func day(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format(time.DateOnly)
}

// lasting shows a length of time by its two largest units.
func lasting(d time.Duration) string {
	d = d.Round(time.Minute)
	days, hours, minutes := d/(24*time.Hour), d%(24*time.Hour)/time.Hour, d%time.Hour/time.Minute
	switch {
	case d < 0:
		return "-" + lasting(-d)
	case days >= 100:
		return fmt.Sprintf("%dd", days)
	case days > 0 && hours == 0:
		return fmt.Sprintf("%dd", days)
	case days > 0:
		return fmt.Sprintf("%dd %dh", days, hours)
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%dh %dmin", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%dh", hours)
	}
	return fmt.Sprintf("%d min", minutes)
}

// say writes what the rules say: harmless, and with its times in the page's zone
// and form.
func (g *page) say(text fact.Text) string { return text.Show(clean, g.at) }

// sentence is the message, or what the reason means when there is none.
func (g *page) sentence(r reason.Code, message fact.Text) string {
	return cmp.Or(g.say(message), r.Info().Sentence)
}

// next is what people can do about a reason, with names filled in.
func next(r reason.Code, ref, env string) string { return advice(r.Info().Next, ref, env) }

// advice fills names into an advice. What is typed stays in one piece, so that it
// can be pasted.
func advice[A ~string](a A, ref, env string) string {
	return words.Unbroken(a, ref, env)
}

// plural counts things in words.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func short(f policy.Fingerprint) string {
	if f == "" {
		return "?"
	}
	return f.Short()
}

package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"

	"gke-credential-rotator/job/pass"
)

// Progress is the line that a simulation redraws while it runs. On anything
// but a terminal it stays silent.
type Progress struct {
	w           io.Writer
	g           *page
	from        time.Time
	days, all   int
	runs, ended int
	shown       string
}

// NewProgress prepares the line for a simulation of so many days, with a run
// every so often.
func NewProgress(w io.Writer, from time.Time, days int, every time.Duration, o Options) *Progress {
	return &Progress{w: w, g: newPage(o, from), from: from, days: days,
		all: int(time.Duration(days)*24*time.Hour/max(every, time.Minute)) + 1}
}

// See takes in one run and redraws the line when it reads differently.
func (p *Progress) See(res pass.Result) {
	p.runs++
	if !p.g.o.Live {
		return
	}
	flying := 0
	for _, d := range res.Decisions {
		if d.Phase != "" && d.Close == "" {
			flying++
		}
		if d.Close.Verified() {
			p.ended++
		}
	}
	text := fmt.Sprintf("%d/%d runs  %d in flight  %d verified", p.runs, p.all, flying, p.ended)
	head := fmt.Sprintf("day %d of %d  ", int(res.At.Sub(p.from)/(24*time.Hour)), p.days)
	if room := min(p.g.width-len(head)-len(text)-5, 30); room >= 10 {
		full := min(room*p.runs/max(p.all, 1), room)
		text = strings.Repeat("█", full) + strings.Repeat("░", room-full) + "  " + text
	}
	line := "  " + head + text
	// Runs follow each other faster than people read.
	if line == p.shown || (p.runs%8 != 0 && p.runs != p.all) {
		return
	}
	p.shown = line
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", line) // a line of comfort: nobody is hurt when it is lost
}

// Done removes the line.
func (p *Progress) Done() {
	if p.shown != "" {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K") // see above
		p.shown = ""
	}
}

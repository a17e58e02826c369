package pass

import (
	"errors"
	"fmt"
	"time"

	"gke-credential-rotator/policy/fleet"
)

// errClock is why a run that acts sends nothing: soaks and promises rest on its clock.
var errClock = errors.New("nothing was sent: set this machine's clock, or give --at the present time of the simulated GKE, and run again")

// noDate says that there was nothing to compare the clock with.
const noDate = "this machine's clock was compared with nothing: no answer said what time it is"

// clockApart says in what way our clock, which showed from when the run began, is
// not GKE's: it is further away than o.Apart from the date that an answer had, or
// an operation began later than now. This is the one place where they meet.
func (w World) clockApart(o Options, from time.Time, clusters []fleet.Cluster) string {
	if o.Apart <= 0 {
		return ""
	}
	now := w.Now()
	apart := func(theirs time.Time, whose string) string {
		ours, by := now, theirs.Sub(now)
		if theirs.Before(from) {
			ours, by = from, from.Sub(theirs)
		}
		if by <= o.Apart {
			return ""
		}
		return fmt.Sprintf("this machine's clock says %s, and %s %s: %s apart, more than %s",
			stamp(ours), whose, stamp(theirs), fleet.Days(by.Round(time.Second)), fleet.Days(o.Apart))
	}
	if w.Date != nil {
		if date := w.Date(); !date.IsZero() {
			if why := apart(date, "Google's says"); why != "" {
				return why
			}
		}
	}
	for _, c := range clusters {
		for _, op := range c.Operations {
			if !op.Start.After(now) {
				continue
			}
			whose := fmt.Sprintf("by GKE's an operation on %s began", c.Ref)
			if why := apart(op.Start, whose); why != "" {
				return why
			}
		}
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format("Mon 2006-01-02 15:04:05") + " UTC" }

// clock says in the log what is to be said of the clock; an error: nothing may be sent.
func (a *actor) clock(res Result) error {
	switch {
	case res.Clock != "":
		a.log.line(EventClockApart, res.Clock)
	case a.Apart > 0 && a.Date != nil && a.Date().IsZero():
		a.log.line(EventClockUnknown, noDate)
	}
	if res.Clock == "" || a.Move == nil {
		return nil
	}
	return fmt.Errorf("%s; %w", res.Clock, errClock)
}

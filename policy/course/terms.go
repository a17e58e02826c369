package course

import (
	"maps"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Terms are the settings on which a promise rests, by name, in the form that settings
// take. COMPROMISED is whether the rotation is treated as such.
func (k *Course) Terms() map[string]string {
	p, compromised := k.Policy, "none"
	if k.Compromised {
		compromised = p.Compromised.String()
	}
	freezes := "none"
	if !p.Freezes.IsNone() {
		freezes = p.Freezes.String()
	}
	approval := rules.ApproveNone
	if p.Approval.Asks(record.CallComplete) {
		approval = p.Approval
	}
	return map[string]string{
		"SOAK": fleet.Days(p.Soak), "COMPLETE_WINDOW": p.CompleteWindow.String(),
		"ZONAL_COMPLETE": string(p.ZonalComplete), "FREEZES": freezes, "APPROVAL": string(approval),
		"COMPROMISED": compromised,
	}
}

// under is the course if the setting were still what it was. What this version cannot
// read is left as it is now.
func (k *Course) under(name, text string) *Course {
	p, was := *k.Policy, *k
	was.Policy = &p
	switch name {
	case "SOAK":
		if soak, err := fleet.ParseDuration(text); err == nil {
			p.Soak = soak
		}
	case "COMPLETE_WINDOW":
		if w, err := window.ParseWeekly(text); err == nil {
			p.CompleteWindow = w
		}
	case "ZONAL_COMPLETE":
		p.ZonalComplete = rules.ZonalComplete(text)
	case "FREEZES":
		var f window.Freezes
		if text == "none" || f.UnmarshalText([]byte(text)) == nil {
			p.Freezes = f
		}
	case "COMPROMISED":
		was.Compromised = text != "none"
	}
	return &was
}

// Loosened says what was lifted, by name, since people were told, and before when we would
// then not complete: told anew now, with a soak of its own from now. None: the
// settings let it end no sooner than people were told. That it goes faster than was
// reckoned lifts nothing.
func (k *Course) Loosened() (lifted []string, promise time.Time) {
	r, now := *k.Rotation, k.Terms()
	if len(r.Terms) == 0 || maps.Equal(r.Terms, now) {
		return nil, time.Time{}
	}
	r.RetoldAt = k.Now
	anew := *k
	anew.Rotation = &r
	promise = anew.Promise()
	if !sooner(promise, r.Promised) {
		return nil, promise
	}
	for _, name := range record.Terms {
		old, told := r.Terms[name]
		if told && old != now[name] && sooner(k.Promise(), k.under(name, old).Promise()) {
			lifted = append(lifted, name)
		}
	}
	return lifted, promise
}

// sooner says whether a is before b, where zero is never.
func sooner(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

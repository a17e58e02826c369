package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Wave is a group of clusters that goes before the next one: canaries first.
type Wave struct {
	Name     string
	Selector Selector
}

// LastWave is the name of the wave of clusters that match no other.
const LastWave = "rest"

// Waves is the order of the waves: "env=dev > env=staging > env=prod".
type Waves []Wave

// WaveNote is one cluster of a wave that was verified: when it had become due
// and when it was verified.
type WaveNote struct {
	Due time.Time `json:"due"`
	At  time.Time `json:"at"`
}

// WaveNotes are the notes that can still matter, the newest last: one that was
// due later and verified earlier than another never does.
type WaveNotes []WaveNote

// Last is when the wave's last cluster was verified; zero if none was.
func (n WaveNotes) Last() time.Time {
	if len(n) == 0 {
		return time.Time{}
	}
	return n[len(n)-1].At
}

// last is when the last cluster that was due no later than due was verified.
func (n WaveNotes) last(due time.Time) time.Time {
	for _, note := range slices.Backward(n) {
		if !note.Due.After(due) {
			return note.At
		}
	}
	return time.Time{}
}

// with adds the newest note.
func (n WaveNotes) with(note WaveNote) WaveNotes {
	out := slices.DeleteFunc(slices.Clone(n), func(x WaveNote) bool { return !x.Due.Before(note.Due) })
	if len(out) >= maxWaveNotes {
		out = out[1:]
	}
	return append(out, note)
}

// UnmarshalText reads waves; "one", "none" and the empty text are one wave.
func (w *Waves) UnmarshalText(text []byte) error {
	*w = nil
	s := strings.TrimSpace(string(text))
	if s == "" || s == "one" || s == "none" {
		return nil
	}
	var waves Waves
	for _, part := range strings.Split(s, ">") {
		sel, err := ParseSelector(part)
		if err != nil {
			return err
		}
		name := sel.String()
		switch {
		case sel.All():
			return fmt.Errorf("waves %q: a wave is empty, or names all; write e.g. \"env=dev > env=prod\", the rest forms the last wave", s)
		case name == LastWave:
			return fmt.Errorf("waves %q: %q is the name of the last wave; to select by a label of that name write e.g. \"%s=yes\"", s, name, name)
		case slices.ContainsFunc(waves, func(o Wave) bool { return o.Name == name }):
			return fmt.Errorf("waves %q: %q is there twice; a cluster belongs to the first wave that it matches", s, name)
		}
		waves = append(waves, Wave{Name: name, Selector: sel})
	}
	if len(waves) >= maxWaves { // with the last one
		return fmt.Errorf("waves %.60q...: %d of them, more than %d", s, len(waves), maxWaves-1)
	}
	*w = waves
	return nil
}

// MarshalText writes the waves as they are read.
func (w Waves) MarshalText() ([]byte, error) {
	if len(w) == 0 {
		return []byte("one"), nil
	}
	names := make([]string, len(w))
	for i, wave := range w {
		names[i] = wave.Name
	}
	return []byte(strings.Join(names, " > ")), nil
}

// WaveOf gives the wave of a cluster with these labels: the first that matches, else the last one.
// With no waves set all clusters are in wave 0 without a name.
func (p *Policy) WaveOf(labels map[string]string) (index int, name string) {
	for i, w := range p.Waves {
		if w.Selector.Matches(labels) {
			return i, w.Name
		}
	}
	if len(p.Waves) == 0 {
		return 0, ""
	}
	return len(p.Waves), LastWave
}

// waveByName gives the index of a wave; an unknown one counts as the last.
func (p *Policy) waveByName(name string) int {
	for i, w := range p.Waves {
		if w.Name == name {
			return i
		}
	}
	return len(p.Waves)
}

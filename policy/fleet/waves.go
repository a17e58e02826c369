package fleet

import (
	"fmt"
	"slices"
	"strings"
)

// Wave is a group of clusters that goes before the next one: canaries first.
type Wave struct {
	Name     string
	Selector Selector
}

// LastWave is the name of the wave of clusters that match no other.
const LastWave = "rest"

// MaxWaves is the most waves, the last one among them; the store remembers as many.
const MaxWaves = 20

// Waves is the order of the waves: "env=dev > env=staging > env=prod".
type Waves []Wave

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
			return fmt.Errorf("waves %q: %q is there twice; a cluster belongs to the first wave that it matches", s,
				name)
		}
		waves = append(waves, Wave{Name: name, Selector: sel})
	}
	if len(waves) >= MaxWaves { // with the last one
		return fmt.Errorf("waves %.60q...: %d of them, more than %d", s, len(waves), MaxWaves-1)
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

// Of gives the wave of a cluster with these labels: the first that matches, else the last one.
// With no waves set all clusters are in wave 0 without a name.
func (w Waves) Of(labels map[string]string) (index int, name string) {
	for i, wave := range w {
		if wave.Selector.Matches(labels) {
			return i, wave.Name
		}
	}
	if len(w) == 0 {
		return 0, ""
	}
	return len(w), LastWave
}

// Named gives the index of a wave; an unknown one counts as the last.
func (w Waves) Named(name string) int {
	if i := slices.IndexFunc(w, func(wave Wave) bool { return wave.Name == name }); i >= 0 {
		return i
	}
	return len(w)
}

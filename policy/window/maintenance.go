package window

import "slices"

// Scope is what a maintenance exclusion keeps GKE from doing, in the API's
// own words.
type Scope string

// The scopes of container v1. GKE sends NO_UPGRADES as an absent value.
const (
	NoUpgrades            Scope = "NO_UPGRADES"
	NoMinorUpgrades       Scope = "NO_MINOR_UPGRADES"
	NoMinorOrNodeUpgrades Scope = "NO_MINOR_OR_NODE_UPGRADES"
)

// Exclusion is one of a cluster's maintenance exclusions.
type Exclusion struct {
	Name string
	// Span as GKE tells it. The zero Start means since ever, the zero End
	// that no end is told: the exclusion then doesn't end.
	Span  Span
	Scope Scope
	// UntilEndOfSupport means that End is not the real end: GKE extends the
	// exclusion to the end of support of the cluster's version, which the
	// API does not tell.
	UntilEndOfSupport bool
}

// Blocks says whether the exclusion keeps nodes from being recreated. Node
// recreation is a node upgrade but no minor upgrade. A scope that is not known
// here blocks.
func (e Exclusion) Blocks() bool { return e.Scope != NoMinorUpgrades }

// EndsWithSupport says that it stands until the version's end of support, which nobody
// knows: GKE moves it, whatever end it tells.
func (e Exclusion) EndsWithSupport() bool { return e.UntilEndOfSupport || e.Span.End.IsZero() }

// Standing says that its owners keep GKE's upgrades of nodes away for good.
func (e Exclusion) Standing() bool { return e.Scope == NoMinorOrNodeUpgrades && e.EndsWithSupport() }

// Stretch is the time the exclusion covers.
func (e Exclusion) Stretch() Span {
	if e.EndsWithSupport() {
		return Span{e.Span.Start, Forever}
	}
	return e.Span
}

// Maintenance is a cluster's maintenance policy: at most one window and any
// number of exclusions. The zero value has neither: GKE then works at any
// time.
type Maintenance struct {
	// Window is the cluster's own window; nil when it has none.
	Window Schedule
	// Text says the window in a few words, as "daily 03:00-07:00 UTC".
	Text       string
	Exclusions []Exclusion
	// Problem says why the policy could not be understood. Such a cluster
	// must be treated as closed: absent rules are not permission.
	Problem string
}

// Endless says that an exclusion blocks node work until nobody knows when.
func (m Maintenance) Endless() bool {
	return slices.ContainsFunc(m.Exclusions, func(e Exclusion) bool { return e.Blocks() && e.EndsWithSupport() })
}

// Open is when GKE may recreate nodes: inside the window (without one, the
// fallback) and outside every blocking exclusion.
func (m Maintenance) Open(fallback Schedule) Schedule {
	w, cut := m.Windows(fallback), m.blocking()
	if len(cut) == 0 {
		return w
	}
	return All(w, except(merge(cut)))
}

// Windows is the window alone: the cluster's own, or the fallback; never, where
// nobody understands it.
func (m Maintenance) Windows(fallback Schedule) Schedule {
	switch {
	case m.Problem != "":
		return Never()
	case m.Window != nil:
		return m.Window
	}
	return fallback
}

// Outside is open while no exclusion blocks.
func (m Maintenance) Outside() Schedule { return except(merge(m.blocking())) }

func (m Maintenance) blocking() (cut []Span) {
	for _, e := range m.Exclusions {
		if e.Blocks() {
			cut = append(cut, e.Stretch())
		}
	}
	return cut
}

package fleet

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gke-credential-rotator/policy/window"
)

// Ref names a cluster, short P/L/C.
type Ref struct{ Project, Location, Name string }

// String gives the short form P/L/C that every command accepts back.
func (r Ref) String() string { return r.Project + "/" + r.Location + "/" + r.Name }

// Path gives the API's name, projects/P/locations/L/clusters/C.
func (r Ref) Path() string {
	return "projects/" + r.Project + "/locations/" + r.Location + "/clusters/" + r.Name
}

// IsZero says whether nothing is named.
func (r Ref) IsZero() bool { return r == Ref{} }

// Ends says whether the cluster is called so: by its name, or by more of its end.
func (r Ref) Ends(text string) bool { return strings.HasSuffix("/"+r.String(), "/"+text) }

// Compare orders refs as their short forms.
func (r Ref) Compare(o Ref) int {
	if r.Project == o.Project && r.Location == o.Location {
		return strings.Compare(r.Name, o.Name)
	}
	return strings.Compare(r.String(), o.String())
}

// MarshalText gives the short form; nothing, when nothing is named.
func (r Ref) MarshalText() ([]byte, error) {
	if r.IsZero() {
		return nil, nil
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads either form.
func (r *Ref) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = Ref{}
		return nil
	}
	ref, err := ParseRef(string(text))
	if err != nil {
		return err
	}
	*r = ref
	return nil
}

// A part of a name must not break a path or a document id; GKE itself is
// stricter, but recorded fleets hold odd names. "~" parts document ids, so only
// the last part may hold it: a recorded name seen again plays as NAME~2. The id
// of a document is project first, and may not begin with "__".
var badPart = regexp.MustCompile(`[/\x00-\x1f\x7f]|^\.\.?$|^__.*__$`)

// ParseRef reads P/L/C or projects/P/locations/L/clusters/C (zones/ too).
func ParseRef(s string) (Ref, error) {
	parts := strings.Split(s, "/")
	if len(parts) == 6 && parts[0] == "projects" && (parts[2] == "locations" || parts[2] == "zones") &&
		parts[4] == "clusters" {
		parts = []string{parts[1], parts[3], parts[5]}
	}
	if len(parts) != 3 || slices.Contains(parts, "") || parts[1] == "-" {
		return Ref{}, fmt.Errorf("%q does not name a cluster: write PROJECT/LOCATION/CLUSTER", s)
	}
	for i, p := range parts {
		if badPart.MatchString(p) || (i < 2 && strings.Contains(p, "~")) ||
			(i == 0 && strings.HasPrefix(p, "__")) || len(p) > 200 || !utf8.ValidString(p) {
			return Ref{}, fmt.Errorf("%q does not name a cluster: %q would break a path or a document id", s, p)
		}
	}
	return Ref{parts[0], parts[1], parts[2]}, nil
}

// Status is a cluster's status in the API's own words. Unknown ones are kept
// as they come.
type Status string

// The statuses that the rules know by name.
const (
	Running          Status = "RUNNING"
	Reconciling      Status = "RECONCILING"
	Degraded         Status = "DEGRADED"
	Error            Status = "ERROR"
	RunningWithError Status = "RUNNING_WITH_ERROR" // of pools
)

// Cluster is what one look at GKE showed of a cluster.
type Cluster struct {
	Ref Ref
	// ID is GKE's own id; a cluster deleted and created again under its name
	// has another.
	ID     string
	Status Status
	Labels map[string]string
	Bundle Bundle
	// Endpoint is where the control plane is advertised (public, else private); "" where
	// its IP endpoints are switched off.
	Endpoint string
	DNS      string // the DNS endpoint; it outlives rotations
	// DNSExternal: the DNS endpoint takes traffic from outside Google Cloud.
	DNSExternal bool
	Autopilot   bool
	Zonal       bool
	Alpha       bool // alpha clusters cannot upgrade nodes and live 30 days
	// CustomerCA: the CA is managed by the customer and rotates otherwise.
	CustomerCA  bool
	Version     string // of the control plane
	Etag        string
	Conditions  []string // codes, as CA_EXPIRING
	Words       string   // what GKE says of its status, or ""
	Maintenance window.Maintenance
	Pools       []Pool
	// Operations are those of this cluster; meaningless unless
	// OperationsRead, for then "none seen" is not "none ran".
	Operations     []Operation
	OperationsRead bool
	// Partial: the listing said that it could not reach all of the cluster's
	// zones, so what it shows may be incomplete.
	Partial bool
	// Seen is when the read began, on our clock.
	Seen time.Time
}

// Busy says why GKE would refuse another change of the cluster now, or "".
func (c Cluster) Busy() string {
	if op := cmp.Or(c.RunsOn(""), c.Runs()); op != "" {
		return op
	}
	if c.Status != Running && c.Status != Degraded {
		return "status " + string(c.Status)
	}
	return ""
}

// Runs names an operation that runs on the cluster or on one of its pools, or "".
func (c Cluster) Runs() string {
	return c.firstRunning(func(Operation) bool { return true })
}

// RunsOn names an operation that runs on the pool, with "" on the whole cluster, or "".
func (c Cluster) RunsOn(pool string) string {
	return c.firstRunning(func(op Operation) bool { return op.Pool == pool })
}

func (c Cluster) firstRunning(on func(Operation) bool) string {
	for _, op := range c.Operations {
		if !op.Done && on(op) {
			return op.Name
		}
	}
	return ""
}

// State is the cluster's status, with what GKE says of it.
func (c Cluster) State() string { return state(c.Status, c.Words) }

// State is the pool's status, with what GKE says of it.
func (p Pool) State() string { return state(p.Status, p.Words) }

func state(s Status, words string) string {
	if words == "" {
		return string(s)
	}
	return string(s) + ": " + words
}

// Pool is a node pool.
type Pool struct {
	Name    string
	Version string
	Image   string
	Status  Status
	Words   string // what GKE says of its status, or ""
	Etag    string
	// Reservation is the one that all its nodes come from, or "".
	Reservation string
	// Nodes is the best count the API allows: v1 has no live count per pool,
	// so it is initial nodes x zones, scaled to the cluster's live total.
	Nodes int
	// Zones is in how many zones it has nodes; GKE recreates them one zone after
	// another. Atomic: one slice of TPUs, whose nodes are recreated together.
	Zones          int
	Atomic         bool
	BlueGreen      bool
	PoolSoak       time.Duration // blue-green: all that it waits on purpose
	Batches        int           // blue-green: in which the old nodes are drained
	MaxSurge       int
	MaxUnavailable int
	// ShortLived is how long flex-start and queued nodes may live; GKE recreates
	// none, but waits for them to go. Zero: not such a pool.
	ShortLived time.Duration
	// DrainTimeout is how long the pool lets a disruption budget hold up a node;
	// zero: GKE's own hour.
	DrainTimeout time.Duration
	// Exclusion keeps GKE, and us, from upgrading this pool.
	Exclusion *window.Exclusion
}

// Operation is one of GKE's long-running operations. Its times are GKE's and
// are only ever compared with GKE's.
type Operation struct {
	Name  string
	Type  string // UPDATE_CLUSTER, UPGRADE_NODES, UPGRADE_MASTER, ...
	Pool  string // the node pool it works on, or ""
	Done  bool   // DONE means finished or cancelled: see Error
	Error string // why it failed, "" while it runs or when it succeeded
	Start time.Time
	End   time.Time
	// NodesDone of Nodes, of node work, as its progress tells; zero: it does not.
	NodesDone, Nodes int
}

// The operation types of a rotation.
const (
	OpUpdateCluster = "UPDATE_CLUSTER"
	OpUpgradeNodes  = "UPGRADE_NODES"
	OpUpgradeMaster = "UPGRADE_MASTER"
)

// Unread is a project, or a part of one, that could not be read: clusters
// there are unknown, not gone.
type Unread struct {
	Project  string `json:"project"`
	Location string `json:"location,omitempty"` // "" means the whole project
	Reason   string `json:"reason"`
	// Gone: Google says that the project does not exist, so nothing is there.
	Gone bool `json:"gone,omitempty"`
}

// Covers reports whether the place holds the cluster or a part of it: a region
// stands for its zones, and in a zone lies a part of a regional cluster.
func (u Unread) Covers(ref Ref) bool {
	return u.Project == ref.Project && (u.Location == "" || within(ref.Location, u.Location) ||
		within(u.Location, ref.Location))
}

// In reports whether the cluster lies in one of the locations: a region stands for
// its zones.
func (r Ref) In(locations []string) bool {
	return slices.ContainsFunc(locations, func(l string) bool { return within(r.Location, l) })
}

// within reports whether a location is another, or a zone of that region.
func within(location, region string) bool {
	return location == region || strings.HasPrefix(location, region+"-")
}

// PoolWords is a pool in a sentence.
func PoolWords(name string) string {
	if name == "" {
		return PoolName(name)
	}
	return fmt.Sprintf("pool %q", name)
}

// PoolName is a pool as people read it: "" is an Autopilot cluster's control plane.
func PoolName(name string) string { return cmp.Or(name, "the control plane (Autopilot)") }

// Excluded is when an exclusion of the pool's own keeps its nodes from being recreated.
func (p Pool) Excluded() (window.Span, bool) {
	if p.Exclusion == nil || !p.Exclusion.Blocks() {
		return window.Span{}, false
	}
	return p.Exclusion.Stretch(), true
}

// Surge is how many of the pool's nodes are recreated together.
func (p Pool) Surge() int {
	if p.BlueGreen {
		return max(p.Nodes, 1)
	}
	return max(p.MaxSurge+p.MaxUnavailable, 1)
}

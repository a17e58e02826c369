package policy

// Reason is the code behind a decision or a verdict; stable, for people to
// search and for alerts to match. Every one has a sentence and a next step.
type Reason string

// Advice is what a reason means and what to do about it.
type Advice struct {
	Sentence string
	Next     string // what a person can do; "" when nothing is needed
	// Waits is on whom it waits when no clock of ours ends it: people, GKE or
	// the next runs; "" when time or the step itself ends it.
	Waits string
}

// The reasons of idle clusters.
const (
	NotSelected        Reason = "not-selected"
	NotDue             Reason = "not-due"
	IsDue              Reason = "due"
	CAUnreadable       Reason = "ca-unreadable"
	CAExpired          Reason = "ca-expired"
	AlphaCluster       Reason = "alpha-cluster"
	CustomerManagedCA  Reason = "customer-managed-ca"
	ListedPartly       Reason = "listed-partly"
	MaintenanceUnknown Reason = "maintenance-unknown"
	StatusNotRunning   Reason = "status"
	OperationRunning   Reason = "operation-running"
	TwoCAs             Reason = "two-cas"
	Held               Reason = "held"
	HeldByLabel        Reason = "held-by-label"
	ApprovalNeeded     Reason = "approval-needed"
	WindowClosed       Reason = "window-closed"
	Excluded           Reason = "excluded"
	StartWindowClosed  Reason = "start-window-closed"
	Frozen             Reason = "frozen"
	DoesNotFit         Reason = "does-not-fit"
	BreakerOpen        Reason = "breaker-open"
	WaveShut           Reason = "wave"
	BudgetFleet        Reason = "budget-fleet"
	BudgetProject      Reason = "budget-project"
	BudgetLocation     Reason = "budget-location"
	BudgetEmergency    Reason = "budget-emergency"
	BackingOff         Reason = "backing-off"
	TriesExhausted     Reason = "tries-exhausted"
	CallWithdrawn      Reason = "call-withdrawn"
	BlockedReason      Reason = "blocked"
	NotReadable        Reason = "unreadable"
	GateOpen           Reason = "open"
)

// The reasons of rotations.
const (
	StartSent          Reason = "start-sent"
	StartRuns          Reason = "start-running"
	CallUnsettled      Reason = "call-unsettled"
	BothCAs            Reason = "both-cas"
	NodesPending       Reason = "nodes-pending"
	NodesRunning       Reason = "nodes-running"
	NodesLeftToGKE     Reason = "nodes-left-to-gke"
	NodeGraceRuns      Reason = "node-grace"
	PoolExcluded       Reason = "pool-excluded"
	PoolsAtOnceFull    Reason = "pools-at-once"
	NodesDone          Reason = "nodes-done"
	PoolAppeared       Reason = "pool-appeared"
	NeedsRecreation    Reason = "requires-recreation"
	SoakRuns           Reason = "soak"
	ReadyToComplete    Reason = "ready-to-complete"
	CompleteWindowShut Reason = "complete-window-closed"
	PoolsNotRecreated  Reason = "pools-not-recreated"
	CompleteSent       Reason = "complete-sent"
	CompleteRuns       Reason = "complete-running"
	CompleteLeftNone   Reason = "complete-left-nothing"
	OneNewCA           Reason = "one-new-ca"
	VerifyingHealth    Reason = "verifying"
	Verified           Reason = "verified"
	WithFindings       Reason = "completed-with-findings"
	WorseThanBefore    Reason = "worse-than-baseline"
	ElsewhereCompleted Reason = "completed-elsewhere"
	ReadShowsLess      Reason = "stale-read"
	StartLeftNone      Reason = "not-started"
	StartFailed        Reason = "start-failed"
	PoolFailed         Reason = "pool-failed"
	CompleteFailed     Reason = "complete-failed"
	LateStart          Reason = "late-start"
	ForeignRotation    Reason = "foreign"
	AdoptedWatching    Reason = "adopted-watching"
	AdoptedCarrying    Reason = "adopted-carrying"
	ClusterGone        Reason = "gone"
	ClusterRecreated   Reason = "recreated"
	ClusterLost        Reason = "lost"
	ClosedByPerson     Reason = "closed-by-people"
	IsStuck            Reason = "stuck"
	OutcomeUnstored    Reason = "outcome-unstored"
)

// Reasons explains every reason; --explain, logs and the runbook read it.
var Reasons = map[Reason]Advice{
	NotSelected:        {"The policy does not select this cluster.", "Change ROTATOR_SELECTOR or ROTATOR_LOCATIONS to include it.", ""},
	NotDue:             {"The CA is neither near its expiry nor older than the policy allows.", "", ""},
	IsDue:              {"The CA must be replaced.", "", ""},
	CAUnreadable:       {"The CA bundle cannot be read, so its age is unknown.", "Look at masterAuth.clusterCaCertificate with gcloud container clusters describe.", "people"},
	CAExpired:          {"The CA has expired. GKE can no longer rotate it safely: new nodes cannot join.", "Create a new cluster and move the workloads; Google support may help.", "people"},
	AlphaCluster:       {"Alpha clusters cannot upgrade nodes and are deleted after 30 days.", "", "people"},
	CustomerManagedCA:  {"The CA is managed by the customer; its rotation is another procedure.", "Rotate it with the CA service that owns it.", "people"},
	ListedPartly:       {"GKE could list this cluster only partly; what is missing is unknown.", "", "GKE"},
	MaintenanceUnknown: {"The maintenance policy is of a kind this version does not understand, so its windows count as closed.", "Mend the window as the message says, or upgrade the rotator.", "people"},
	StatusNotRunning:   {"The cluster's status does not allow a change.", "", "GKE"},
	OperationRunning:   {"GKE runs an operation on the cluster and would refuse another.", "", "GKE"},
	TwoCAs:             {"Two CAs are in place: a rotation is under way.", "", "GKE"},
	Held:               {"A person holds this cluster.", "rotator release CLUSTER --by NAME --reason WHY, when the reason is over.", "people"},
	HeldByLabel:        {"The cluster's owners hold it, by a label on the cluster.", "Remove the label from the cluster when the reason is over; no command of ours lifts it.", "people"},
	ApprovalNeeded:     {"The policy asks for a person's approval.", "rotator approve CLUSTER --by NAME --reason WHY", "people"},
	WindowClosed:       {"The maintenance window is closed, or too little of it is left.", "", ""},
	Excluded:           {"A maintenance exclusion of the cluster blocks node work.", "", ""},
	StartWindowClosed:  {"START_WINDOW is closed.", "", ""},
	Frozen:             {"A freeze of the company is on.", "", ""},
	DoesNotFit:         {"Nodes, soak and completion would not fit into GKE's seven days.", "Change what the message names.", "people"},
	BreakerOpen:        {"Failed or stuck rotations wait for a person; no new ones start.", "Look at rotator status, then rotator retry CLUSTER --by NAME --reason WHY or rotator close CLUSTER --by NAME --reason WHY.", "people"},
	WaveShut:           {"An earlier wave is not verified yet, or its soak is not over.", "", "the next runs"},
	BudgetFleet:        {"MAX_ACTIVE rotations are in flight.", "", "the next runs"},
	BudgetProject:      {"MAX_ACTIVE_PER_PROJECT rotations are in flight in this project.", "", "the next runs"},
	BudgetLocation:     {"MAX_ACTIVE_PER_LOCATION rotations are in flight in this location.", "", "the next runs"},
	BudgetEmergency:    {"The most emergencies at once are in flight.", "", "the next runs"},
	BackingOff:         {"GKE refused or failed; the next try waits.", "", ""},
	TriesExhausted:     {"It failed or was refused three times; only a person can let it go on.", "Mend the cause, then rotator retry CLUSTER --by NAME --reason WHY.", "people"},
	CallWithdrawn:      {"A call was taken back before it was sent: what it rests on could not be read, or had changed.", "Mend what the message names; scripts/doctor ENV names a missing role.", "the next runs"},
	BlockedReason:      {"It is due and cannot start within 30 days.", "Change what the message names.", "people"},
	NotReadable:        {"The cluster could not be read.", "scripts/doctor ENV names a missing role.", "people"},
	GateOpen:           {"Nothing prevents this step.", "", ""},

	StartSent:          {"The start was sent to GKE.", "", ""},
	StartRuns:          {"GKE works on the start.", "", "GKE"},
	CallUnsettled:      {"A call may still be on its way to GKE; nothing is sent until that is settled.", "", ""},
	BothCAs:            {"Old and new CA are in place: hand over to the people who run clients.", "Update every client of the cluster: rotator handover CLUSTER", ""},
	NodesPending:       {"Node pools still use the old credentials.", "", ""},
	NodesRunning:       {"Node pools are being recreated.", "", "GKE"},
	NodesLeftToGKE:     {"Node pools are left to GKE, which recreates them in the cluster's window.", "Recreate the pool by hand if it does not.", "GKE"},
	NodeGraceRuns:      {"GKE gets NODE_GRACE of open window to begin by itself.", "", ""},
	PoolExcluded:       {"The pool has an exclusion of its own.", "Remove the pool's exclusion, or recreate it by hand.", "people"},
	PoolsAtOnceFull:    {"As many pools as allowed are being recreated.", "", "GKE"},
	NodesDone:          {"Every node pool is recreated.", "", ""},
	PoolAppeared:       {"A node pool with old credentials appeared; the approval is void.", "", ""},
	NeedsRecreation:    {"GKE says that a node pool still requires recreation.", "", ""},
	ReadyToComplete:    {"The soak is over, and a completion window is open with room.", "", ""},
	SoakRuns:           {"Clients get SOAK to be updated.", "", ""},
	CompleteWindowShut: {"COMPLETE_WINDOW is closed: completion wants people awake.", "", ""},
	PoolsNotRecreated:  {"Not every node pool is recreated.", "", "the next runs"},
	CompleteSent:       {"The completion was sent to GKE.", "", ""},
	CompleteRuns:       {"GKE works on the completion.", "", "GKE"},
	CompleteLeftNone:   {"The completion left nothing; it will be tried again.", "", ""},
	OneNewCA:           {"Only the new CA is left.", "", ""},
	VerifyingHealth:    {"The new CA is in force; the cluster's health is compared with before.", "", ""},
	Verified:           {"The rotation is complete and verified.", "", ""},
	WithFindings:       {"The rotation is complete, and something is worse than before.", "Look at the findings in rotator status CLUSTER.", ""},
	WorseThanBefore:    {"After completion the cluster is worse than before.", "Look at the cluster; rotator retry CLUSTER --by NAME --reason WHY acknowledges.", "people"},
	ElsewhereCompleted: {"Somebody else completed the rotation: a person or GKE.", "Make sure that every client knows the new CA.", ""},
	ReadShowsLess:      {"GKE showed less than was already proved; an old answer changes nothing.", "", "the next runs"},
	StartLeftNone:      {"The start left nothing behind; a later run may try again.", "", ""},
	StartFailed:        {"GKE's start operation failed.", "Look at the operation; rotator retry CLUSTER --by NAME --reason WHY acknowledges.", "people"},
	PoolFailed:         {"Recreating a node pool failed.", "Look at quota, capacity and disruption budgets of the pool.", "people"},
	CompleteFailed:     {"GKE's complete operation failed.", "Look at the operation; rotator retry CLUSTER --by NAME --reason WHY acknowledges.", "people"},
	LateStart:          {"GKE accepted a start after we had given it up; the attempt is ours again.", "", ""},
	ForeignRotation:    {"Somebody else started a rotation.", "rotator adopt CLUSTER --by NAME --reason WHY lets this tool carry it.", "GKE"},
	AdoptedWatching:    {"Somebody else started this rotation and ADOPT=watch: we only look.", "rotator adopt CLUSTER --by NAME --reason WHY, or complete it by hand.", "people"},
	AdoptedCarrying:    {"Somebody else started this rotation; we carry it to its end.", "", ""},
	ClusterGone:        {"The cluster no longer exists.", "", ""},
	ClusterRecreated:   {"The cluster was deleted and created again under its name.", "", ""},
	ClusterLost:        {"Nobody could read the cluster for 14 days.", "scripts/doctor ENV names a missing role.", "people"},
	ClosedByPerson:     {"A person closed the record.", "", ""},
	OutcomeUnstored:    {"The answer of a call could not be stored; the log line holds it whole.", "Mend the store; the next runs find out by what GKE shows. What the line holds can be entered, too: see deploy/RUNBOOK.md.", "people"},
	IsStuck:            {"It stays in its phase longer than gates and operations explain.", "Look at rotator status CLUSTER; rotator retry CLUSTER --by NAME --reason WHY acknowledges.", "people"},
}

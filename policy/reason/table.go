package reason

// The reasons of idle clusters.
const (
	NotSelected        Code = "not-selected"
	NotDue             Code = "not-due"
	IsDue              Code = "due"
	CAUnreadable       Code = "ca-unreadable"
	CAExpired          Code = "ca-expired"
	AlphaCluster       Code = "alpha-cluster"
	CustomerManagedCA  Code = "customer-managed-ca"
	ListedPartly       Code = "listed-partly"
	MaintenanceUnknown Code = "maintenance-unknown"
	StatusNotRunning   Code = "status"
	OperationRunning   Code = "operation-running"
	GKEWorksLong       Code = "gke-works-long"
	TwoCAs             Code = "two-cas"
	PoolUnhealthy      Code = "pool-unhealthy"
	Held               Code = "held"
	HeldByLabel        Code = "held-by-label"
	ApprovalNeeded     Code = "approval-needed"
	WindowClosed       Code = "window-closed"
	Excluded           Code = "excluded"
	StartWindowClosed  Code = "start-window-closed"
	Frozen             Code = "frozen"
	DoesNotFit         Code = "does-not-fit"
	BreakerOpen        Code = "breaker-open"
	WaveClosed         Code = "wave"
	BudgetFleet        Code = "budget-fleet"
	BudgetProject      Code = "budget-project"
	BudgetLocation     Code = "budget-location"
	BudgetEmergency    Code = "budget-emergency"
	BackingOff         Code = "backing-off"
	TriesExhausted     Code = "tries-exhausted"
	CallWithdrawn      Code = "call-withdrawn"
	BlockedReason      Code = "blocked"
	NotReadable        Code = "unreadable"
	GateOpen           Code = "open"
)

// The reasons of rotations.
const (
	StartSent            Code = "start-sent"
	StartRuns            Code = "start-running"
	CallUnsettled        Code = "call-unsettled"
	BothCAs              Code = "both-cas"
	NodesPending         Code = "nodes-pending"
	NodesRunning         Code = "nodes-running"
	NodesLeftToGKE       Code = "nodes-left-to-gke"
	NodeGraceRuns        Code = "node-grace"
	WouldOverrun         Code = "would-overrun"
	PromiseHolds         Code = "promised"
	HandOverWaits        Code = "hand-over-waits"
	PoolExcluded         Code = "pool-excluded"
	PoolsAtOnceFull      Code = "pools-at-once"
	NodesDone            Code = "nodes-done"
	PoolAppeared         Code = "pool-appeared"
	NeedsRecreation      Code = "requires-recreation"
	SoakRuns             Code = "soak"
	ReadyToComplete      Code = "ready-to-complete"
	Loosened             Code = "loosened"
	CompleteWindowClosed Code = "complete-window-closed"
	PoolsNotRecreated    Code = "pools-not-recreated"
	CompleteSent         Code = "complete-sent"
	CompleteRuns         Code = "complete-running"
	CompleteLeftNone     Code = "complete-left-nothing"
	OneNewCA             Code = "one-new-ca"
	VerifyingHealth      Code = "verifying"
	Verified             Code = "verified"
	WithFindings         Code = "completed-with-findings"
	WorseThanBefore      Code = "worse-than-baseline"
	ElsewhereCompleted   Code = "completed-elsewhere"
	ReadShowsLess        Code = "stale-read"
	StartLeftNone        Code = "not-started"
	StartFailed          Code = "start-failed"
	PoolFailed           Code = "pool-failed"
	CompleteFailed       Code = "complete-failed"
	LateStart            Code = "late-start"
	ForeignRotation      Code = "foreign"
	AdoptedWatching      Code = "adopted-watching"
	AdoptedManaging      Code = "adopted-managing"
	ClusterGone          Code = "gone"
	ClusterRecreated     Code = "recreated"
	ClusterLost          Code = "lost"
	ClosedByPerson       Code = "closed-by-people"
	ClosedWatching       Code = "closed-watching"
	IsStuck              Code = "stuck"
	EndedUnverified      Code = "ended-unverified"
	OutcomeUnstored      Code = "outcome-unstored"
	IllegalMove          Code = "illegal-move"
)

// table says what each code means. A new reason is its code above and its row here: what
// it says, what people can do, and how the rules treat it.
var table = map[Code]Info{
	NotSelected: {Sentence: "The policy does not select this cluster.",
		Next: "Change `ROTATOR_SELECTOR` or `ROTATOR_LOCATIONS` to include it.", Standing: Outside},
	NotDue: {Sentence: "The CA is neither near its expiry nor older than the policy allows.",
		Standing: TooEarly},
	IsDue: {Sentence: "The CA must be replaced."},
	CAUnreadable: {Sentence: "The CA bundle cannot be read, so its age is unknown.",
		Next:    "Look at masterAuth.clusterCaCertificate with `gcloud container clusters describe`.",
		WaitsOn: OnPeople, NeedsAction: true},
	CAExpired: {Sentence: "The CA has expired. GKE can no longer rotate it safely: new nodes cannot join.",
		Next:    "Create a new cluster and move the workloads; Google support may help.",
		WaitsOn: OnPeople, Never: true, NeedsAction: true},
	AlphaCluster: {Sentence: "Alpha clusters cannot upgrade nodes and are deleted after 30 days.",
		WaitsOn: OnPeople, Never: true, NeedsAction: true},
	CustomerManagedCA: {Sentence: "The CA is managed by the customer; its rotation is another procedure.",
		Next: "Rotate it with the CA service that owns it.", WaitsOn: OnPeople, Never: true,
		NeedsAction: true},
	ListedPartly: {Sentence: "GKE could list this cluster only partly; what is missing is unknown.",
		WaitsOn: OnGKE, Explains: Always, Unclear: true, BesideUs: true},
	MaintenanceUnknown: {Sentence: "The maintenance policy is of a kind this version does not understand, so its windows count as closed.",
		Next:    "Mend the window as the message says, or upgrade the rotator.",
		WaitsOn: OnPeople, NeedsAction: true, Explains: Always, Catches: Always},
	StatusNotRunning: {Sentence: "The cluster's status does not allow a change.", WaitsOn: OnGKE,
		Explains: Always, BesideUs: true},
	OperationRunning: {Sentence: "GKE runs an operation on the cluster and would refuse another.",
		WaitsOn: OnGKE, Explains: Always, Unclear: true, BesideUs: true},
	GKEWorksLong: {Sentence: "GKE is at work on the cluster, or does not show all of it, for longer than that takes.",
		Next:    "Look with `gcloud container operations list --project=PROJECT --location=LOCATION` and `gcloud container operations describe`; then ask Google's support.",
		WaitsOn: OnPeople, NeedsAction: true, Explains: Always, Blame: "waits on GKE, no date"},
	PoolUnhealthy: {Sentence: "A node pool is in error: it may be unable to make the nodes that a rotation needs.",
		Next:    "Mend the pool as GKE's words about it say; `gcloud container clusters describe` has them.",
		WaitsOn: OnPeople, NeedsAction: true},
	TwoCAs: {Sentence: "Two CAs are in place: a rotation is under way.", WaitsOn: OnGKE},
	Held: {Sentence: "A person holds this cluster.",
		Next:    "`rotator status CLUSTER` names each hold and what ends it.",
		WaitsOn: OnPeople, Explains: Always, Catches: Always, Hold: true, Head: true, Blame: "a hold"},
	HeldByLabel: {Sentence: "The cluster's owners hold it, by a label on the cluster.",
		Next:    "Remove the label from the cluster when the reason is over; no command of ours lifts it.",
		WaitsOn: OnPeople, Explains: Always, Catches: Always, Hold: true, Head: true, Standing: ByOwners},
	ApprovalNeeded: {Sentence: "The policy asks for a person's approval.",
		Next:    "`rotator approve CLUSTER --by NAME --reason WHY`",
		WaitsOn: OnPeople, NeedsAction: true, Explains: Always, Blame: "APPROVAL"},
	WindowClosed: {Sentence: "The maintenance window is closed, or too little of it is left.",
		Explains: Always, Head: true},
	Excluded: {Sentence: "A maintenance exclusion of the cluster blocks node work.",
		Next:    "Wait for its end; where the message names none, remove it or narrow it as the message says.",
		WaitsOn: OnPeople, Explains: Always, Blame: "its own maintenance exclusion", Head: true},
	StartWindowClosed: {Sentence: "START_WINDOW is closed.", Head: true},
	Frozen: {Sentence: "A freeze of the company is on.",
		Explains: Always, Catches: Always, Blame: "FREEZES"},
	DoesNotFit: {Sentence: "Nodes, soak and completion would not fit into GKE's seven days.",
		Next: "Change what the message names.", WaitsOn: OnPeople},
	BreakerOpen: {Sentence: "Failed or stuck rotations wait for a person; no new ones start.",
		Next:    "Look at `rotator status`, then `rotator retry CLUSTER --by NAME --reason WHY` or `rotator close CLUSTER --by NAME --reason WHY`.",
		WaitsOn: OnPeople, ToldElsewhere: true, Standing: BehindOthers},
	WaveClosed: {Sentence: "An earlier wave is not verified yet, or its soak is not over.",
		WaitsOn: OnRuns, Blame: "WAVES, WAVE_SOAK", Head: true},
	BudgetFleet: {Sentence: "MAX_ACTIVE rotations are in flight.",
		WaitsOn: OnRuns, Slot: "slot", Queued: true},
	BudgetProject: {Sentence: "MAX_ACTIVE_PER_PROJECT rotations are in flight in this project.",
		WaitsOn: OnRuns, Slot: "project slot", Queued: true},
	BudgetLocation: {Sentence: "MAX_ACTIVE_PER_LOCATION rotations are in flight in this location.",
		WaitsOn: OnRuns, Slot: "location slot", Queued: true},
	BudgetEmergency: {Sentence: "The most emergencies at once are in flight.",
		WaitsOn: OnRuns, Slot: "emergency slot"},
	BackingOff: {Sentence: "GKE refused or failed; the next try waits.", Explains: Always},
	TriesExhausted: {Sentence: "It failed or was refused three times; only a person can let it go on.",
		Next:    "Mend the cause, then `rotator retry CLUSTER --by NAME --reason WHY`.",
		WaitsOn: OnPeople, NeedsAction: true, Explains: Always, ToldElsewhere: true},
	CallWithdrawn: {Sentence: "A call was taken back before it was sent: what it rests on could not be read, or had changed.",
		Next: "Mend what the message names; `scripts/doctor ENV` names a missing role.", WaitsOn: OnRuns},
	BlockedReason: {Sentence: "It is due, and by its calendars cannot start in time.",
		Next: "Change what the message names.", WaitsOn: OnPeople},
	NotReadable: {Sentence: "The cluster could not be read.",
		Next:    "`scripts/doctor ENV` names a missing role.",
		WaitsOn: OnPeople, Explains: Always, Unclear: true},
	GateOpen:  {Sentence: "Nothing prevents this step."},
	StartSent: {Sentence: "The start was sent to GKE.", Explains: Always},
	StartRuns: {Sentence: "GKE works on the start.", WaitsOn: OnGKE},
	CallUnsettled: {Sentence: "A call may still be on its way to GKE; nothing is sent until that is settled.",
		Explains: Always},
	BothCAs: {Sentence: "Old and new CA are in place: hand over to the people who run clients.",
		Next: "Update every client of the cluster: `rotator handover CLUSTER`"},
	NodesPending: {Sentence: "Node pools still use the old credentials."},
	NodesRunning: {Sentence: "Node pools are being recreated.", WaitsOn: OnGKE, Explains: WhileGKEWaits},
	NodesLeftToGKE: {Sentence: "Node pools are left to GKE, which recreates them in the cluster's window.",
		Next: "Recreate the pool by hand if it does not.", WaitsOn: OnGKE, Explains: WhileGKEWaits},
	WouldOverrun: {
		Sentence: "Our work on the pool would go on too long after the window, or into a freeze; GKE's work pauses.",
		WaitsOn:  OnGKE, Explains: Always,
	},
	PromiseHolds: {Sentence: "People were told that the old credentials end no earlier.", Explains: Always},
	HandOverWaits: {
		Sentence: "A hand-over has not reached all who are to be told: the soak counts from its delivery, and nothing new starts.",
		Next:     "Mend the receiver, or say by other means what `rotator handover CLUSTER` says.",
		WaitsOn:  OnPeople, NeedsAction: true, Explains: Always, ToldElsewhere: true,
	},
	NodeGraceRuns: {Sentence: "GKE gets NODE_GRACE of open window to begin by itself.", Explains: Always},
	PoolExcluded: {Sentence: "The pool has an exclusion of its own.",
		Next:    "Remove the pool's exclusion, or recreate it by hand.",
		WaitsOn: OnPeople, Explains: Always, Blame: "its own maintenance exclusion"},
	PoolsAtOnceFull: {Sentence: "As many pools as allowed are being recreated.",
		WaitsOn: OnGKE, Explains: WhileGKEWaits},
	NodesDone:       {Sentence: "Every node pool is recreated."},
	PoolAppeared:    {Sentence: "A node pool with old credentials appeared; the approval is void."},
	NeedsRecreation: {Sentence: "GKE says that a node pool still requires recreation."},
	ReadyToComplete: {Sentence: "Nothing that binds is in the way of the completion."},
	Loosened: {Sentence: "What people were told to wait for was lifted in the policy: they are told anew.",
		Next: "Update every client of the cluster: `rotator handover CLUSTER`"},
	SoakRuns: {Sentence: "Clients get SOAK to be updated.", Explains: Always, Catches: IfAfterGKE},
	CompleteWindowClosed: {Sentence: "COMPLETE_WINDOW is closed: completion wants people awake.",
		Explains: Always, Catches: IfAfterGKE, Head: true},
	PoolsNotRecreated: {Sentence: "Not every node pool is recreated.",
		WaitsOn: OnRuns, Explains: WhileGKEWaits},
	CompleteSent:     {Sentence: "The completion was sent to GKE.", Explains: Always},
	CompleteRuns:     {Sentence: "GKE works on the completion.", WaitsOn: OnGKE},
	CompleteLeftNone: {Sentence: "The completion left nothing; it will be tried again."},
	OneNewCA:         {Sentence: "Only the new CA is left."},
	VerifyingHealth: {Sentence: "The new CA is in force; the cluster's health is compared with before.",
		Explains: Always, BesideUs: true},
	Verified: {Sentence: "The rotation is complete and verified."},
	WithFindings: {Sentence: "The rotation is complete, and something is worse than before.",
		Next: "Look at the findings in `rotator status CLUSTER`."},
	WorseThanBefore: {Sentence: "After completion the cluster is worse than before.",
		Next:    "Look at the cluster; `rotator retry CLUSTER --by NAME --reason WHY` acknowledges.",
		WaitsOn: OnPeople},
	ElsewhereCompleted: {Sentence: "Somebody else completed the rotation: a person or GKE.",
		Next: "Make sure that every client knows the new CA."},
	ReadShowsLess: {Sentence: "GKE showed less than was already proved; an old answer changes nothing.",
		WaitsOn: OnRuns, Unclear: true},
	StartLeftNone: {Sentence: "The start left nothing behind; a later run may try again."},
	StartFailed: {Sentence: "GKE's start operation failed.",
		Next:    "Look at the operation; `rotator retry CLUSTER --by NAME --reason WHY` acknowledges.",
		WaitsOn: OnPeople},
	PoolFailed: {Sentence: "Recreating a node pool failed.",
		Next: "Look at quota, capacity and disruption budgets of the pool.", WaitsOn: OnPeople},
	CompleteFailed: {Sentence: "GKE's complete operation failed.",
		Next:    "Look at the operation; `rotator retry CLUSTER --by NAME --reason WHY` acknowledges.",
		WaitsOn: OnPeople},
	LateStart: {Sentence: "GKE accepted a start after we had given it up; the attempt is ours again."},
	ForeignRotation: {Sentence: "Somebody else started a rotation.",
		Next: "`rotator adopt CLUSTER --by NAME --reason WHY` lets this tool manage it.", WaitsOn: OnGKE},
	AdoptedWatching: {Sentence: "Somebody else started this rotation and ADOPT=watch: we only look.",
		Next:    "`rotator adopt CLUSTER --by NAME --reason WHY`, or complete it by hand.",
		WaitsOn: OnPeople, Explains: Always, ToldElsewhere: true},
	AdoptedManaging:  {Sentence: "Somebody else started this rotation, or closed its record; we manage it to its end."},
	ClusterGone:      {Sentence: "The cluster no longer exists."},
	ClusterRecreated: {Sentence: "The cluster was deleted and created again under its name."},
	ClusterLost: {Sentence: "Nobody could read the cluster for 14 days.",
		Next: "`scripts/doctor ENV` names a missing role.", WaitsOn: OnPeople},
	ClosedWatching: {Sentence: "A person closed the record of this rotation: we only look until its end.",
		Next:    "`rotator adopt CLUSTER --by NAME --reason WHY` takes it up again.",
		WaitsOn: OnPeople, Explains: Always, ToldElsewhere: true},
	ClosedByPerson: {Sentence: "A person closed the record.", ToldElsewhere: true},
	OutcomeUnstored: {Sentence: "The answer of a call could not be stored; the log line holds it whole.",
		Next:    "Mend the store; the next runs find out by what GKE shows. What the line holds can be entered, too: see deploy/RUNBOOK.md.",
		WaitsOn: OnPeople},
	IllegalMove: {Sentence: "A move was due that the lifecycle does not know; it was not made.",
		Next:    "Report it, with what `rotator status CLUSTER` shows. To end our record: `rotator close CLUSTER --by NAME --reason WHY`",
		WaitsOn: OnPeople},
	EndedUnverified: {Sentence: "A rotation that had failed or was stuck ended unverified: its cluster is gone, was created again, or could not be read.",
		Next:    "`rotator retry CLUSTER --by NAME --reason WHY` acknowledges.",
		WaitsOn: OnPeople},
	IsStuck: {Sentence: "It stays in its phase longer than gates and operations explain.",
		Next:    "Look at `rotator status CLUSTER`; `rotator retry CLUSTER --by NAME --reason WHY` acknowledges.",
		WaitsOn: OnPeople},
}

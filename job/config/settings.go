package config

import (
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Settings is every ROTATOR_ setting, one row each: a field's name in capitals and underscores is the
// setting's name, as envconfig has it, its type says how it is parsed, and its tags are
//
//	default   what holds when it is not set; without one it is required
//	form      how it is written, where the type and the tags below do not say
//	words     the choices that there are
//	zero      the word for none of it
//	min, max  the bounds of a duration
//	secret    its value is never shown, but for the name of a file that holds it
//	audit     it is kept with what was decided, as all rules are (see below)
//	sim       its value in a simulation, which has one of its own
//	fleet     it says which fleet it is and how it is reached: the two policies
//	          that a forecast compares are over one fleet
//
// A setting that has a field of its name in [rules.Policy] is a rule: it goes into the policy, into the
// policy's JSON and into what is audited. deploy/CONFIG.md is made of the comments and tags.
type Settings struct {
	// -- Which clusters, and what a run may do --

	// Names this deployment, for instance prod. It is kept in the store and stands on every log line.
	// WARNING: a run with another ENV than the store's refuses to work (exit 2), so that two deployments never
	// share a store by mistake.
	Env Value[name] `split_words:"true" sim:"simulation" fleet:"on"`
	// The projects whose clusters are looked at. A project that leaves the list while one of its rotations is
	// in flight stays listed until that rotation has ended.
	Projects Value[projectList] `split_words:"true" sim:"simulation" fleet:"on"`
	// Only clusters in these regions or zones. A region stands for its zones.
	Locations Value[locationList] `split_words:"true" default:"all" zero:"all"`
	// Only clusters whose GKE resource labels match, in the syntax of Kubernetes label selectors. WARNING:
	// unselected clusters are never adopted and never reported as due; GKE rotates them by its own rules.
	Selector Value[fleet.Selector] `split_words:"true" default:"all"`
	// What a run may do. observe looks, decides and keeps the store, but never builds the client that changes
	// clusters. act sends. The default is the safe one: begin with it and read what plan says. act against
	// Google with the default file store is refused, because a store that lives in a container is lost with it.
	Mode word `split_words:"true" default:"observe" words:"observe,act" audit:"on" sim:"act" fleet:"on"`

	// -- What is due, and how urgent it is --

	// A CA that expires within this is due. 180 days is when GKE's own insight appears, and leaves five months
	// before GKE's last resort, which ignores windows. It must be longer than EMERGENCY_BEFORE_EXPIRY, or
	// every due cluster would be an emergency.
	RotateBeforeExpiry period `split_words:"true" default:"180d" form:"a duration, e.g. 180d"`
	// A CA older than this is due. Modern CAs live 30 years, so age is the rule that recurs. Off, because the
	// period is the company's choice.
	MaxCAAge period `split_words:"true" default:"off" zero:"off" form:"a duration, e.g. 365d"`
	// A CA that GKE made before this date is due: what to set after a compromise. It ends by itself once every
	// CA is newer. (A CA's notBefore lies an hour before GKE made it.) A date up to 24h ahead is taken as the
	// time of the first run that sees it; a later one is refused.
	RotateIssuedBefore Value[time.Time] `split_words:"true" default:"none" zero:"none"`
	// The clusters for which ROTATE_ISSUED_BEFORE cannot wait: windows, exclusions, freezes, waves and slots
	// are lifted, the soak is SOAK_COMPROMISED. WARNING: node pools of these clusters are recreated in the
	// middle
	// of the working day. Only together with ROTATE_ISSUED_BEFORE.
	Compromised Value[*fleet.Selector] `split_words:"true" default:"none" zero:"none"`
	// The time that clients get in a compromised rotation. At most 5d.
	SoakCompromised period `split_words:"true" default:"4h" form:"a duration of at most 5d"`
	// The most compromised rotations at one time.
	CompromisedMaxActive number `split_words:"true" default:"20"`
	// A due CA that expires within this is an emergency: what would make it wait beyond expiry - 31 d is
	// lifted. Above 31d, because at 30 days GKE starts by itself, whatever the window.
	EmergencyBeforeExpiry period `split_words:"true" default:"45d" form:"a duration above 31d"`
	// The most emergency rotations at one time.
	EmergencyMaxActive number `split_words:"true" default:"10"`

	// -- When --

	// When we work on clusters that have no maintenance window of their own. WARNING: it binds us, not GKE:
	// after a start GKE recreates the nodes of such a cluster at any hour, whatever stands here. Only a
	// window on the cluster itself prevents that.
	Window Value[window.Weekly] `split_words:"true" default:"always"`
	// Rotations start only inside it, in addition to the cluster's own window.
	StartWindow Value[window.Weekly] `split_words:"true" default:"always"`
	// Dates on which the company changes nothing, days inclusive, UTC unless a zone follows. They bind starts,
	// our node work and our completion. WARNING: they do not bind GKE, which completes a rotation by itself
	// seven days after its start; only a NO_UPGRADES exclusion delays that.
	Freezes Value[window.Freezes] `split_words:"true" default:"none" zero:"none"`
	// When a rotation may be completed. Completion ends the old credentials: a client that was forgotten fails
	// then, so it wants people awake.
	CompleteWindow Value[window.Weekly] `split_words:"true" default:"Mon-Thu 09:00-15:00"`
	// What the completion of a zonal cluster obeys, whose API server is gone for a moment: people is
	// COMPLETE_WINDOW alone, window is the cluster's own window alone, both is where the two overlap. WARNING:
	// with both, a cluster whose window lies in the night never completes by this tool.
	ZonalComplete Value[rules.ZonalComplete] `split_words:"true" default:"people" words:"people,window,both"`
	// The time that people get to update kubeconfigs, Terraform, Vault, Argo CD and firewall rules: from the
	// hand-over to the completion. At most 5d, because GKE completes by itself seven days after the start.
	Soak period `split_words:"true" default:"72h" form:"a duration of at most 5d"`
	// Which steps ask for a person's yes (rotator approve). WARNING: without the yes we never complete, but
	// GKE does, from day seven.
	Approval Value[rules.ApprovalMode] `split_words:"true" default:"none" words:"none,start,complete,both"`
	// What the owners of a cluster may say by labels on it, as gcloud and Terraform set them. hold:
	// rotator-hold=WHY stops every call of ours until the label is removed, rotator-hold-until=2026-12-24
	// through that day in UTC. both: rotator-approve says yes, too, where APPROVAL asks; plan and status name
	// the value to write. A label lifts nothing, no command lifts a label, and one that cannot be understood
	// holds. Whoever may label a cluster (container.clusters.update) may also complete its rotation himself,
	// so a yes by label gives nobody a new power. WARNING: but a label names no person; who set it stands in
	// the cluster's audit log alone, which is why both is not the default.
	OwnerLabels Value[rules.OwnerLabels] `split_words:"true" default:"hold" words:"off,hold,both"`

	// -- How --

	// Who recreates node pools: auto is GKE first and then we, gke is GKE alone, in the cluster's own window.
	Nodes Value[rules.NodesBy] `split_words:"true" default:"auto" words:"auto,gke"`
	// The open window time that GKE gets to begin with a pool before we upgrade it to its own version. 0 is at
	// once.
	NodeGrace period `split_words:"true" default:"1h" form:"a duration, or 0"`
	// The estimate for recreating one node, for the question whether a rotation fits into GKE's seven days.
	// Pools with slow pods want more.
	NodeTime period `split_words:"true" default:"10m" min:"1m" max:"12h"`
	// How far past the end of the window our own work on a pool may likely run: it does not pause there, as
	// GKE's does. It never runs into a freeze or an exclusion. A pool that would take longer is left to GKE.
	NodeOverrun period `split_words:"true" default:"2h" max:"24h"`
	// What becomes of a start that GKE would complete, seven days later, before we can: bind waits, report says
	// so and starts.
	Fit Value[rules.FitMode] `split_words:"true" default:"bind" words:"bind,report"`
	// Whether an exclusion NO_MINOR_OR_NODE_UPGRADES that stands until the version's end of support binds our
	// own starts and node work, too. respect: such a cluster is rotated only in an emergency; gke-only: it is
	// for GKE's upgrades, and ours goes inside the window. Exclusions with an end, and NO_UPGRADES, always bind.
	Exclusions Value[rules.ExclusionsMode] `split_words:"true" default:"respect" words:"respect,gke-only"`
	// How many pools of a cluster are recreated together. fit is the fewest that fits into the windows, at
	// most 3.
	PoolsAtOnce number `split_words:"true" default:"fit" zero:"fit" form:"fit, or a number from 1 to 20"`
	// What becomes of rotations that somebody else started: watch reports, hands over and warns; manage treats
	// them as ours.
	Adopt Value[rules.AdoptMode] `split_words:"true" default:"watch" words:"watch,manage"`

	// -- How many, and in which order --

	// The most rotations at one time, emergencies and compromised ones apart.
	MaxActive number `split_words:"true" default:"10"`
	// The most rotations at one time in one project.
	MaxActivePerProject number `split_words:"true" default:"2" zero:"off"`
	// The most rotations at one time in one location, over all projects.
	MaxActivePerLocation number `split_words:"true" default:"off" zero:"off"`
	// The order in which groups of clusters go, canaries first. Clusters that match no wave go last; one that
	// matches two belongs to the first.
	Waves Value[fleet.Waves] `split_words:"true" default:"one"`
	// The time between the last verified cluster of a wave and the first start of the next.
	WaveSoak period `split_words:"true" default:"3d" max:"90d"`
	// When so many rotations have failed or are stuck and nobody has acknowledged them, no new ones start.
	// One, because the first failure may be everybody's.
	MaxFailed number `split_words:"true" default:"1"`
	// How much longer than gates and operations explain a rotation may stay in its phase before it counts as
	// stuck.
	StuckAfter period `split_words:"true" default:"24h" min:"1h" max:"30d"`
	// -- What else is read --

	// What is done with Recommender's insights about expiring CAs: read shows them beside the certificate's
	// own dates. They are never a reason to act. At most 50 reads a day, for the free tier is 100 in an
	// organisation: only where a CA expires within 180 days or a rotation is being verified, each location
	// once a day.
	Recommender word `split_words:"true" default:"read" words:"off,read" audit:"on" sim:"off" fleet:"on"`

	// -- Who is told --

	// Where notices are posted as CloudEvents (JSON, structured), or as texts for Slack: what starts soon,
	// hand-overs, what needs action. What each tells is in deploy/NOTIFICATIONS.md. What cannot be delivered
	// waits in the store, at most 30 days. WARNING: a URL that is a secret itself, as Slack's is, belongs into
	// a file: settings are seen by all who may see the job.
	NotifyWebhook Value[webhook] `split_words:"true" default:"none" zero:"none" secret:"on" sim:"none"`
	// What the webhook is posted.
	NotifyFormat word `split_words:"true" default:"cloudevents" words:"cloudevents,slack"`
	// A file with the secret that signs what is posted, as Standard Webhooks has it (webhook-id,
	// webhook-timestamp, webhook-signature). It is read in every run, so a new secret needs no redeploy.
	NotifySecretFile Value[secretFile] `split_words:"true" default:"none" zero:"none" sim:"none"`
	// The Pub/Sub topic to which notices are published, ordered by cluster. The job's account needs
	// roles/pubsub.publisher on it.
	NotifyTopic Value[topic] `split_words:"true" default:"none" zero:"none" sim:"none"`
	// How long before a start, and before the end of the old credentials, it is announced. Two days are from
	// Thursday to a window on Saturday.
	NotifyAhead period `split_words:"true" default:"2d" min:"1h" max:"14d"`
	// The file into which every run writes its report: one HTML page, whole in itself, that can be served,
	// mailed and printed. On Cloud Run it lies in a mounted bucket (deploy/README.md). A report that cannot be
	// written is one line in the log and stops no run. WARNING: the page names clusters, endpoints and what is
	// wrong with them; who can read the file reads that.
	Report Value[htmlFile] `split_words:"true" default:"none" zero:"none" sim:"none"`

	// -- The store, the schedule and the endpoints --

	// Where the store is kept. A file is for one machine; on Cloud Run Firestore must be named: a database in
	// native mode that is there already (see deploy/STATE.md). WARNING: a deployment that is pointed at
	// another store forgets holds, approvals and whose rotations are whose.
	State Value[place] `split_words:"true" default:"file:rotator-store.db" sim:"file:rotator-store.db" fleet:"on"`
	// How often the job is scheduled. It is not what schedules it: it tells the fit check how many runs a
	// window holds.
	Every period `split_words:"true" default:"1h" min:"5m" max:"1d" form:"a duration from 5m to 24h"`
	// How many clusters and projects a run works on at one time.
	Parallel number `split_words:"true" default:"16" form:"a number from 1 to 256"`
	// How long after its begin a run begins nothing new. At most EVERY, so that runs do not overlap, and below
	// the job's task timeout.
	Deadline period `split_words:"true" default:"50m" form:"a duration of at least 1m and at most EVERY"`
	// Where GKE's API is reached: at Google, or at a host of googleapis.com, as private and restricted ones
	// are; no other host is given credentials. On a loopback address it is spoken to in plain text and without
	// credentials, which is how a simulated GKE is used. On Cloud Run it is Google's own, and
	// FIRESTORE_EMULATOR_HOST and what else would lead elsewhere is refused.
	GKEEndpoint endpoint `split_words:"true" default:"google" zero:"google" sim:"localhost:1" fleet:"on"`
	// Where Recommender's API is reached, likewise. Beside a simulated GKE only a simulated Recommender is
	// asked, so there it must be named.
	RecommenderEndpoint endpoint `split_words:"true" default:"google" zero:"google" sim:"localhost:1" fleet:"on"`

	// Tool is the version of the program, which is kept with what it decides.
	Tool string `ignored:"true"`
}

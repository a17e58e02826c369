// Package policy is the rules: when a cluster's credentials must be rotated,
// when each step may be taken, and what every answer of GKE means. It is pure:
// values in, values out; no clock, no network, no environment, no log. The same
// input gives the same output, so what `plan` shows is what `run` does, and a
// simulation of a year is this package asked some thousand times.
//
// # What goes in and what comes out
//
// In go a [rules.Policy] (the settings), a [Fleet] (what GKE showed of every cluster,
// and the store: the rotations in flight, the fleet document, the history of what
// needs it) and the time. GKE is the truth about the clusters, the store about
// our intent. Out comes one [Decision] for each cluster that was seen and each
// rotation on record: an [Action], the reason in one code and one message, the
// verdict of every gate that was asked, the rotation as it must be stored before
// anything is done, and what is worth telling ([Event]; event.go has all there
// are). Nothing here stores, sends or tells; package pass does. Around the engine stand
// its rooms: course, what one cluster's dates are; lifecycle, the moves of a rotation;
// outcome, what decisions and answers make of the store; operator, what people say;
// notice, what they are told.
//
// # Two steps
//
// [Plan] works in two steps, and each is pure:
//
//   - own decides for one cluster what it is and does by itself: is it due, do
//     its own gates let it start, what has become of its rotation. Whether other
//     clusters exist makes no difference here.
//   - deal takes all of them and says who of those that could start does. It
//     asks the gates over the fleet (the breaker of failures, waves, slots) in
//     order of urgency and counts slots as it gives them away. It reads no
//     cluster: own has filled in a candidate, a few words of each cluster, and
//     that is all it knows. Only starts pass this step; what is in flight holds
//     its slot already, and goes on.
//
// # A Case
//
// A [Case] is one question of the first step: this cluster, this rotation or
// none, this policy, this fleet document, now. caseOf works out what everybody
// asks for: whether it is due, whether this is an emergency (due, and the CA ends
// within EMERGENCY_BEFORE_EXPIRY) or compromised (COMPROMISED names it), and
// which wave it is in. All rules of one cluster are methods of Case, of the
// Course and the Policy in it, or functions that take one, and look at nothing else.
//
// An idle Case asks [StartGates] (idle.go). Two CAs without a record are another
// tool's rotation, or our own start that GKE accepted late; a record is made of
// it. A Case in flight (flight.go) first takes in what operations prove, then
// carries out what people asked for, then moves at most one phase by what GKE
// shows, then sees whether a call is due. A rotation whose cluster this run did
// not see is unseen.go's: gone only if GKE, asked for it, said so.
//
// # Gates
//
// A [Gate] is one named condition of a step: one small function from a Case to a
// [Verdict], and one row in the step's table. [StartGates] stand before a start,
// [NodeGates] before we recreate a pool, [CompleteGates] before a completion.
// [Case.Ask] puts a table's questions in its order and keeps all answers, so that
// people see every reason and not only the first; the step is free if no verdict
// is closed and binding, else the first of those is the decision's reason.
//
// A verdict is made by isOpen or openUntil, closedBy (nobody knows until when, or
// somebody must act) or closedUntil, with a reason, a message, and Changes, when
// passing time alone may change the answer. Where that is not the time at which it
// opens, it is set by name.
//
// The columns of the row say when a gate is asked, and how it yields:
//
//   - First gates come before all others. While one of them is closed the others
//     are not asked: an idle cluster costs little.
//   - Fresh gates need more than a list shows; they are asked only on the read
//     right before the call.
//   - Calendar gates are opened by time alone, so a date can be promised.
//   - Emergency and Compromised are a [Yield], how the gate gives way where there is
//     no time to wait: not at all (Binds), if waiting would pass the expiry less
//     31 days (IfLate), always, though people should read what it says
//     (Reported), or always (Lifted). A gate that gives way stays closed in its
//     verdict, which is marked as lifted. ByItself means that the function knows
//     of the moment and asks for less: the soak is shorter, the completion window
//     is awaited only while one opens in time, slots have caps of their own. Such
//     a gate is never lifted: what it then says binds.
//
// A [FleetGate] is the same over the whole fleet: its function gets the candidate
// and the tally of slots and waves, and [FleetGates] is asked by deal, after all
// others.
//
// # The lifecycle
//
// A rotation goes through five phases:
//
//	(idle) -> starting -> recreating-nodes -> updating-clients -> completing -> verifying -> (history)
//
// [lifecycle.Edges] are all moves there are, each with its when; three of them go back.
// Only [lifecycle.Move] changes a phase, and it makes no move that is not among them.
// An illegal move, which is a defect of ours or a document that we did not write, is a
// panic that ends at the cluster: its decision is refused, loudly (reason illegal-move,
// for people), nothing is sent for it, and the other clusters go on. Any phase may be
// closed, but never while a call may still be on its way.
//
// # How a call is made
//
// A decision to send is not the call. Between them lie, in this order:
//
//  1. outcome.Intend, for a start, or outcome.IntendCall turns the decision into the
//     rotation with a call that is intended, under a random id that only its maker may
//     use. That is stored, in one transaction with the slot.
//  2. The cluster and the fleet document are read once more, and [Recheck] asks the
//     step's own table whole, Fresh gates included. Only if the action is still
//     the same may the call be sent; else it is withdrawn. The gates over the fleet
//     are not asked again, for the stored intent holds their answer.
//  3. The call is sent, once.
//  4. outcome.Resolve turns the answers into the rotation to store. A clear refusal may
//     move the phase; silence never does, and stays a call that may have been taken.
//
// From then on only what GKE shows counts. An effect that is seen proves at any
// time; absence proves only in a read that began record.SettleAfter after the
// intent. Why that holds when runs are killed, paused or doubled is told in
// /ARCHITECTURE.md, "How a call survives".
//
// # Facts, not sentences
//
// A message is a fact.Text: words, and between them times, settings and clusters
// that keep their types until somebody shows them. Make one with fact.Say,
// fact.Sayf and fact.Set; nothing reads one back. What all rules must know about a
// reason (who ends it, whether it explains that nothing moves, what people can
// do) is a column of the table in package reason. Ask the column, and never for a
// list of codes.
//
// # The promise
//
// [Decision.NextChange] is a promise: before it, with unchanged inputs, the decision
// does not change. Forecasts leave out every run before it, so a rule that breaks
// it makes them wrong. It is the soonest of all that the verdicts name as Changes, of
// the CA's dates, and, for what waits for others, of their next changes. A rule that
// looks at Now must therefore name its Changes; TestPromise draws fleets, policies and
// times until it finds one that does not.
//
// # To add a gate
//
//  1. One function, beside those of its step (gates_start.go, gates_nodes.go,
//     gates_complete.go, people.go; tally.go over the fleet). It says isOpen or closed,
//     and when time alone changes that.
//  2. One row in the step's table. Its place is its rank: the first closed gate is the
//     reason that people read. Think about Emergency and Compromised: a gate that binds
//     may let a CA expire. A name that is known outside the tables is a constant in
//     gate.go.
//  3. One reason: a code and its row in package reason, with its sentence and what
//     people can do. Documents that list reasons are printed by the tests.
//  4. One story in job/testdata/stories: a cluster that the gate holds up, and what lets it go.
package policy

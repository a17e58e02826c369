// Package policy is the rules: when a cluster's credentials must be rotated,
// when each step may be taken, and what every answer of GKE means. It is pure:
// values in, values out; no clock, no network, no log.
//
// A rotation goes through five phases:
//
//	(idle) -> starting -> recreating-nodes -> updating-clients -> completing -> verifying -> (history)
//
// [Plan] and [Again] are the first half of the state machine: from what GKE
// shows and the book holds to a [Decision], with the rotation to store before
// acting. [Settle] is the other half: from the answers of the calls to the
// rotation as it must be stored. GKE is the truth about the cluster, the book
// about our intent.
package policy

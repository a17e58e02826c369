package trial

import "gke-credential-rotator/policy/record"

// sentOnce judges promise 2, and rules 1 and 2 with it: a process sends only
// what it stored itself and was told to be stored, once and soon. Node calls
// are held to the same, each pool by itself; where an earlier one's operation
// is known to have ended, it is settled.
func (j *judge) sentOnce(e *Event) {
	if e.Kind != Sent {
		return
	}
	ref, kind := e.Request.Cluster, e.Request.Kind
	p := j.pass(e)
	_, ops, read, _ := p.under(ref)
	c := j.calls[e.Request.Intent]
	switch {
	case c == nil || c.pass != e.Pass || c.cluster != ref || c.kind != kind || c.pool != e.Request.Pool:
		j.accuse(e, ref, "a %s was sent without an intent of the process's own", kind)
		return
	case !c.sentAt.IsZero():
		j.accuse(e, ref, "the %s of intent %s was sent again, first at %s", kind, c.id, stampOf(c.sentAt))
	case !c.intent.Write.Applied || c.intent.Write.Delivered != "":
		j.accuse(e, ref, "a %s was sent although its writer did not know that the intent was stored", kind)
	case ops == nil || read == nil || read.N < ops.N:
		j.accuse(e, ref, "a %s was sent without a read of operations, then cluster, under its intent", kind)
	case read.At.Sub(c.intent.At) >= sendWithin:
		j.accuse(e, ref, "a %s was sent although its read alone ended %s after the intent", kind,
			read.At.Sub(c.intent.At))
	}
	if kind == record.CallRecreate {
		if earlier := j.ledger(e.Env).nodes[ref.String()+" "+c.pool]; earlier != c && earlier.unsettled(e.At) &&
			!j.ended(earlier) {
			j.accuse(e, ref, "pool %q was called for while the call of %s is unsettled", c.pool,
				stampOf(earlier.sentAt))
		}
		return
	}
	b := j.ledger(e.Env)
	for _, earlier := range []*call{b.starts[ref], b.finals[ref]} {
		if earlier != c && earlier.unsettled(e.At) {
			j.accuse(e, ref, "a %s was sent while the %s of %s is unsettled", kind, earlier.kind,
				stampOf(earlier.sentAt))
		}
	}
}

// ended says whether the operation of a node call is known to be over.
func (j *judge) ended(c *call) bool {
	op, ok := j.truth(c.cluster).ops[c.operation]
	return ok && op.Done
}

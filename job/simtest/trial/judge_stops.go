package trial

// stopsStop judges promise 7.
func (j *judge) stopsStop(e *Event) {
	switch e.Kind {
	case Sent:
		switch run := j.pass(e).run; {
		case run.Look:
			j.accuse(e, e.Request.Cluster, "a plan sent a %s", e.Request.Kind)
		case run.Mode == "observe":
			j.accuse(e, e.Request.Cluster, "a run in observe sent a %s", e.Request.Kind)
		}
		j.notHeld(e)
	case IntentStored, OutcomeStored, Stored, Leased:
		if j.pass(e).run.Look {
			j.accuse(e, e.Cluster, "a plan wrote to the store: %s", e.Kind)
		}
	}
}

// notHeld: after its intent a process looks for holds once more, and sends
// nothing if there is one. What is placed after that look is inherent.
func (j *judge) notHeld(e *Event) {
	ref := e.Request.Cluster
	intent, _, read, looked := j.pass(e).under(ref)
	if intent == nil {
		return
	}
	if looked == nil {
		j.accuse(e, ref, "a %s was sent without a look for holds under its intent", e.Request.Kind)
		return
	}
	doc := looked.Fleet
	if doc == nil {
		doc = &looked.Contents.Fleet
	}
	if held(doc, ref, e.Clock) {
		j.accuse(e, ref, "a %s was sent for a held cluster", e.Request.Kind)
	}
	if p := j.pass(e).run.Policy; p != nil && read != nil && len(read.Look.Clusters) == 1 &&
		labelHolds(p, read.Look.Clusters[0].Labels, e.Clock) {
		j.accuse(e, ref, "a %s was sent for a cluster that its owners' label holds", e.Request.Kind)
	}
}

package policy

// Edge is one way a rotation may move. From "" is idle, To "" is closed.
type Edge struct {
	From, To Phase
	When     string
}

// Edges are all moves there are; ARCHITECTURE.md prints them and tests check
// every transition against them. Three of them go back.
var Edges = []Edge{
	{"", Starting, "due, and every gate of a start is open: the intent is stored, then sent"},
	{"", RecreatingNodes, "two CAs without a record of ours: foreign, or our own start accepted late"},
	{Starting, RecreatingNodes, "old and new CA are in place and the start operation is done: hand-over"},
	{Starting, Verifying, "one new CA: completed elsewhere"},
	{Starting, "", "the start provably left nothing: not-started"},
	{RecreatingNodes, UpdatingClients, "every pool is recreated or gone: hand-over again"},
	{RecreatingNodes, Verifying, "one new CA: completed elsewhere"},
	{UpdatingClients, RecreatingNodes, "back: an unrecreated pool appears; the approval is void"},
	{UpdatingClients, Completing, "soak over, approved if asked, completion window open with room: the intent is stored, then sent"},
	{UpdatingClients, Verifying, "one new CA: completed elsewhere"},
	{Completing, RecreatingNodes, "back: GKE says that a pool requires recreation; its older evidence is void"},
	{Completing, UpdatingClients, "back: our completion left nothing, was withdrawn, or its operation failed"},
	{Completing, Verifying, "the operation is done and one new CA is left"},
	{Verifying, "", "no worse than the baseline: completed; else after STUCK_AFTER completed-with-findings"},
}

// Allowed says whether a rotation may move so. Any phase may also be closed:
// the cluster is gone, recreated or lost, or a person says so.
func Allowed(from, to Phase) bool {
	if to == "" {
		return true
	}
	for _, e := range Edges {
		if e.From == from && e.To == to {
			return true
		}
	}
	return false
}

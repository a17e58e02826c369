package terminal

import (
	"strings"
	"testing"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/reason"
)

// TestAdviceInParts: put together, the parts of an advice are the advice, and
// every command in it is a part of its own that a shell understands.
func TestAdviceInParts(t *testing.T) {
	const evil = "p/l/a b'; rm -rf ~"
	for _, reason := range reason.All() {
		whole, prose := "", ""
		for _, part := range words.Advice(reason.Info().Next, "p/l/c", "prod") {
			whole += part.Text
			if !part.Command {
				prose += part.Text
			}
		}
		want := strings.NewReplacer("CLUSTER", "p/l/c", " ENV ", " prod ", "=PROJECT", "=p", "=LOCATION",
			"=l").Replace(reason.Info().Next.String())
		if whole != want {
			t.Errorf("%s: %q, not %q", reason, whole, want)
		}
		for _, command := range []string{"rotator ", "gcloud ", "scripts/", "ROTATOR_"} {
			if strings.Contains(prose, command) && !strings.Contains(prose, "the rotator ") {
				t.Errorf("%s: the words %q hold a command", reason, prose)
			}
		}
		for _, part := range words.Advice(reason.Info().Next, evil, evil) {
			if part.Command && strings.Contains(strings.ReplaceAll(part.Text, words.Quote(evil), ""), "rm -rf") {
				t.Errorf("%s: a shell would run %q", reason, part.Text)
			}
		}
	}
}

// TestMeaningsAreText: what the settings mean is as harmless as on a terminal.
func TestMeaningsAreText(t *testing.T) {
	p := testPolicy()
	p.Projects = []string{"shop\x1b[2J\u202e"}
	ms := view.Meanings(p, "act")
	if len(ms) != 5 || ms[1].Title != "When a CA is due" {
		t.Errorf("%+v", ms)
	}
	if text := ms[0].Lines[0]; strings.ContainsAny(text, "\x1b\u202e") ||
		!strings.Contains(text, `shop\x1b[2J\u202e`) {
		t.Errorf("%q", text)
	}
}

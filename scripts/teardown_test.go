package scripts_test

import (
	"regexp"
	"strings"
	"testing"

	"gke-credential-rotator/scripts/cloudfake"
)

// refused runs a teardown that must refuse and change nothing.
func (w *world) refused(t *testing.T, args []string, parts ...string) {
	t.Helper()
	w.Forget()
	r := w.run(t, "scripts/teardown", args...)
	if r.status != 2 {
		t.Errorf("teardown %q: status %d\n%s", args, r.status, r.stderr)
	}
	says(t, r.stderr, parts...)
	if got := sent(w.Mutations()); len(got) > 0 {
		t.Errorf("a refused teardown %q changed\n%s", args, strings.Join(got, "\n"))
	}
}

func TestTeardownCannotTell(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	w := deployable(t)
	w.ok(t, "gcloud", "firestore", "databases", "create", "--project="+platform, "--database=rotator-dev", "--location=eur3", "--quiet")
	w.Refuse(cloudfake.Fault{Path: regexp.MustCompile(`documents/rotations`), Error: &cloudfake.Error{Code: 200, Status: "OK", Message: "a page of a proxy"}})
	w.refused(t, []string{"dev", "--yes"}, "cannot be read, so nobody knows", "not understood: ")
}

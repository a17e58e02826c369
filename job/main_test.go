package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
)

// TestToldToStop: a run that is told to stop before it could act has failed,
// and says so; it leaves a store that the next run can read.
func TestToldToStop(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	stop()
	environ := slices.Concat(enough, []string{"ROTATOR_MODE=act", "ROTATOR_GKE_ENDPOINT=127.0.0.1:9"})
	var out, errs bytes.Buffer
	if code := run(ctx, nil, environ, &out, &errs); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	if lines := strings.Split(strings.TrimSpace(errs.String()), "\n"); !strings.Contains(lines[len(lines)-1],
		"context canceled") {
		t.Errorf("the last line does not say why: %q", errs.String())
	}
	errs.Reset()
	if code := run(t.Context(), []string{"status"}, environ, &out, &errs); code != 0 {
		t.Errorf("status afterwards: %d, %s", code, errs.String())
	}
}

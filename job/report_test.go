package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view/html"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

func smallPage() html.Page {
	return html.Page{Command: "run", Mode: config.Observe,
		Policy: &rules.Policy{Env: "test", Projects: []string{"shop-prod"}},
		Result: pass.Result{At: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}}
}

// TestReportIsReplaced: who reads sees the old page or the new one; nothing is
// left beside them, and others may read it.
func TestReportIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "index.html")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }() // it was only read
	if err := saveReport(path, smallPage()); err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(reader); string(text) != "old" {
		t.Errorf("who was reading the old page saw %q", text)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(text), "<!doctype html>") ||
		!strings.HasSuffix(string(text), "</html>\n") {
		t.Errorf("the page is not whole: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("others may not read it: %v %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// TestReportWithoutRename: a place that takes no second file, as some mounts,
// gets the page all the same.
func TestReportWithoutRename(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "page"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // what counts is what is read below
	path := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if _, err := os.Stat(path); err != nil {
		t.Skip("this system shows no open files as files")
	}
	if err := replaceFile(path, []byte("x")); !errors.Is(err, errNoRename) {
		t.Fatalf("that place can rename: %v", err)
	}
	if err := saveReport(path, smallPage()); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(f.Name()); !strings.HasPrefix(string(text), "<!doctype html>") {
		t.Errorf("the file holds %.40q", text)
	}
}

// TestReportThatCannotBe: one error that names the file.
func TestReportThatCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "index.html")
	err := saveReport(path, smallPage())
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

// records is a store that hands out finished rotations, and then fails.
type records struct {
	state.Store
	n int
}

var errStore = errors.New("the store is away")

func (r records) Records(_ context.Context, since time.Time) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		for i := range r.n {
			if !yield(record.Record{Rotation: record.Rotation{AttemptNo: i + 1}, ClosedAt: since}, nil) {
				return
			}
		}
		yield(record.Record{}, errStore)
	}
}

// TestReportWithEvidence: what the store holds of the last ninety days is on the
// page, within reason; a store that fails costs the evidence, not the page.
func TestReportWithEvidence(t *testing.T) {
	s, problems := settingsOf([]string{"ROTATOR_ENV=test", "ROTATOR_PROJECTS=shop-prod"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var errs strings.Builder
	a := newApp(nil, io.Discard, &errs)
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	page := a.pageWithEvidence(t.Context(), "plan", s, pass.World{Store: records{n: 3}}, pass.Result{At: at})
	if len(page.Finished) != 3 || !page.Finished[0].ClosedAt.Equal(at.AddDate(0, 0, -90)) ||
		!strings.Contains(errs.String(), "the report lacks finished rotations: the store is away") {
		t.Errorf("%d records, %q", len(page.Finished), errs.String())
	}
	page = a.pageWithEvidence(t.Context(), "plan", s, pass.World{Store: records{n: 5000}}, pass.Result{At: at})
	if len(page.Finished) != mostRecords {
		t.Errorf("%d records were read", len(page.Finished))
	}
}

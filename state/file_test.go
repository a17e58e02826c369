package state_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/statetest"
)

func TestFileConforms(t *testing.T) {
	statetest.Run(t, func(t *testing.T) statetest.Opener {
		path := filepath.Join(t.TempDir(), "store.db")
		return func(t *testing.T) state.Store {
			return open(t, path)
		}
	})
}

// TestSideBySide: a person's word is taken while a run has the store, and
// looking at a store makes none.
func TestSharedSideBySide(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	run, person := open(t, path), open(t, path)
	if _, err := run.Contents(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading made a file: %v", err)
	}
	if _, err := person.Write(t.Context(), state.Change{Fleet: &record.FleetDoc{Env: "said"}}); err != nil {
		t.Fatal(err)
	}
	if doc, err := run.Fleet(t.Context()); err != nil || doc.Env != "said" {
		t.Errorf("the run reads %q, %v", doc.Env, err)
	}
}

// TestLargestFits: at every limit of the rules a document stays below the
// limit of the store, with room for its envelope.
func TestLargestFits(t *testing.T) {
	r, doc := statetest.Largest()
	for name, v := range map[string]any{"rotation": r, "many pools": statetest.ManyPools(), "fleet": doc,
		"record": record.Record{Rotation: r}} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", name, len(text))
		if len(text) > state.MaxDocument-1024 {
			t.Errorf("%s: %d bytes, more than %d", name, len(text), state.MaxDocument)
		}
	}
}

func open(t *testing.T, path string) *state.File {
	t.Helper()
	s, err := state.OpenFile(path, state.FileWait)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	if _, err := open(t, path).Lease(t.Context(), state.Lease{Holder: "a"}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v; want 0600", info.Mode(), err)
	}
}

// TestOpenRefuses: each with one sentence and the way out, and nothing made.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct{ name, path, want string }{
		{"a folder", dir, "is a folder"},
		{"in a missing folder", filepath.Join(dir, "no", "store.db"),
			"make the folder " + filepath.Join(dir, "no")},
		{"text", write("text.db", "these are my notes\n"), "damaged"},
		{"long text", write("long.db", strings.Repeat("these are my notes\n", 5000)), "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := state.OpenFile(tt.path, state.FileWait)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) ||
				strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v, want one line that names the file and %q", err, tt.want)
			}
		})
	}
}

// TestReadOnly: reading changes nothing, neither a store nor a file that is empty.
func TestReadOnly(t *testing.T) {
	for _, env := range []string{"prod", ""} {
		path := filepath.Join(t.TempDir(), "store.db")
		s := open(t, path)
		err := os.WriteFile(path, nil, 0o600)
		if env != "" {
			_, err = s.Write(t.Context(), state.Change{Fleet: &record.FleetDoc{Env: env}})
		}
		before, readErr := os.ReadFile(path)
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		if b, err := open(t, path).Contents(t.Context()); err != nil || !b.Known || b.Fleet.Env != env {
			t.Errorf("read %v, %v", b, err)
		}
		_, fleetErr := s.Fleet(t.Context())
		_, historyErr := s.History(t.Context(), fleet.Ref{})
		_, outboxErr := s.Outbox(t.Context())
		_, holderErr := s.Holder(t.Context())
		if err := errors.Join(fleetErr, historyErr, outboxErr, holderErr); err != nil {
			t.Error(err)
		}
		for _, err := range s.Records(t.Context(), time.Time{}) {
			t.Errorf("a record, or %v", err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("reading changed the file: %v", err)
		}
	}
}

// TestTwoProcesses: the second waits and is told which process is in the way.
func TestTwoProcesses(t *testing.T) {
	if path := os.Getenv("ROTATOR_TEST_BOOK"); path != "" {
		_, err := state.OpenFile(path, time.Second)
		fmt.Print(err)
		return
	}
	path := filepath.Join(t.TempDir(), "store.db")
	second := func() string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestTwoProcesses$")
		cmd.Env = append(os.Environ(), "ROTATOR_TEST_BOOK="+path)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	err := open(t, path).InWrite(func() {
		if got := second(); !strings.Contains(got, path) ||
			!strings.Contains(got, "in use by the process "+strconv.Itoa(os.Getpid())) {
			t.Errorf("the second was told %q", got)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := second(); !strings.HasPrefix(got, "<nil>") {
		t.Errorf("after the first had gone the second was told %q", got)
	}
}

// raw puts text of our choice into the file, as another program might.
func raw(t *testing.T, path, bucket, key, text string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), []byte(text))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDocumentsThatCannotBeRead: each names its document, and none is ever
// overwritten.
func TestDocumentsThatCannotBeRead(t *testing.T) {
	rotation := `{"cluster":"p/l/c","attemptId":"one"}`
	for _, tt := range []struct {
		name, text, want string
		newer            bool
	}{
		{"newer", `{"schema":2,"version":"9","body":{}}`, "schema 2", true},
		{"newer, of another form", `{"schema":2}`, "schema 2", true},
		{"empty", ``, "cannot be read", false},
		{"cut short", `{"schema":1,"version":"9","body":{"clus`, "cannot be read", false},
		{"no body", `{"schema":1,"version":"9"}`, "cannot be read", false},
		{"null", `null`, "cannot be read", false},
		{"no schema", `{"version":"9","body":` + rotation + `}`, "cannot be read", false},
		{"no version", `{"schema":1,"body":` + rotation + `}`, "cannot be read", false},
		{"wrong type", `{"schema":1,"version":"9","body":{"attemptNo":"one"}}`, "cannot be read", false},
		{"bad name", `{"schema":1,"version":"9","body":{"cluster":"../x"}}`, "cannot be read", false},
		{"under another's name", `{"schema":1,"version":"9","body":{"cluster":"p/l/other"}}`, "p/l/other", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			raw(t, path, "rotations", "p~l~c", tt.text)
			s := open(t, path)
			b, err := s.Contents(context.Background())
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "p~l~c") ||
				b.Known {
				t.Fatalf("store %+v, error %v; want %q", b, err, tt.want)
			}
			if errors.Is(err, state.ErrNewer) != tt.newer {
				t.Errorf("%v: newer is %v", err, !tt.newer)
			}
			for _, version := range []string{"", "9", "?"} {
				r := record.Rotation{Cluster: fleet.Ref{Project: "p", Location: "l", Name: "c"}, AttemptID: "two",
					Version: version}
				_, err := s.Write(context.Background(), state.Change{Rotation: &r})
				if tt.name == "wrong type" || tt.name == "bad name" || tt.name == "under another's name" {
					continue // its envelope is whole: whoever knows its version may replace it
				}
				if err == nil {
					t.Errorf("it was overwritten by a write of version %q", version)
				}
			}
		})
	}
	t.Run("fleet", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store.db")
		raw(t, path, "fleet", "fleet", `{"schema":2,"version":"1","body":{}}`)
		s := open(t, path)
		if _, err := s.Fleet(context.Background()); !errors.Is(err, state.ErrNewer) {
			t.Errorf("got %v", err)
		}
		if _, err := s.Write(context.Background(),
			state.Change{Fleet: &record.FleetDoc{Version: "1"}}); err == nil {
			t.Error("a newer document was overwritten")
		}
	})
}

// TestDamagedFiles: cut or scribbled over at any place, the store gives an
// error or what it held, and never a panic.
func TestDamagedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	for i := range 4 {
		r, _ := statetest.Largest()
		r.Cluster.Name = fmt.Sprintf("c-%d", i)
		if _, err := s.Write(context.Background(), state.Change{Rotation: &r}); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	failed := 0
	for i := range 40 {
		text := bytes.Clone(whole)
		if i%2 == 0 {
			text = text[:rnd.IntN(len(text))]
		} else {
			page := rnd.IntN(len(text)/4096) * 4096
			if i%4 == 1 {
				page = i % 3 * 4096 // where the file describes itself
			}
			for j := range 64 {
				text[page+j] = byte(rnd.IntN(256))
			}
		}
		copyPath := filepath.Join(t.TempDir(), "copy.db")
		s := open(t, copyPath) // before there is a file
		if err := os.WriteFile(copyPath, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, storedErr := s.Contents(t.Context())
		_, historyErr := s.History(t.Context(), fleet.Ref{})
		_, writeErr := s.Write(t.Context(),
			state.Change{Rotation: &record.Rotation{Cluster: fleet.Ref{Project: "p", Location: "l", Name: "n"},
				AttemptID: "x"}})
		for _, err := range []error{storedErr, historyErr, writeErr} {
			if err == nil {
				continue
			}
			failed++
			if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "copy.db") &&
				!strings.Contains(err.Error(), "document") {
				t.Errorf("%d: not one clear line: %v", i, err)
			}
		}
	}
	if failed < 30 {
		t.Errorf("only %d of 120 uses of damaged files failed", failed)
	}
}

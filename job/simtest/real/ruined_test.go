package real

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"go.etcd.io/bbolt"
	"google.golang.org/grpc/metadata"

	"gke-credential-rotator/job/simtest/fleets"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// ruin is what is wrong with a store, and how each command ends with it: its
// exit status and, if that is not 0, words of its last line.
type ruin struct {
	name              string
	make              func(t *testing.T, path string)
	run, status, hold int // plan ends as status does
	words             []string
}

// ruins are of a file; all but the documents' would be a database's own.
var ruins = []ruin{
	{"text", overwrite([]byte(strings.Repeat("these are my notes\n", 3000))), 1, 1, 1,
		[]string{"damaged, or no store", "restore a copy"}},
	{"another program's file", overwrite(append([]byte("SQLite format 3\x00"), make([]byte, 70000)...)), 1, 1, 1,
		[]string{"damaged, or no store"}},
	{"cut to a half", cutTo(0.5), 1, 1, 1, []string{"damaged, or no store", "cut short"}},
	{"cut to a page", cutTo(0.05), 1, 1, 1, []string{"damaged, or no store"}},
	{"a folder", func(t *testing.T, path string) {
		must(t, os.Remove(path), os.Mkdir(path, 0o700))
	}, 1, 1, 1, []string{"is a folder", "name a file in it"}},
	{"no folder", func(t *testing.T, path string) {
		must(t, os.RemoveAll(filepath.Dir(path)))
	}, 1, 0, 1, []string{"make the folder"}},
	{"a newer rotation", document("rotations", "shop~europe-west1~catalog", `{"schema":2}`), 1, 1, 1,
		[]string{"shop~europe-west1~catalog has schema 2", "newer version of rotator"}},
	{"a newer fleet document", document("fleet", "fleet", `{"schema":2}`), 1, 1, 1,
		[]string{"fleet has schema 2", "newer version of rotator"}},
	{"a newer lease", document("fleet", "lease", `{"schema":2}`), 1, 0, 0,
		[]string{"lease has schema 2", "newer version of rotator"}},
	// asked for before a start only: see TestRuinedDatabase
	{"a newer record", document("history", "some", `{"schema":2}`), 0, 0, 0, nil},
	{"half a rotation", document("rotations", "shop~europe-west1~catalog",
		`{"schema":1,"version":"9","body":{"clus`), 1, 1, 1, []string{"shop~europe-west1~catalog cannot be read"}},
	{"an older rotation", document("rotations", "shop~europe-west1~catalog",
		`{"schema":1,"version":"9","body":{"cluster":"shop/europe-west1/catalog","attemptId":"old"}}`), 0, 0, 0,
		nil},
	{"fields of a younger sister",
		document("fleet", "fleet",
			`{"schema":1,"version":"9","body":{"env":"whole","holds":[{"by":"ann","at":"2026-11-23T00:00:00Z","colour":"red"}],"more":{"a":1}}}`), 0, 0, 0, nil},
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func overwrite(text []byte) func(*testing.T, string) {
	return func(t *testing.T, path string) { must(t, os.WriteFile(path, text, 0o600)) }
}

func cutTo(part float64) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		info, err := os.Stat(path)
		must(t, err)
		must(t, os.Truncate(path, int64(float64(info.Size())*part)))
	}
}

// document puts text of another program into the store.
func document(bucket, key, text string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		db, err := bbolt.Open(path, 0o600, nil)
		must(t, err)
		must(t, db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(bucket)).Put([]byte(key),
				[]byte(text))
		}), db.Close())
	}
}

// held is what a store holds but for the lease that a run takes before it reads;
// of a file that is no store its text.
func held(path string) string {
	var out strings.Builder
	if _, err := state.OpenFile(path, state.FileWait); err != nil {
		text, _ := os.ReadFile(path) // a folder has none
		return string(text)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err.Error()
	}
	defer func() { _ = db.Close() }()
	_ = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				if string(k) != "lease" || strings.Contains(string(v), `"schema":2`) {
					out.WriteString(string(name) + "/" + string(k) + " " + string(v) + "\n")
				}
				return nil
			})
		})
	})
	return out.String()
}

// ends runs every command on the store, each of which must end as the ruin says.
func (r ruin) ends(t *testing.T, p *program, at string) {
	t.Helper()
	for _, c := range []struct {
		code int
		args []string
	}{
		{r.status, []string{"status"}}, {r.status, []string{"plan"}},
		{r.hold, []string{"hold", few[2].String(), "--by", "ann", "--reason", "why"}}, {r.run, []string{"run"}},
	} {
		var words []string
		if c.code != 0 {
			words = r.words
		}
		said := p.fails(t, c.code, words, append(c.args, "--at", at)...)
		if c.code != 0 && strings.Count(said, "rotator: ") != 1 {
			t.Errorf("%s: %s: not one line of complaint: %s", r.name, c.args[0], said)
		}
	}
}

// TestRuinedFile: whatever is wrong with the file, every command says so in a
// line with the way out, nothing is sent, and the file stays as it is.
func TestRuinedFile(t *testing.T) {
	t.Parallel()
	rotator := build(t)
	gke := rotator.simulator(t, fleets.Monday, fleets.Of(few))
	good := filepath.Join(t.TempDir(), "good.db")
	at := fleets.Monday.Format(time.RFC3339)
	p := rotator.with(settings(gke.address)...)
	p.with("ROTATOR_STATE=file:"+good).run(t, "hold", "all", "--by", "ann", "--reason", "nothing may start",
		"--at", at)
	whole, err := os.ReadFile(good)
	must(t, err)
	for _, r := range ruins {
		t.Run(r.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			must(t, os.WriteFile(path, whole, 0o600))
			r.make(t, path)
			before := held(path)
			r.ends(t, p.with("ROTATOR_STATE=file:"+path), at)
			if after := held(path); r.run != 0 && r.hold != 0 && after != before {
				t.Errorf("it held %q, now %q", before, after)
			}
		})
	}
	if entries := gke.journal(t); len(entries) != 0 {
		t.Errorf("sent: %+v", entries)
	}
}

// TestRuinedDatabase: the same of documents in Firestore. Where a cluster's
// history cannot be read it is not started, and the others are.
func TestRuinedDatabase(t *testing.T) {
	t.Parallel()
	rotator := build(t)
	number := func(n int64) *pb.Value { return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}} }
	words := func(s string) *pb.Value { return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}} }
	newer := map[string]*pb.Value{"schema": number(2), "cluster": words(few[0].String())}
	for id, r := range map[string]ruin{
		"rotations/shop~europe-west1~catalog": {"a newer rotation", nil, 1, 1, 1,
			[]string{"rotations/shop~europe-west1~catalog has schema 2", "newer version of rotator"}},
		"fleet/fleet": {"a newer fleet document", nil, 1, 1, 1,
			[]string{"fleet/fleet has schema 2", "newer version of rotator"}},
		"fleet/lease": {"a newer lease", nil, 1, 0, 0,
			[]string{"fleet/lease has schema 2", "newer version of rotator"}},
		"history/newer": {"a newer record", nil, 0, 0, 0, nil},
	} {
		t.Run(r.name, func(t *testing.T) {
			a := aways(t, rotator)
			firestore, documents := a.raw(t)
			as := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer owner")
			if _, err := firestore.UpdateDocument(as,
				&pb.UpdateDocumentRequest{Document: &pb.Document{Name: documents + "/" + id,
					Fields: newer}}); err != nil {
				t.Fatal(err)
			}
			r.ends(t, a.program, a.at())
			if r.run != 0 {
				a.want("StartIPRotation", 0)
				return
			}
			a.want("StartIPRotation", 1) // the third cluster is held by then
			a.run(t, "release", few[2].String(), "--by", "ann", "--reason", "moved", "--at", a.at())
			_, said := a.run(t, "run", "--at", a.at())
			if !strings.Contains(said, few[0].String()+": not done this run: read the history") ||
				!strings.Contains(said, "has schema 2") {
				t.Errorf("said %s", said)
			}
			a.want("StartIPRotation", len(few)-1)
		})
	}
}

// nobody is a user that owns nothing.
const nobody = 65534

// TestForeignFile: a store of another user's, and one in a folder of another
// user's.
func TestForeignFile(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	rotator := build(t)
	gke := rotator.simulator(t, fleets.Monday, fleets.Of(few))
	dir := t.TempDir()
	for _, open := range []string{rotator.dir, filepath.Dir(rotator.dir), dir, filepath.Dir(dir)} {
		must(t, os.Chmod(open, 0o755))
	}
	path := filepath.Join(dir, "store.db")
	at := fleets.Monday.Format(time.RFC3339)
	p := rotator.with(settings(gke.address)...)
	p.with("ROTATOR_STATE=file:"+path).run(t, "hold", "all", "--by", "ann", "--reason", "mine", "--at", at)
	other := p.with()
	other.as = &syscall.Credential{Uid: nobody, Gid: nobody}
	ruin{"another user's", nil, 1, 1, 1, []string{"open the store", "permission denied",
		"belongs to another user"}}.ends(t, other.with("ROTATOR_STATE=file:"+path), at)
	ruin{"a folder of another user's", nil, 1, 0, 1, []string{"permission denied"}}.ends(t,
		other.with("ROTATOR_STATE=file:"+filepath.Join(dir, "new.db")), at)
	if entries := gke.journal(t); len(entries) != 0 {
		t.Errorf("sent: %+v", entries)
	}
}

// TestFullDisk: with no room left, or a disk that takes no writes any more,
// nothing new is sent; what was under way is in the store or in the log; and when
// it is mended all goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	rotator := build(t)
	for name, spoil := range map[string]func(t *testing.T,
		dir string) (mend func()){"no space left on device": fill, "read-only file system": freeze} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=80k"); err != nil {
				t.Skipf("a small disk cannot be mounted here: %v", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
			r := rigged(t, rotator, []string{"ROTATOR_STATE=file:" + filepath.Join(dir, "store.db")})
			r.program = r.with("ROTATOR_PARALLEL=3")
			mend := spoil(t, dir)
			ruin{name, nil, 1, 0, 1, []string{name}}.ends(t, r.program, r.at())
			r.want("StartIPRotation", 0)
			mend()
			held, release := r.delay.holding("StartIPRotation")
			ps := r.start(t, "run", "--at", r.at())
			for range few {
				await(t, held)
			}
			mend = spoil(t, dir)
			release()
			code, said := ps.wait(t), ps.stderr.String()
			inLog, inStore := strings.Count(said, "[outcome-unstored]"), 0
			for _, call := range r.calls() {
				if call == string(record.Accepted) {
					inStore++
				}
			}
			t.Logf("exit status %d, %d outcomes in the log, %d in the store", code, inLog, inStore)
			if inLog+inStore != len(few) || (code == 0) != (inLog == 0) {
				t.Errorf("exit status %d, %d outcomes in the log, %d in the store: %s", code, inLog, inStore, said)
			}
			mend()
			r.pass(time.Hour)
			r.toTheEnd()
		})
	}
}

// freeze makes a small disk take no writes.
func freeze(t *testing.T, dir string) (mend func()) {
	t.Helper()
	must(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	return func() { must(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, "")) }
}

// fill takes all room that is left on a small disk.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	err := os.WriteFile(path, make([]byte, 1<<20), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	return func() { must(t, os.Remove(path)) }
}

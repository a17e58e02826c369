package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// The buckets of the file, named like Firestore's collections.
var (
	bucketRotations = []byte("rotations")
	bucketHistory   = []byte("history")
	bucketFleet     = []byte("fleet")
	bucketNotices   = []byte("notices")
	buckets         = [][]byte{bucketRotations, bucketHistory, bucketFleet, bucketNotices}
	keyFleet        = []byte("fleet")
	keyLease        = []byte("lease")
)

// FileWait is how long whoever reads or writes the store waits for other
// processes that do.
const FileWait = 10 * time.Second

// File is the store in one file, for one machine and several processes side by
// side: it is open only while it is read or written, so a person can hold the
// fleet while a run is at work. The first write makes it, for its owner's eyes
// only; until then it reads as an empty store.
type File struct {
	path string
	wait time.Duration
}

// OpenFile gives the store at the path, which waits so long for other processes
// and then says who is in the way. What is wrong with a file that is there is
// told now, not in the middle of a run.
func OpenFile(path string, wait time.Duration) (*File, error) {
	f := &File{path, wait}
	return f, f.view(context.Background(), func(*bbolt.Tx) error { return nil })
}

// made says whether there is a store, and beforehand what bbolt would say in its
// own words.
func (f *File) made() (bool, error) {
	info, err := os.Stat(f.path)
	switch {
	case err == nil && info.IsDir():
		return false, fmt.Errorf("the store %s is a folder: name a file in it", f.path)
	case err == nil:
		return info.Size() > 0, nil
	case !errors.Is(err, fs.ErrNotExist):
		return true, nil // another trouble comes out on opening
	}
	if _, err := os.Stat(filepath.Dir(f.path)); errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("the store %s cannot be made: make the folder %s first", f.path,
			filepath.Dir(f.path))
	}
	return false, nil
}

// view reads the store; do is not called where there is none yet.
func (f *File) view(ctx context.Context, do func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if made, err := f.made(); err != nil || !made {
		return err
	}
	return f.with(true, func(db *bbolt.DB) error { return db.View(do) })
}

// update writes the store, at once or not at all.
func (f *File) update(ctx context.Context, do func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	if _, err := f.made(); err != nil {
		return err
	}
	return f.with(false, func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error {
			for _, name := range buckets {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return fmt.Errorf("prepare the store %s: %w", f.path, err)
				}
			}
			return do(tx)
		})
	})
}

// with opens the file and closes it again.
func (f *File) with(readOnly bool, do func(*bbolt.DB) error) error {
	var db *bbolt.DB
	err := f.guard(func() (err error) {
		db, err = bbolt.Open(f.path, 0o600, &bbolt.Options{Timeout: f.wait, ReadOnly: readOnly})
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("the store %s is in use by %s: wait for it, or stop it", f.path, holder(f.path))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("open the store: %w: it belongs to another user", err)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum),
		errors.Is(err, bolterrors.ErrVersionMismatch):
		return f.damaged(err)
	case err != nil && !errors.Is(err, errDamaged):
		return fmt.Errorf("open the store %s: %w", f.path, err)
	case err != nil:
		return err
	}
	err = f.guard(func() error {
		if err := db.View(f.whole); err != nil {
			return err
		}
		return do(db)
	})
	return errors.Join(err, db.Close())
}

// whole sees that the file is as long as it says: reading beyond its end would
// kill the process.
func (f *File) whole(tx *bbolt.Tx) error {
	info, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("open the store %s: %w", f.path, err)
	}
	if info.Size() < tx.Size() {
		return f.damaged(fmt.Errorf("it is cut short: %d of %d bytes", info.Size(), tx.Size()))
	}
	return nil
}

var errDamaged = errors.New("restore a copy; or move the file away, but then rotations in flight count as somebody else's")

func (f *File) damaged(what any) error {
	return fmt.Errorf("the store %s is damaged, or no store: %v: %w", f.path, what, errDamaged)
}

// guard turns what bbolt does on a damaged file, which is to panic or to read
// beyond its end, into an error.
func (f *File) guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if what := recover(); what != nil {
			err = f.damaged(what)
		}
	}()
	return do()
}

// Close implements [Store]: nothing is open between reads and writes.
func (f *File) Close() error { return nil }

// Contents implements [Store].
func (f *File) Contents(ctx context.Context) (record.Contents, error) {
	contents := record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{}}
	err := f.view(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketRotations)
		if b == nil {
			return nil
		}
		err := b.ForEach(func(k, v []byte) error {
			var r record.Rotation
			version, err := decode(string(k), v, &r)
			if err == nil && DocID(r.Cluster) != string(k) {
				err = fmt.Errorf("document %s cannot be read: it is about %s", k, r.Cluster)
			}
			r.Version = version
			contents.Rotations[r.Cluster] = r
			return err
		})
		if err != nil {
			return err
		}
		contents.Fleet, err = fleetIn(tx)
		return err
	})
	if err != nil {
		return record.Contents{}, err
	}
	return contents, nil
}

// Fleet implements [Store].
func (f *File) Fleet(ctx context.Context) (doc record.FleetDoc, err error) {
	err = f.view(ctx, func(tx *bbolt.Tx) error {
		doc, err = fleetIn(tx)
		return err
	})
	return doc, err
}

func fleetIn(tx *bbolt.Tx) (record.FleetDoc, error) {
	var doc record.FleetDoc
	b := tx.Bucket(bucketFleet)
	if b == nil || b.Get(keyFleet) == nil {
		return doc, nil
	}
	version, err := decode("fleet", b.Get(keyFleet), &doc)
	doc.Version = version
	return doc, err
}

// Write implements [Store].
func (f *File) Write(ctx context.Context, c Change) (Change, error) {
	written := c
	err := f.update(ctx, func(tx *bbolt.Tx) error {
		if c.Fleet != nil {
			doc := *c.Fleet
			version, err := put(tx.Bucket(bucketFleet), "fleet", doc.Version, &doc)
			if err != nil {
				return err
			}
			doc.Version = version
			written.Fleet = &doc
		}
		if c.Rotation != nil {
			r, err := putRotation(tx, *c.Rotation)
			if err != nil {
				return err
			}
			written.Rotation = &r
		}
		if c.Close != nil {
			if err := closeIn(tx, *c.Close); err != nil {
				return err
			}
			if c.Replaces != "" {
				if err := tx.Bucket(bucketHistory).Delete([]byte(c.Replaces)); err != nil {
					return err
				}
			}
		}
		return c.outboxIn(tx, &written)
	})
	if err != nil {
		return c, err
	}
	return written, nil
}

// putRotation creates or replaces a rotation. An attempt that is opened again
// leaves the history: it is never on record twice.
func putRotation(tx *bbolt.Tx, r record.Rotation) (record.Rotation, error) {
	if err := checkName(r.Cluster); err != nil {
		return r, err
	}
	fresh := r.Version == ""
	version, err := put(tx.Bucket(bucketRotations), DocID(r.Cluster), r.Version, &r)
	if err != nil {
		return r, err
	}
	r.Version = version
	if fresh {
		return r, tx.Bucket(bucketHistory).Delete([]byte(r.AttemptID))
	}
	return r, nil
}

func closeIn(tx *bbolt.Tx, rec record.Record) error {
	b, id := tx.Bucket(bucketRotations), DocID(rec.Rotation.Cluster)
	if err := unchanged(b, id, rec.Rotation.Version); err != nil {
		return err
	}
	if err := b.Delete([]byte(id)); err != nil {
		return err
	}
	if rec.Rotation.AttemptID == "" {
		return fmt.Errorf("close %s: the attempt has no id to be kept under", id)
	}
	history := tx.Bucket(bucketHistory)
	before, err := current(history, rec.Rotation.AttemptID)
	if err != nil {
		return err
	}
	_, err = put(history, rec.Rotation.AttemptID, before, &rec)
	return err
}

// put stores v under the id if the stored version is still the one read. No
// version is ever given twice, so what was read of a document that is gone
// never fits the one that came after it.
func put(b *bbolt.Bucket, id, read string, v any) (version string, err error) {
	if err := unchanged(b, id, read); err != nil {
		return "", err
	}
	n, err := b.NextSequence()
	if err != nil {
		return "", fmt.Errorf("store %s: %w", id, err)
	}
	version = strconv.FormatUint(n, 10)
	text, err := encode(version, v)
	if err != nil {
		return "", fmt.Errorf("store %s: %w", id, err)
	}
	return version, b.Put([]byte(id), text)
}

// unchanged says whether the document still has the version that was read. One
// that cannot be read never has, so it is never overwritten.
func unchanged(b *bbolt.Bucket, id, read string) error {
	now, err := current(b, id)
	if err != nil {
		return err
	}
	if now != read {
		return fmt.Errorf("%s: %w", id, ErrConflict)
	}
	return nil
}

func current(b *bbolt.Bucket, id string) (string, error) {
	v := b.Get([]byte(id))
	if v == nil {
		return "", nil
	}
	e, err := open(id, v)
	return e.Version, err
}

// History implements [Store].
func (f *File) History(ctx context.Context, ref fleet.Ref) ([]record.Record, error) {
	var out []record.Record
	err := f.view(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketHistory)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			var rec record.Record
			if _, err := decode(string(k), v, &rec); err != nil {
				return err
			}
			if rec.Rotation.Cluster == ref {
				out = append(out, rec)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b record.Record) int { return b.ClosedAt.Compare(a.ClosedAt) })
	return out, nil
}

// Lease implements [Store].
func (f *File) Lease(ctx context.Context, want Lease) (held Lease, err error) {
	err = f.update(ctx, func(tx *bbolt.Tx) error {
		now, version, err := leaseIn(tx)
		if err != nil {
			return err
		}
		var granted bool
		if held, granted = now.grant(want); !granted {
			return nil
		}
		b := tx.Bucket(bucketFleet)
		if want.Release {
			return b.Delete(keyLease)
		}
		_, err = put(b, string(keyLease), version, &held)
		return err
	})
	return held, err
}

// Holder implements [Store].
func (f *File) Holder(ctx context.Context) (held Lease, err error) {
	err = f.view(ctx, func(tx *bbolt.Tx) error {
		held, _, err = leaseIn(tx)
		return err
	})
	return held, err
}

func leaseIn(tx *bbolt.Tx) (now Lease, version string, err error) {
	b := tx.Bucket(bucketFleet)
	if b == nil || b.Get(keyLease) == nil {
		return now, "", nil
	}
	version, err = decode("lease", b.Get(keyLease), &now)
	return now, version, err
}

package state

import (
	"cmp"
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

	"gke-credential-rotator/policy"
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

// ErrNoBook says that there is no book yet at the place that was named, and
// that none was made, for it was opened to be read only.
var ErrNoBook = errors.New("there is no book yet")

// lockWait is how long a second process waits for the first.
const lockWait = time.Second

// File is the book in one file, for one machine.
type File struct {
	db   *bbolt.DB
	path string
}

// FileOptions say how the file is opened.
type FileOptions struct {
	// NoSync skips flushing to disk: for simulations, which a crash may lose.
	NoSync bool
	// ReadOnly opens an existing file without changing it. A missing one is
	// not made: the error is [ErrNoBook], and holds, approvals and waves are
	// then unknown, not empty.
	ReadOnly bool
	// Wait is how long to wait for another process that has the file open; a
	// second when zero.
	Wait time.Duration
}

// OpenFile opens or creates the file, for its owner's eyes only. While one
// process has it open, others wait a second and then learn who is in the way.
func OpenFile(path string, o FileOptions) (*File, error) {
	if err := checkPath(path, o); err != nil {
		return nil, err
	}
	f := &File{path: path}
	err := f.guard(func() (err error) {
		f.db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: cmp.Or(o.Wait, lockWait), NoSync: o.NoSync, ReadOnly: o.ReadOnly})
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("the book %s is in use by %s: wait for it, or stop it", path, holder(path))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open the book: %w: it belongs to another user", err)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, f.damaged(err)
	case err != nil && !errors.Is(err, errDamaged):
		return nil, fmt.Errorf("open the book %s: %w", path, err)
	case err != nil:
		return nil, err
	}
	if err := f.prepare(o); err != nil {
		return nil, errors.Join(err, f.db.Close())
	}
	return f, nil
}

// checkPath says beforehand what bbolt would say in its own words.
func checkPath(path string, o FileOptions) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("the book %s is a folder: name a file in it", path)
	case err == nil && info.Size() == 0 && o.ReadOnly:
		return fmt.Errorf("the book %s is an empty file: %w", path, ErrNoBook)
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return nil // another trouble comes out on opening
	case o.ReadOnly:
		return fmt.Errorf("%s: %w", path, ErrNoBook)
	}
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the book %s cannot be made: make the folder %s first", path, filepath.Dir(path))
	}
	return nil
}

// prepare makes the buckets, and sees that the file is as long as it says:
// reading beyond its end would kill the process.
func (f *File) prepare(o FileOptions) error {
	info, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("open the book %s: %w", f.path, err)
	}
	err = f.view(func(tx *bbolt.Tx) error {
		if info.Size() < tx.Size() {
			return f.damaged(fmt.Errorf("it is cut short: %d of %d bytes", info.Size(), tx.Size()))
		}
		return nil
	})
	if err != nil || o.ReadOnly {
		return err
	}
	return f.update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return fmt.Errorf("prepare the book %s: %w", f.path, err)
			}
		}
		return nil
	})
}

var errDamaged = errors.New("restore a copy; or move the file away, but then rotations in flight count as somebody else's")

func (f *File) damaged(what any) error {
	return fmt.Errorf("the book %s is damaged, or no book: %v: %w", f.path, what, errDamaged)
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

func (f *File) view(do func(*bbolt.Tx) error) error {
	return f.guard(func() error { return f.db.View(do) })
}

func (f *File) update(do func(*bbolt.Tx) error) error {
	err := f.guard(func() error { return f.db.Update(do) })
	if errors.Is(err, bolterrors.ErrDatabaseReadOnly) {
		return fmt.Errorf("the book %s was opened to be read only: %w", f.path, err)
	}
	return err
}

// Close implements [Store].
func (f *File) Close() error { return f.db.Close() }

// Book implements [Store].
func (f *File) Book(ctx context.Context) (policy.Book, error) {
	if err := ctx.Err(); err != nil {
		return policy.Book{}, err
	}
	book := policy.Book{Known: true, Rotations: map[policy.Ref]policy.Rotation{}}
	err := f.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketRotations)
		if b == nil {
			return nil
		}
		err := b.ForEach(func(k, v []byte) error {
			var r policy.Rotation
			version, err := decode(string(k), v, &r)
			if err == nil && DocID(r.Cluster) != string(k) {
				err = fmt.Errorf("document %s cannot be read: it is about %s", k, r.Cluster)
			}
			r.Version = version
			book.Rotations[r.Cluster] = r
			return err
		})
		if err != nil {
			return err
		}
		book.Fleet, err = fleetIn(tx)
		return err
	})
	if err != nil {
		return policy.Book{}, err
	}
	return book, nil
}

// Fleet implements [Store].
func (f *File) Fleet(ctx context.Context) (doc policy.FleetDoc, err error) {
	if err := ctx.Err(); err != nil {
		return doc, err
	}
	err = f.view(func(tx *bbolt.Tx) error {
		doc, err = fleetIn(tx)
		return err
	})
	return doc, err
}

func fleetIn(tx *bbolt.Tx) (policy.FleetDoc, error) {
	var doc policy.FleetDoc
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
	if err := ctx.Err(); err != nil {
		return c, fmt.Errorf("nothing was written: %w", err)
	}
	written := c
	err := f.update(func(tx *bbolt.Tx) error {
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
func putRotation(tx *bbolt.Tx, r policy.Rotation) (policy.Rotation, error) {
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

func closeIn(tx *bbolt.Tx, rec policy.Record) error {
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
func (f *File) History(ctx context.Context, ref policy.Ref) ([]policy.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out []policy.Record
	err := f.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketHistory)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			var rec policy.Record
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
	slices.SortStableFunc(out, func(a, b policy.Record) int { return b.ClosedAt.Compare(a.ClosedAt) })
	return out, nil
}

// Lease implements [Store].
func (f *File) Lease(ctx context.Context, want Lease) (held Lease, err error) {
	if err := ctx.Err(); err != nil {
		return held, err
	}
	err = f.update(func(tx *bbolt.Tx) error {
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
	if err := ctx.Err(); err != nil {
		return held, err
	}
	err = f.view(func(tx *bbolt.Tx) error {
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

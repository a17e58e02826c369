package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	buckets         = [][]byte{bucketRotations, bucketHistory, bucketFleet}
	keyFleet        = []byte("fleet")
	keyLease        = []byte("lease")
)

// File is the book in one file, for one machine.
type File struct{ db *bbolt.DB }

// FileOptions say how the file is opened.
type FileOptions struct {
	// NoSync skips flushing to disk: for simulations, which a crash may lose.
	NoSync bool
	// ReadOnly opens an existing file without changing it.
	ReadOnly bool
}

// OpenFile opens or creates the file. While one process writes, others wait a
// second and then learn who is in the way.
func OpenFile(path string, o FileOptions) (*File, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, NoSync: o.NoSync, ReadOnly: o.ReadOnly})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("the book %s is in use by another rotator process", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the book %s: %w", path, err)
	}
	if o.ReadOnly {
		return &File{db}, nil
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the book %s: %w", path, err), db.Close())
	}
	return &File{db}, nil
}

// Close implements [Store].
func (f *File) Close() error { return f.db.Close() }

// Book implements [Store].
func (f *File) Book(context.Context) (policy.Book, error) {
	book := policy.Book{Known: true, Rotations: map[policy.Ref]policy.Rotation{}}
	err := f.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketRotations)
		if b == nil {
			return nil
		}
		err := b.ForEach(func(k, v []byte) error {
			var r policy.Rotation
			version, err := decode(string(k), v, &r)
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
	return book, err
}

// Fleet implements [Store].
func (f *File) Fleet(context.Context) (doc policy.FleetDoc, err error) {
	err = f.db.View(func(tx *bbolt.Tx) error {
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
func (f *File) Write(_ context.Context, c Change) (Change, error) {
	err := f.db.Update(func(tx *bbolt.Tx) error {
		if c.Fleet != nil {
			doc := *c.Fleet
			version, err := put(tx.Bucket(bucketFleet), "fleet", doc.Version, &doc)
			if err != nil {
				return err
			}
			doc.Version = version
			c.Fleet = &doc
		}
		if c.Rotation != nil {
			r := *c.Rotation
			version, err := put(tx.Bucket(bucketRotations), DocID(r.Cluster), r.Version, &r)
			if err != nil {
				return err
			}
			r.Version = version
			c.Rotation = &r
		}
		if c.Close != nil {
			return closeIn(tx, *c.Close)
		}
		return nil
	})
	return c, err
}

func closeIn(tx *bbolt.Tx, rec policy.Record) error {
	b, id := tx.Bucket(bucketRotations), DocID(rec.Rotation.Cluster)
	if err := unchanged(b, id, rec.Rotation.Version); err != nil {
		return err
	}
	if err := b.Delete([]byte(id)); err != nil {
		return err
	}
	_, err := put(tx.Bucket(bucketHistory), rec.Rotation.AttemptID, current(tx.Bucket(bucketHistory), rec.Rotation.AttemptID), &rec)
	return err
}

// put stores v under the id if the stored version is still the one read.
func put(b *bbolt.Bucket, id, read string, v any) (version string, err error) {
	if err := unchanged(b, id, read); err != nil {
		return "", err
	}
	n, _ := strconv.Atoi(read) // "" is 0: there was nothing
	version = strconv.Itoa(n + 1)
	text, err := encode(version, v)
	if err != nil {
		return "", fmt.Errorf("store %s: %w", id, err)
	}
	return version, b.Put([]byte(id), text)
}

func unchanged(b *bbolt.Bucket, id, read string) error {
	if now := current(b, id); now != read {
		return fmt.Errorf("%s: %w", id, ErrConflict)
	}
	return nil
}

func current(b *bbolt.Bucket, id string) string {
	v := b.Get([]byte(id))
	if v == nil {
		return ""
	}
	var e envelope
	if json.Unmarshal(v, &e) != nil {
		return "?"
	}
	return e.Version
}

// History implements [Store].
func (f *File) History(_ context.Context, ref policy.Ref) ([]policy.Record, error) {
	var out []policy.Record
	err := f.db.View(func(tx *bbolt.Tx) error {
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
	slices.SortFunc(out, func(a, b policy.Record) int { return b.ClosedAt.Compare(a.ClosedAt) })
	return out, err
}

// Lease implements [Store].
func (f *File) Lease(_ context.Context, want Lease) (held Lease, err error) {
	err = f.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketFleet)
		var now Lease
		version := current(b, string(keyLease))
		if v := b.Get(keyLease); v != nil {
			if _, err := decode("lease", v, &now); err != nil {
				return err
			}
		}
		if now.Holder != "" && now.Holder != want.Holder && want.Now.Before(now.Until) {
			held = now
			return nil
		}
		held = want
		if want.Release {
			return b.Delete(keyLease)
		}
		_, err := put(b, string(keyLease), version, &want)
		return err
	})
	return held, err
}

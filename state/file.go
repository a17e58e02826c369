package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// FileWait is how long whoever reads or writes the store waits for other
// processes that do.
const FileWait = 10 * time.Second

// File is the store in one file, for one machine and several processes side by
// side: it is open only while it is read or written, so a person can hold the
// fleet while a run is at work. The first write makes it, for its owner's eyes
// only; until then it reads as an empty store.
type File struct {
	local
	path string
	wait time.Duration
}

// OpenFile gives the store at the path, which waits so long for other processes
// and then says who is in the way. What is wrong with a file that is there is
// told now, not in the middle of a run.
func OpenFile(path string, wait time.Duration) (*File, error) {
	f := &File{path: path, wait: wait}
	f.local = newLocal(f.view, f.update)
	return f, f.view(context.Background(), func(documents) error { return nil })
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

// view reads the store, an empty one where there is none yet.
func (f *File) view(ctx context.Context, do func(documents) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	made, err := f.made()
	switch {
	case err != nil:
		return err
	case !made:
		return do(buckets{})
	}
	return f.with(true, func(db *bbolt.DB) error {
		return db.View(func(tx *bbolt.Tx) error { return do(buckets{tx}) })
	})
}

// update writes the store, at once or not at all.
func (f *File) update(ctx context.Context, do func(documents) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	if _, err := f.made(); err != nil {
		return err
	}
	return f.with(false, func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error {
			for _, name := range []string{colRotations, colHistory, colFleet, colNotices} {
				if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
					return fmt.Errorf("prepare the store %s: %w", f.path, err)
				}
			}
			return do(buckets{tx})
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

// buckets are the documents of a transaction: a bucket is a collection.
type buckets struct{ tx *bbolt.Tx }

// of gives a document's bucket, nil where the store, or an older one, has none, and its key.
func (b buckets) of(id string) (bucket *bbolt.Bucket, key string) {
	collection, key, _ := strings.Cut(id, "/")
	if b.tx == nil {
		return nil, key
	}
	return b.tx.Bucket([]byte(collection)), key
}

func (b buckets) get(id string) (envelope, error) {
	bucket, key := b.of(id)
	if bucket == nil {
		return envelope{}, nil
	}
	text := bucket.Get([]byte(key))
	if text == nil {
		return envelope{}, nil
	}
	return open(key, text)
}

func (b buckets) put(id string, e envelope) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	bucket, key := b.of(id)
	return bucket.Put([]byte(key), text)
}

func (b buckets) delete(id string) error {
	bucket, key := b.of(id)
	return bucket.Delete([]byte(key))
}

func (b buckets) ids(collection string) (ids []string) {
	if bucket, _ := b.of(collection); bucket != nil {
		_ = bucket.ForEach(func(k, _ []byte) error { // gives the error of its function, which has none
			ids = append(ids, collection+"/"+string(k))
			return nil
		})
	}
	return ids
}

func (b buckets) next(collection string) (uint64, error) {
	bucket, _ := b.of(collection)
	return bucket.NextSequence()
}

package state

import (
	"context"
	"errors"
	"time"

	"gke-credential-rotator/policy"
)

// sharedWait is how long an operation waits for another process's.
const sharedWait = 10 * time.Second

// Shared is the book in one file that several processes use side by side: it
// is open only while it is read or written, so a person can hold the fleet
// while a run is at work. The file is made by the first write.
type Shared struct{ path string }

// ShareFile gives the book at the path. What is wrong with a file that is there
// is told now, not in the middle of a run.
func ShareFile(path string) (Shared, error) {
	s := Shared{path}
	if err := checkPath(path, FileOptions{}); err != nil {
		return s, err
	}
	return s, s.read(func(*File) error { return nil })
}

// read opens the file to be read; where there is none yet, do is not called.
func (s Shared) read(do func(*File) error) error {
	return s.with(FileOptions{ReadOnly: true, Wait: sharedWait}, do)
}

func (s Shared) write(do func(*File) error) error {
	return s.with(FileOptions{Wait: sharedWait}, do)
}

func (s Shared) with(o FileOptions, do func(*File) error) error {
	f, err := OpenFile(s.path, o)
	if errors.Is(err, ErrNoBook) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}

// Book implements [Store].
func (s Shared) Book(ctx context.Context) (book policy.Book, err error) {
	book = policy.Book{Known: true, Rotations: map[policy.Ref]policy.Rotation{}}
	err = s.read(func(f *File) (err error) {
		book, err = f.Book(ctx)
		return err
	})
	return book, err
}

// Fleet implements [Store].
func (s Shared) Fleet(ctx context.Context) (doc policy.FleetDoc, err error) {
	err = s.read(func(f *File) (err error) {
		doc, err = f.Fleet(ctx)
		return err
	})
	return doc, err
}

// Write implements [Store].
func (s Shared) Write(ctx context.Context, c Change) (written Change, err error) {
	written = c
	err = s.write(func(f *File) (err error) {
		written, err = f.Write(ctx, c)
		return err
	})
	return written, err
}

// History implements [Store].
func (s Shared) History(ctx context.Context, ref policy.Ref) (records []policy.Record, err error) {
	err = s.read(func(f *File) (err error) {
		records, err = f.History(ctx, ref)
		return err
	})
	return records, err
}

// Outbox implements [Store].
func (s Shared) Outbox(ctx context.Context) (box policy.Outbox, err error) {
	err = s.read(func(f *File) (err error) {
		box, err = f.Outbox(ctx)
		return err
	})
	return box, err
}

// Told implements [Store].
func (s Shared) Told(ctx context.Context, n policy.Notice, all bool) error {
	return s.write(func(f *File) error { return f.Told(ctx, n, all) })
}

// Lease implements [Store].
func (s Shared) Lease(ctx context.Context, l Lease) (held Lease, err error) {
	err = s.write(func(f *File) (err error) {
		held, err = f.Lease(ctx, l)
		return err
	})
	return held, err
}

// Holder implements [Store].
func (s Shared) Holder(ctx context.Context) (held Lease, err error) {
	err = s.read(func(f *File) (err error) {
		held, err = f.Holder(ctx)
		return err
	})
	return held, err
}

// Close implements [Store]: nothing is open between the operations.
func (Shared) Close() error { return nil }

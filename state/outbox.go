package state

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"gke-credential-rotator/policy/record"
)

var keyAnnounced = []byte("announced")

// checkNotice refuses an id that could not be part of a document's name.
func checkNotice(id string) error {
	if _, err := hex.DecodeString(id); err != nil || id == "" {
		return fmt.Errorf("the notice's id %.100q cannot be kept under", id)
	}
	return nil
}

// outboxIn stores what is to be told. The key of a notice begins with a number
// that only grows, so the bucket's own order is that of the writes.
func (c Change) outboxIn(tx *bbolt.Tx, written *Change) error {
	b := tx.Bucket(bucketNotices)
	if c.Standing != nil {
		m := *c.Standing
		version, err := put(b, string(keyAnnounced), m.Version, &m)
		if err != nil {
			return err
		}
		m.Version = version
		written.Standing = &m
	}
	written.Notices = slices.Clone(c.Notices)
	for i, n := range c.Notices {
		if err := checkNotice(n.ID); err != nil {
			return err
		}
		if there, err := isThere(b, n.ID); err != nil || there {
			if err != nil {
				return err
			}
			continue
		}
		number, err := b.NextSequence()
		if err != nil {
			return fmt.Errorf("store notice %s: %w", n.ID, err)
		}
		key := fmt.Sprintf("%016x-%s", number, n.ID)
		if _, err := put(b, key, "", &n); err != nil {
			return err
		}
		written.Notices[i].Version = key
	}
	return nil
}

// isThere looks for a notice by its id alone.
func isThere(b *bbolt.Bucket, id string) (bool, error) {
	found := false
	err := b.ForEach(func(k, _ []byte) error {
		_, its, _ := strings.Cut(string(k), "-")
		found = found || its == id
		return nil
	})
	return found, err
}

// Outbox implements [Store].
func (f *File) Outbox(ctx context.Context) (record.Outbox, error) {
	var box record.Outbox
	err := f.view(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketNotices)
		if b == nil { // an older store, opened to be read only
			return nil
		}
		return b.ForEach(func(k, v []byte) (err error) {
			if string(k) == string(keyAnnounced) {
				box.Standing.Version, err = decode("announced", v, &box.Standing)
				return err
			}
			var n record.Notice
			if _, err = decode(string(k), v, &n); err != nil {
				return err
			}
			n.Version = string(k)
			box.Notices = append(box.Notices, n)
			return nil
		})
	})
	if err != nil {
		return record.Outbox{}, err
	}
	return box, nil
}

// Delivered implements [Store].
func (f *File) Delivered(ctx context.Context, n record.Notice, all bool) error {
	return f.update(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketNotices)
		before, err := current(b, n.Version)
		switch {
		case err != nil || before == "":
			return err
		case all:
			return b.Delete([]byte(n.Version))
		}
		_, err = put(b, n.Version, before, &n)
		return err
	})
}

package state

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"gke-credential-rotator/policy/record"
)

// Outbox implements [Store]. The order of the commits is that of the documents'
// creation, which later writes leave as it is.
func (f *Firestore) Outbox(ctx context.Context) (box record.Outbox, err error) {
	var made map[string]time.Time
	err = f.read(ctx, func(ctx context.Context) error {
		box, made = record.Outbox{}, map[string]time.Time{}
		return f.query(ctx, colNotices, nil, func(e envelope) (err error) {
			if e.id == idAnnounced {
				box.Standing, err = read[record.Standing](e)
				box.Standing.Version = e.Version
				return err
			}
			n, err := read[record.Notice](e)
			n.Version, made[n.ID] = e.Version, e.Made
			box.Notices = append(box.Notices, n)
			return err
		})
	})
	if err != nil {
		return record.Outbox{}, err
	}
	slices.SortStableFunc(box.Notices, func(a, b record.Notice) int {
		return cmp.Or(made[a.ID].Compare(made[b.ID]), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.ID, b.ID))
	})
	return box, nil
}

// Delivered implements [Store].
func (f *Firestore) Delivered(ctx context.Context, n record.Notice, all bool) error {
	if err := checkNotice(n.ID); err != nil {
		return err
	}
	var b batch
	id := colNotices + "/" + n.ID
	if all {
		b.forget(id)
	} else {
		b.put(id, n.Version, &n, nil)
	}
	err := f.commit(ctx, b)
	if errors.Is(err, ErrConflict) {
		return nil // somebody else noted something: at worst it is told once more
	}
	return err
}

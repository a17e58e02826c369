package state

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"gke-credential-rotator/policy/record"
)

// The fields of a notice beside the body.
const fieldKind = "kind"

// addNotice stores a notice without a condition, which would be one for all of
// the commit.
func (b *batch) addNotice(n *record.Notice) {
	if err := checkNotice(n.ID); err != nil {
		b.fail(colNotices, err)
		return
	}
	if w := b.document(colNotices+"/"+n.ID, n, shownNotice(n)); w != nil {
		b.add(w, &n.Version)
	}
}

func shownNotice(n *record.Notice) map[string]*pb.Value {
	return map[string]*pb.Value{fieldKind: text(string(n.Kind)), fieldCluster: text(n.Subject())}
}

// Outbox implements [Store]. The order of the commits is that of the documents'
// creation, which later writes leave as it is.
func (f *Firestore) Outbox(ctx context.Context) (box record.Outbox, err error) {
	var made map[string]time.Time
	err = f.read(ctx, func(ctx context.Context) error {
		box, made = record.Outbox{}, map[string]time.Time{}
		return f.query(ctx, colNotices, nil, func(id string, e envelope) error {
			if id == idAnnounced {
				box.Standing.Version = e.Version
				return e.into(id, &box.Standing)
			}
			var n record.Notice
			if err := e.into(id, &n); err != nil {
				return err
			}
			n.Version, made[n.ID] = e.Version, e.Made
			box.Notices = append(box.Notices, n)
			return nil
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
		b.add(&pb.Write{Operation: &pb.Write_Delete{Delete: id}}, nil)
	} else {
		b.put(id, n.Version, &n, shownNotice(&n), nil)
	}
	err := f.commit(ctx, b)
	if errors.Is(err, ErrConflict) {
		return nil // somebody else noted something: at worst it is told once more
	}
	return err
}

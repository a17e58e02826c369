package state

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"gke-credential-rotator/policy/record"
)

// recordsPage is how many records are read at a time: nothing is kept open or
// locked while they are looked at.
const recordsPage = 200

// ByClosing orders records by their closing, and what was closed at once by the
// attempt.
func ByClosing(a, b record.Record) int {
	return cmp.Or(a.ClosedAt.Compare(b.ClosedAt), cmp.Compare(a.Rotation.AttemptID, b.Rotation.AttemptID))
}

// paged gives records page by page, until a page is empty.
func paged(ctx context.Context, page func() ([]record.Record, error)) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		for {
			err := ctx.Err()
			var recs []record.Record
			if err == nil {
				recs, err = page()
			}
			if err != nil {
				yield(record.Record{}, err)
				return
			}
			if len(recs) == 0 {
				return
			}
			for _, rec := range recs {
				if !yield(rec, nil) {
					return
				}
			}
		}
	}
}

// closedSince lists the ids of the records, in the order of their closing.
func closedSince(ctx context.Context, d reader, since time.Time) ([]string, error) {
	at := map[string]time.Time{}
	err := d.each(ctx, colHistory, "", func(e envelope) error {
		var rec struct {
			ClosedAt time.Time `json:"closedAt"`
		}
		err := e.into(&rec)
		if !rec.ClosedAt.IsZero() && !rec.ClosedAt.Before(since) {
			at[colHistory+"/"+e.id] = rec.ClosedAt
		}
		return err
	})
	byClosing := func(a, b string) int { return cmp.Or(at[a].Compare(at[b]), cmp.Compare(a, b)) }
	return slices.SortedFunc(maps.Keys(at), byClosing), err
}

// Records implements [Store]: one query a page, over the single field closedAt.
// That field has microseconds, which is the order that a page is cut by; within
// a page the record's own time counts.
func (f *Firestore) Records(ctx context.Context, since time.Time) iter.Seq2[record.Record, error] {
	var after []*pb.Value
	ended := false
	return paged(ctx, func() (recs []record.Record, err error) {
		for !ended && len(recs) == 0 && err == nil {
			recs, after, err = f.recordsAfter(ctx, since, after)
			ended = len(recs) < recordsPage
			recs = slices.DeleteFunc(recs, func(r record.Record) bool { return r.ClosedAt.Before(since) })
		}
		slices.SortStableFunc(recs, ByClosing)
		return recs, err
	})
}

// recordsAfter reads the page behind a place, and gives the place of its end.
func (f *Firestore) recordsAfter(ctx context.Context, since time.Time,
	after []*pb.Value) (recs []record.Record, last []*pb.Value, err error) {
	err = f.read(ctx, func(ctx context.Context) error {
		recs, last = nil, after
		return f.ask(ctx, f.closedQuery(since, after), func(doc *pb.Document, e envelope) error {
			rec, err := read[record.Record](e)
			last = []*pb.Value{doc.GetFields()[fieldClosedAt],
				{ValueType: &pb.Value_ReferenceValue{ReferenceValue: doc.GetName()}}}
			recs = append(recs, rec)
			return err
		})
	})
	return recs, last, err
}

// closedQuery asks for the next page of what was closed.
func (f *Firestore) closedQuery(since time.Time, after []*pb.Value) *pb.StructuredQuery {
	by := func(field string) *pb.StructuredQuery_Order {
		return &pb.StructuredQuery_Order{Field: &pb.StructuredQuery_FieldReference{FieldPath: field},
			Direction: pb.StructuredQuery_ASCENDING}
	}
	q := &pb.StructuredQuery{
		From:    []*pb.StructuredQuery_CollectionSelector{{CollectionId: colHistory}},
		OrderBy: []*pb.StructuredQuery_Order{by(fieldClosedAt), by("__name__")},
		Limit:   wrapperspb.Int32(recordsPage),
		Where: where(fieldClosedAt, pb.StructuredQuery_FieldFilter_GREATER_THAN_OR_EQUAL,
			instant(since.Truncate(time.Microsecond))),
	}
	if after != nil {
		q.StartAt = &pb.Cursor{Values: after}
	}
	return q
}

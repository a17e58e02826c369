package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// root is the database's own name in the API.
func (f *Firestore) root() string { return "projects/" + f.project + "/databases/" + f.database }

// path is the name in the API of a document of ours, as fleet/fleet.
func (f *Firestore) path(id string) string { return f.root() + "/documents/" + id }

// routed says to which database the call goes, as Google's own client does.
func (f *Firestore) routed(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "google-cloud-resource-prefix", f.root())
}

// pauses come between the tries of a read.
var pauses = []time.Duration{200 * time.Millisecond, time.Second, 4 * time.Second}

// passing are the codes after which a read may succeed when it is repeated.
var passing = []codes.Code{codes.Unavailable, codes.Internal, codes.ResourceExhausted, codes.Aborted}

// read does it until it is answered, refused for good, or out of tries.
func (f *Firestore) read(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	for try := 0; ; try++ {
		err := do(f.routed(ctx))
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || try >= len(pauses) || !slices.Contains(passing, status.Code(err)) ||
			gax.Sleep(ctx, pauses[try]) != nil {
			return f.explain(err)
		}
	}
}

// get reads one document; one without a version when there is none.
func (f *Firestore) get(ctx context.Context, id string) (envelope, error) {
	ctx, cancel := context.WithCancel(ctx) // ends the stream
	defer cancel()
	stream, err := f.client.BatchGetDocuments(ctx, &pb.BatchGetDocumentsRequest{Database: f.root(),
		Documents: []string{f.path(id)}})
	if err != nil {
		return envelope{}, err
	}
	for {
		got, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return envelope{}, fmt.Errorf("document %s: neither found nor missing", id)
		case err != nil || got.GetMissing() != "":
			return envelope{}, err
		case got.GetFound() != nil:
			return fromDocument(id, got.GetFound())
		}
	}
}

// each reads the documents of a collection, all or those about a cluster.
func (f *Firestore) each(ctx context.Context, collection, cluster string, do func(envelope) error) error {
	q := &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: collection}}}
	if cluster != "" {
		q.Where = where(fieldCluster, pb.StructuredQuery_FieldFilter_EQUAL, text(cluster))
	}
	return f.ask(ctx, q, func(_ *pb.Document, e envelope) error { return do(e) })
}

// ask reads the documents that a query finds.
func (f *Firestore) ask(ctx context.Context, q *pb.StructuredQuery,
	each func(*pb.Document, envelope) error) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream
	defer cancel()
	req := &pb.RunQueryRequest{Parent: f.root() + "/documents",
		QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: q}}
	stream, err := f.client.RunQuery(ctx, req)
	if err != nil {
		return err
	}
	for {
		got, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		doc := got.GetDocument()
		if doc == nil {
			continue // a word on progress
		}
		e, err := fromDocument(strings.TrimPrefix(doc.GetName(), f.path("")), doc)
		if err == nil {
			err = each(doc, e)
		}
		if err != nil {
			return err
		}
	}
}

func where(field string, op pb.StructuredQuery_FieldFilter_Operator,
	value *pb.Value) *pb.StructuredQuery_Filter {
	return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{
		FieldFilter: &pb.StructuredQuery_FieldFilter{
			Field: &pb.StructuredQuery_FieldReference{FieldPath: field}, Op: op, Value: value}}}
}

package gke

import (
	"context"
	"net/http"
	"time"

	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Date is the time that GKE's first answer said it was, to the second; zero: no
// answer has said so yet. Google's front ends put a date into every answer, into
// its trailer where it is an error.
func (c *Cloud) Date() time.Time {
	if at := c.date.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// askDated is ask, and listens for the date.
func askDated[Q, A any](ctx context.Context, c *Cloud,
	read func(context.Context, Q, ...gax.CallOption) (A, error), req Q) (A, error) {
	var head, trail metadata.MD
	got, err := ask(ctx, c.retry, read, req, gax.WithGRPCOptions(grpc.Header(&head), grpc.Trailer(&trail)))
	for _, text := range append(head.Get("date"), trail.Get("date")...) {
		if at, err := http.ParseTime(text); err == nil {
			c.date.CompareAndSwap(nil, &at)
		}
	}
	return got, err
}

package gke

import (
	"errors"
	"testing"

	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestNoProject: what says that a project does not exist, and what only refuses.
func TestNoProject(t *testing.T) {
	reason := func(code codes.Code, why string) error {
		s, err := status.New(code, "denied").WithDetails(&errdetails.ErrorInfo{Reason: why, Domain: "googleapis.com"})
		if err != nil {
			t.Fatal(err)
		}
		api, ok := apierror.FromError(s.Err())
		if !ok {
			t.Fatal("no error of an API")
		}
		return api
	}
	for _, tt := range []struct {
		err  error
		gone bool
	}{
		{status.Error(codes.NotFound, "Resource projects/x was not found"), true},
		{status.Error(codes.PermissionDenied, "Project #123 has been deleted."), true},
		{reason(codes.PermissionDenied, "CONSUMER_INVALID"), true},
		{reason(codes.PermissionDenied, "RESOURCE_PROJECT_INVALID"), true},
		{reason(codes.PermissionDenied, "IAM_PERMISSION_DENIED"), false},
		{reason(codes.PermissionDenied, "SERVICE_DISABLED"), false},
		{status.Error(codes.PermissionDenied, "Permission denied on resource project x (or it may not exist)."), false},
		{status.Error(codes.Unavailable, "project x has been deleted from the cache"), false},
	} {
		if got := errors.Is(noProject(tt.err), ErrNoProject); got != tt.gone {
			t.Errorf("%v: %v", tt.err, got)
		}
	}
}

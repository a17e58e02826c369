package gke

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/policy/record"
)

// fixtures is the folder of recordings beside the project; tests of recorded
// data are skipped where it is absent.
func fixtures(t *testing.T, name string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(root); ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "shared", "fixtures", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if dir == filepath.Dir(dir) {
			t.Skip("no recorded data: ../shared/fixtures/" + name + " is absent")
		}
	}
}

// readings is what each recorded error means; "" is no refusal at all.
var readings = map[string]record.Refusal{
	"http-400-failed-precondition-requestinfo-container.json":    record.OtherRefusal,
	"http-403-api-disabled-dataflow.json":                        record.Denied,
	"http-403-api-disabled-sql.json":                             record.Denied,
	"http-403-service-disabled-errorinfo-j1.json":                record.Denied,
	"http-404-container-1.json":                                  record.NotFound,
	"http-404-container-2.json":                                  record.NotFound,
	"http-429-cloud-run-text.json":                               record.Throttled,
	"http-503-unavailable-sibling.json":                          "",
	"printed-400-being-created-deleted-updated-or-repaired.json": record.OtherOperation,
	"printed-400-currently-repairing.json":                       record.OtherOperation,
	"printed-400-currently-upgrading.json":                       record.OtherOperation,
	"printed-400-incompatible-operation.json":                    record.OtherOperation,
	"printed-400-node-pool-requires-recreation-doc.json":         record.RequiresRecreation,
	"printed-400-node-pool-requires-recreation.json":             record.RequiresRecreation,
	"printed-403-access-not-configured.json":                     record.Denied,
	"printed-403-missing-permission-rpc.json":                    record.Denied,
	"printed-404-not-found-gcloud.json":                          record.NotFound,
}

// byHTTP are the gRPC codes that one HTTP status may have been.
var byHTTP = map[int][]codes.Code{
	400: {codes.FailedPrecondition, codes.InvalidArgument},
	403: {codes.PermissionDenied},
	404: {codes.NotFound},
	409: {codes.AlreadyExists, codes.Aborted},
	429: {codes.ResourceExhausted},
	503: {codes.Unavailable},
}

func TestRecordedErrors(t *testing.T) {
	dir := fixtures(t, "errors")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != len(readings) {
		t.Errorf("%d files, %d readings: %v", len(files), len(readings), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		want, ok := readings[name]
		if !ok {
			t.Errorf("%s: nobody said what it means", name)
		}
		httpStatus, message := recordedError(t, file)
		for _, code := range byHTTP[httpStatus] {
			if code == codes.InvalidArgument && want == record.OtherRefusal {
				want = record.Invalid
			}
			got := outcome(nil, status.Error(code, message))
			state := record.Refused
			if want == "" {
				state = record.Unclear
			}
			if got.State != state || got.Refusal != want || got.Raw != message {
				t.Errorf("%s as %s: %+v, want %s %q with GKE's own words", name, code, got, state, want)
			}
			if want == record.RequiresRecreation && got.Pool != "test-pool-1" && got.Pool != "static-pool" {
				t.Errorf("%s: pool %q", name, got.Pool)
			}
		}
	}
}

// recordedError reads the fixtures' several forms.
func recordedError(t *testing.T, file string) (httpStatus int, message string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type body struct {
		Error struct {
			Code    int
			Message string
		}
	}
	var f struct {
		HTTPStatus int
		Message    string
		GRPCCode   codes.Code
		Printed    string
		Body       body
		Response   struct{ Data body }
	}
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	switch {
	case f.Message != "":
		return f.HTTPStatus, f.Message
	case f.Body.Error.Message != "":
		return f.Body.Error.Code, f.Body.Error.Message
	case f.Response.Data.Error.Message != "":
		return f.Response.Data.Error.Code, f.Response.Data.Error.Message
	case f.GRPCCode == codes.ResourceExhausted:
		return 429, f.Printed
	}
	t.Fatalf("%s: no message", file)
	return 0, ""
}

// TestRefusals: the wordings that nobody recorded, from Google's pages and its
// clients' tests. One code means several things.
func TestRefusals(t *testing.T) {
	busy, err := status.New(codes.FailedPrecondition,
		"Some new wording.").WithDetails(&errdetails.ErrorInfo{Reason: "CLUSTER_ALREADY_HAS_OPERATION",
		Domain: "container.googleapis.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		err  error
		want record.Refusal
		pool string
	}{
		{busy.Err(), record.OtherOperation, ""},
		{status.Error(codes.AlreadyExists, "The cluster has an IP rotation in progress."), record.AlreadyRotating,
			""},
		{status.Error(codes.Aborted, "The cluster has an IP rotation in progress."), record.AlreadyRotating, ""},
		{status.Error(codes.FailedPrecondition, "The cluster does not have an IP rotation in progress."),
			record.NotRotating, ""},
		{status.Error(codes.InvalidArgument, "The cluster does not have an IP rotation in progress."),
			record.NotRotating, ""},
		{status.Error(codes.FailedPrecondition, `Node pool "my-pool" requires recreation.`),
			record.RequiresRecreation, "my-pool"},
		{status.Error(codes.InvalidArgument, "node pool my-pool requires recreation."), record.RequiresRecreation,
			"my-pool"},
		{status.Error(codes.FailedPrecondition, "Something requires recreation."), record.RequiresRecreation, ""},
		{status.Error(codes.Internal, `Node pool "p" requires recreation.`), record.RequiresRecreation, "p"},
		{status.Error(codes.Aborted, "etag mismatch"), record.StaleEtag, ""},
		{status.Error(codes.FailedPrecondition, "The provided Etag does not match."), record.StaleEtag, ""},
		{status.Error(codes.PermissionDenied, "no etag for you"), record.Denied, ""},
		{status.Error(codes.ResourceExhausted,
			`Too many operations: cluster "X" hits the concurrent operations quota 5`), record.Throttled, ""},
		{status.Error(codes.InvalidArgument, `Node version "1.20" is unsupported.`), record.Invalid, ""},
		{status.Error(codes.Unauthenticated, "no token"), record.Denied, ""},
		{status.Error(codes.FailedPrecondition, "Something quite new."), record.OtherRefusal, ""},
		// Unclear, whatever the words.
		{status.Error(codes.Unavailable, "The cluster has an IP rotation in progress."), "", ""},
		{status.Error(codes.DeadlineExceeded, `Node pool "p" requires recreation.`), "", ""},
		{status.Error(codes.Canceled, "Cluster is running incompatible operation x."), "", ""},
		{status.Error(codes.Internal, "boom"), "", ""},
		{status.Error(codes.Unknown, ""), "", ""},
		{os.ErrDeadlineExceeded, "", ""},
	} {
		refusal, pool := classify(tt.err)
		if refusal != tt.want || pool != tt.pool {
			t.Errorf("%v: %q of pool %q, want %q of pool %q", tt.err, refusal, pool, tt.want, tt.pool)
		}
		if o := outcome(nil, tt.err); (o.State == record.Unclear) != (tt.want == "") || o.Raw == "" &&
			status.Convert(tt.err).Message() != "" {
			t.Errorf("%v: %+v", tt.err, o)
		}
	}
}

// TestPrintedErrors: the whole text of an error as REST clients and gcloud
// print it reads like GKE's own words in it.
func TestPrintedErrors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(fixtures(t, "errors"), "printed-*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f struct{ Printed string }
		if err := json.Unmarshal(text, &f); err != nil || f.Printed == "" {
			t.Fatalf("%s: no printed text: %v", file, err)
		}
		httpStatus, _ := recordedError(t, file)
		want := readings[filepath.Base(file)]
		for _, code := range byHTTP[httpStatus] {
			got := outcome(nil, status.Error(code, f.Printed))
			if got.Refusal != want || got.Raw != f.Printed ||
				(want == record.RequiresRecreation && got.Pool != "test-pool-1" && got.Pool != "static-pool") {
				t.Errorf("%s as %s: %+v, want %q", file, code, got, want)
			}
		}
	}
}

package gke

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/container/apiv1/containerpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/policy/record"
)

// outcome says what came of a call. Anything that does not prove that GKE
// refused is unclear.
func outcome(op *containerpb.Operation, err error) record.Outcome {
	if err == nil && op.GetName() == "" {
		// Nothing would end it: what the cluster shows has to.
		return record.Outcome{State: record.Unclear, Raw: "GKE answered without an operation"}
	}
	if err == nil {
		return record.Outcome{State: record.Accepted, Operation: op.GetName()}
	}
	refusal, pool := classify(err)
	if refusal == "" {
		return record.Outcome{State: record.Unclear, Raw: message(err)}
	}
	return record.Outcome{State: record.Refused, Refusal: refusal, Pool: pool, Raw: message(err)}
}

var recreation = regexp.MustCompile(`(?i)node pool "?([^"\s]+)"? requires recreation`)

// classify tells refusals apart by reason and wording first, for one code
// means several things. "" means that GKE may have accepted after all.
func classify(err error) (refusal record.Refusal, pool string) {
	text := strings.ToLower(message(err))
	reason := reasonOf(err)
	code := status.Code(err)
	switch {
	case code == codes.Unavailable, code == codes.DeadlineExceeded, code == codes.Canceled:
		return "", "" // whatever it says: GKE may have accepted before
	case strings.Contains(text, "requires recreation"):
		if m := recreation.FindStringSubmatch(message(err)); m != nil {
			pool = m[1]
		}
		return record.RequiresRecreation, pool
	case strings.Contains(text, "does not have an ip rotation in progress"):
		return record.NotRotating, ""
	case strings.Contains(text, "ip rotation in progress"):
		return record.AlreadyRotating, ""
	case reason == "CLUSTER_ALREADY_HAS_OPERATION", busyText(text):
		return record.OtherOperation, ""
	case strings.Contains(text, "etag") && (code == codes.FailedPrecondition || code == codes.InvalidArgument):
		return record.StaleEtag, ""
	}
	return refusals[code], ""
}

// refusals are what codes mean without a wording that is known. None: unknown,
// internal, data loss, or newer than this program.
var refusals = map[codes.Code]record.Refusal{
	codes.NotFound: record.NotFound, codes.AlreadyExists: record.AlreadyRotating,
	codes.PermissionDenied: record.Denied, codes.Unauthenticated: record.Denied,
	codes.ResourceExhausted: record.Throttled, codes.Aborted: record.StaleEtag,
	codes.InvalidArgument: record.Invalid, codes.OutOfRange: record.Invalid, codes.Unimplemented: record.Invalid,
	codes.FailedPrecondition: record.OtherRefusal,
}

// busyTexts are the wordings of "another operation runs" over the years.
var busyTexts = []string{"cluster_already_has_operation", "incompatible operation", "is currently upgrading",
	"is currently repairing", "is currently being created, deleted, updated or repaired",
	"please wait and try again once it is done"}

func busyText(text string) bool {
	return slices.ContainsFunc(busyTexts, func(s string) bool { return strings.Contains(text, s) })
}

func message(err error) string { return status.Convert(err).Message() }

// service is an API as its errors are explained.
type service struct{ host, role, quota string }

var (
	containerAPI = service{"container.googleapis.com", "its role",
		"the quota of GKE API requests is used up for this minute"}
	recommenderAPI = service{"recommender.googleapis.com", "recommender.containerDiagnosisInsights.list",
		"Recommender's quota is used up, perhaps for the day"}
)

// explain puts the permission or API that is missing where people see it.
func (a service) explain(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	return fmt.Errorf("%s: %s%s", s.Code(), s.Message(), a.wayOut(err, s))
}

// wayOut says what to do about an error that has a known cause.
func (a service) wayOut(err error, s *status.Status) string {
	text := strings.ToLower(s.Message())
	switch {
	case reasonOf(err) == "SERVICE_DISABLED", strings.Contains(text, "has not been used in project"),
		strings.Contains(text, "it is disabled"):
		return "; switch the API on: gcloud services enable " + a.host + " --project PROJECT"
	case s.Code() == codes.PermissionDenied:
		return "; grant the rotator's service account " + a.role + " in that project"
	case s.Code() == codes.Unauthenticated:
		return "; the process has no valid credentials"
	case s.Code() == codes.ResourceExhausted:
		return "; " + a.quota
	}
	return ""
}

// ErrNoProject says that a project does not exist: Google answered so.
var ErrNoProject = errors.New("the project does not exist")

// noProject marks an answer that says so: a deleted or unknown project is NOT_FOUND, or an
// invalid consumer or resource project (google/api/error_reason.proto: CONSUMER_INVALID,
// RESOURCE_PROJECT_INVALID). A refusal that hides whether it exists says nothing.
func noProject(err error) error {
	text, code := strings.ToLower(message(err)), status.Code(err)
	refused := code == codes.PermissionDenied || code == codes.InvalidArgument ||
		code == codes.FailedPrecondition
	switch reason := reasonOf(err); {
	case code == codes.NotFound, reason == "CONSUMER_INVALID", reason == "RESOURCE_PROJECT_INVALID",
		refused && strings.Contains(text, "project") && strings.Contains(text, "has been deleted"):
		return fmt.Errorf("%w: %w", ErrNoProject, containerAPI.explain(err))
	}
	return containerAPI.explain(err)
}

// reasonOf is the machine-readable reason that Google's errors may manage.
func reasonOf(err error) string {
	if api, ok := apierror.FromError(err); ok {
		return api.Reason()
	}
	return ""
}

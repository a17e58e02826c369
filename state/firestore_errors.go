package state

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// conflict says whether Firestore refused a commit for what others did. Only
// what says so in Firestore's own words does: a missing database, too, is
// NOT_FOUND, and one in Datastore mode a failed precondition. A commit is sent
// once, so it never meets itself. ABORTED: Firestore undid the commit because
// others were writing the same documents.
func conflict(err error) bool {
	said := status.Convert(err).Message()
	switch status.Code(err) {
	case codes.AlreadyExists, codes.Aborted:
		return true
	case codes.FailedPrecondition:
		return strings.Contains(said, "base version")
	case codes.NotFound:
		return strings.Contains(said, "/documents/")
	}
	return false
}

// trouble is an error of Firestore's in one sentence, with the way out.
type trouble struct {
	text string
	err  error
}

func (t trouble) Error() string { return t.text }
func (t trouble) Unwrap() error { return t.err }

// explain says what is wrong and what to do about it.
func (f *Firestore) explain(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("%s: %w", f, err)
	}
	text := fmt.Sprintf("%s: Firestore says %s", f, s.Code())
	if s.Message() != "" {
		text += ": " + strings.ReplaceAll(s.Message(), "\n", " ")
	}
	if do := f.wayOut(s); do != "" {
		text += ": " + do
	}
	return trouble{text, err}
}

func (f *Firestore) wayOut(s *status.Status) string {
	switch s.Code() {
	case codes.PermissionDenied:
		if strings.Contains(s.Message(), "has not been used") || strings.Contains(s.Message(), "is disabled") {
			return "run: gcloud services enable firestore.googleapis.com --project=" + f.project
		}
		return "give the account roles/datastore.user on this database, as deploy/STATE.md says"
	case codes.Unauthenticated:
		return "run: gcloud auth application-default login"
	case codes.NotFound:
		return fmt.Sprintf("if there is no such database, run: gcloud firestore databases create --project=%s --database='%s' --location=REGION --type=firestore-native", f.project, f.database)
	case codes.FailedPrecondition:
		if strings.Contains(s.Message(), "Datastore") {
			return "name a database in native mode"
		}
	}
	return ""
}

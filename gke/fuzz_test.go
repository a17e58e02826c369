package gke

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// FuzzRefusals: an error is a refusal only where its code allows that GKE
// refused, whatever it says; the reading does not hang on capitals, white space
// or what is printed around it; and the words are kept.
func FuzzRefusals(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"", "boom", "The cluster has an IP rotation in progress.",
		"The cluster does not have an IP rotation in progress.", `Node pool "a" requires recreation.`,
		"node pool b requires recreation", "Cluster is running incompatible operation x.", "etag",
		"Please wait and try again once it is done.", "is currently upgrading", "\x1b[2J\xff",
		`Node pool "a b" requires recreation. Node pool "c" requires recreation.`} {
		for _, code := range []codes.Code{codes.FailedPrecondition, codes.InvalidArgument, codes.Unavailable,
			codes.AlreadyExists} {
			c.Add(uint8(code), s, "")
		}
	}
	c.Add(uint8(codes.FailedPrecondition), "new words", "CLUSTER_ALREADY_HAS_OPERATION")
	c.Add(uint8(codes.PermissionDenied), "new words", "SERVICE_DISABLED")
	c.Recorded("errors", func(_ string, text []byte) {
		for _, message := range messagesIn(text) {
			for code := codes.OK; code <= codes.Unauthenticated; code++ {
				c.AddRecorded(uint8(code), message, "")
			}
		}
	})
	c.AtLeast(40, 200)
	f.Fuzz(func(t *testing.T, code uint8, message, reason string) {
		defer corpus.Watch(message)()
		err := refusalOf(codes.Code(code), message, reason)
		if err == nil {
			t.Skip("no error")
		}
		o := outcome(nil, err)
		unclear := map[codes.Code]bool{codes.Unavailable: true, codes.DeadlineExceeded: true,
			codes.Canceled: true}[codes.Code(code)]
		switch {
		case o.State != record.Refused && o.State != record.Unclear,
			(o.State == record.Refused) != (o.Refusal != ""), o.Operation != "":
			t.Errorf("%v: %+v is neither a refusal nor unclear", err, o)
		case unclear && o.State != record.Unclear:
			t.Errorf("%v: GKE may have accepted, and it is told as %+v", err, o)
		case o.Pool != "" && o.Refusal != record.RequiresRecreation, o.Pool != "" &&
			!strings.Contains(message, o.Pool):
			t.Errorf("%v: the pool %q of %q", err, o.Pool, o.Refusal)
		case o.Raw != status.Convert(err).Message():
			t.Errorf("%v: GKE's words became %q", err, o.Raw)
		}
		if !strings.ContainsFunc(message, func(r rune) bool { return r > unicode.MaxASCII }) {
			if loud := outcome(nil, refusalOf(codes.Code(code), strings.ToUpper(message),
				reason)); loud.State != o.State || loud.Refusal != o.Refusal {
				t.Errorf("%v: %+v, in capitals %+v", err, o, loud)
			}
		}
		printed := "ResponseError: code=400, message=" + message + "\n"
		if p := outcome(nil, refusalOf(codes.Code(code), printed, reason)); p.State != o.State ||
			p.Refusal != o.Refusal {
			t.Errorf("%v: %+v, as gcloud prints it %+v", err, o, p)
		}
		for _, api := range []service{containerAPI, recommenderAPI} {
			if said := api.explain(err).Error(); !strings.HasPrefix(said, status.Code(err).String()+": "+
				status.Convert(err).Message()) {
				t.Errorf("%v is explained as %q", err, said)
			}
		}
		if refusal, _ := classify(fmt.Errorf("wrapped: %w", err)); (refusal == "") != (o.State == record.Unclear) {
			t.Errorf("%v: %q, wrapped %q", err, o.Refusal, refusal)
		}
	})
}

// refusalOf makes an error as GKE sends it.
func refusalOf(code codes.Code, message, reason string) error {
	s := status.New(code, message)
	if reason != "" && code != codes.OK {
		if with, err := s.WithDetails(&errdetails.ErrorInfo{Reason: reason,
			Domain: "container.googleapis.com"}); err == nil {
			s = with
		}
	}
	return s.Err()
}

// messagesIn finds every text in a recording.
func messagesIn(text []byte) []string {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return nil
	}
	var out []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if strings.Contains(v, " ") {
				out = append(out, v)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(v)
	return out
}

// planted is what no part of a cluster as we know it may hold.
const planted = "planted-secret-7f3a"

// FuzzCluster: whatever GKE shows of a cluster becomes one of ours with a name
// that every command and document takes back, or is refused by its name; no
// count is negative, no calendar endless, and no credential is taken along.
func FuzzCluster(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{`{}`, `{"name":"c","location":"europe-west1-b"}`, `{"name":"../c","zone":"z"}`,
		`{"name":"c\n","location":"l"}`, `{"name":"a/b","location":"l"}`, `{"name":"\u001b[2J","location":"l"}`,
		`{"name":"c","location":"-"}`,
		`{"name":"c","location":"l","nodePools":[{"name":"p","initialNodeCount":-5,"upgradeSettings":{"strategy":"BLUE_GREEN","blueGreenSettings":{"nodePoolSoakDuration":"-1s","standardRolloutPolicy":{"batchNodeCount":1,"batchSoakDuration":"315576000000s"}}}}],"currentNodeCount":-7}`,
		`{"name":"c","location":"l","nodePools":[{"name":"p","initialNodeCount":2000000000,"locations":["a","b","c"],"autoscaling":{"enabled":true,"minNodeCount":2147483647}}],"currentNodeCount":2147483647}`,
		`{"name":"c","location":"l","masterAuth":{"clientKey":"k","password":"p"}}`} {
		c.Add([]byte(s))
	}
	c.Recorded("clusters", func(_ string, text []byte) { c.AddRecorded(text) })
	c.AtLeast(10, 90)
	f.Fuzz(func(t *testing.T, text []byte) {
		defer corpus.Watch(text)()
		pb := &containerpb.Cluster{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, pb); err != nil {
			t.Skip("no cluster of the API")
		}
		if pb.MasterAuth == nil {
			pb.MasterAuth = &containerpb.MasterAuth{}
		}
		m := pb.GetMasterAuth()
		m.ClientKey, m.ClientCertificate, m.Username, m.Password = planted, planted, planted, planted //nolint:staticcheck // what old clusters still show
		named, err := nameOf("p", pb)
		if err != nil {
			if !errors.Is(err, errUnnameable) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%s: %v", text, err)
			}
			return
		}
		got := fromProto("p", pb)
		if again, err := fleet.ParseRef(got.Ref.String()); err != nil || again != got.Ref || named != got.Ref {
			t.Errorf("%s: the name %q reads as %v, error %v", text, got.Ref, again, err)
		}
		for _, p := range got.Pools {
			if p.Nodes < 0 || p.PoolSoak < 0 || p.MaxSurge < 0 || p.MaxUnavailable < 0 {
				t.Errorf("%s: pool %+v", text, p)
			}
		}
		if strings.Contains(fmt.Sprintf("%+v", got), planted) {
			t.Errorf("%s: a credential was taken along: %+v", text, got)
		}
		open := got.Maintenance.Open(window.Always())
		now := time.Date(2026, 11, 21, 14, 5, 0, 0, time.UTC)
		s, ok := open.Next(now)
		if got.Maintenance.Problem != "" && ok {
			t.Errorf("%s: %s, and yet open in %v", text, got.Maintenance.Problem, s)
		}
		if twin := fromProto("p", proto.CloneOf(pb)); twin.Bundle.Problem != got.Bundle.Problem ||
			len(twin.Pools) != len(got.Pools) || twin.Maintenance.Text != got.Maintenance.Text {
			t.Errorf("%s: read twice it is %+v and %+v", text, got, twin)
		}
	})
}

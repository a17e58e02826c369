package notify_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"gke-credential-rotator/job/notify"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	// full is a notice in which everything is said.
	full = record.Notice{
		ID: "00112233445566778899aabbccddeeff", Kind: record.NoticeNodesDone, At: noon, Run: "rotator-prod-x7k2p",
		Phase: record.UpdatingClients, Reason: reason.NodesDone,
		Cluster:  fleet.Ref{Project: "shop-prod", Location: "europe-west1-b", Name: "catalog"},
		Message:  fact.Say("3 of 3 pools recreated"),
		Expected: noon.Add(72 * time.Hour), HandOver: &record.HandOver{
			Cluster: fleet.Ref{Project: "shop-prod", Location: "europe-west1-b", Name: "catalog"}, AttemptID: "a1",
			AttemptNo: 1, Origin: record.Ours, At: noon, Moment: record.AtNodesDone,
			Phase: record.UpdatingClients, OldEndpoint: "192.0.2.1", NewEndpoint: "192.0.2.2",
			OldCA: fleet.CA{Fingerprint: "aa", Issued: noon.AddDate(-5, 0, 0), Expires: noon.AddDate(0, 3, 0)},
			NewCA: fleet.CA{Fingerprint: "bb", Issued: noon, Expires: noon.AddDate(30, 0, 0)}, Zonal: true,
			Pools:    map[string]bool{"web": true, "batch": true, "gpu": false},
			SoakEnds: noon.Add(70 * time.Hour), Completes: noon.Add(72 * time.Hour),
			GKECompletes: noon.Add(160 * time.Hour), Approval: true,
		},
	}
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // of the examples of Standard Webhooks

func hook(t *testing.T, url string, change func(*notify.WebhookOptions)) *notify.Webhook {
	t.Helper()
	o := notify.WebhookOptions{URL: url, Secret: secret, Format: notify.CloudEvents, Env: "prod",
		Now: func() time.Time { return noon }}
	if change != nil {
		change(&o)
	}
	w, err := notify.NewWebhook(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// golden compares with a file that -update writes.
func golden(t *testing.T, file, got string) {
	t.Helper()
	file = "testdata/" + file
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s: %v; go test ./job/notify -update writes\n%s", file, err, got)
	}
}

// TestCloudEvent: CloudEvents' own reader takes what is posted, and finds in it
// what the golden file shows.
func TestCloudEvent(t *testing.T) {
	var got *cloudevents.Event
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		body = string(text)
		r.Body = io.NopCloser(strings.NewReader(body))
		e, err := cehttp.NewEventFromHTTPRequest(r)
		if err != nil || r.Method != http.MethodPost {
			t.Errorf("%s: %v", r.Method, err)
		}
		got = e
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	if err := hook(t, server.URL, nil).Notify(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	if got.SpecVersion() != "1.0" || got.ID() != full.ID || got.Type() != "gke-credential-rotator.nodes-done" ||
		got.Source() != "/gke-credential-rotator/prod" ||
		got.Subject() != full.Cluster.Path() || !got.Time().Equal(noon) ||
		got.DataContentType() != "application/json" {
		t.Errorf("%s", got)
	}
	var data notify.Data
	if err := got.DataAs(&data); err != nil || data.Cluster != full.Cluster ||
		!data.HandOver.Completes.Equal(full.HandOver.Completes) || data.Run != full.Run {
		t.Errorf("%+v, %v", data, err)
	}
	var shown strings.Builder
	enc := json.NewEncoder(&shown)
	enc.SetIndent("", "  ")
	if err := enc.Encode(json.RawMessage(body)); err != nil {
		t.Fatal(err)
	}
	golden(t, "cloudevent.json", shown.String())
}

// TestSignature: the example that Standard Webhooks' own libraries are tested
// with, and then each of ours.
func TestSignature(t *testing.T) {
	h := http.Header{}
	w := hook(t, "https://example.com/",
		func(o *notify.WebhookOptions) { o.Now = func() time.Time { return time.Unix(1614265330, 0) } })
	w.Sign(h, "msg_p5jXN8AQM9LWM0D4loKWxJek", []byte(`{"test": 2432232314}`))
	if got := h.Get("webhook-signature"); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" ||
		h.Get("webhook-timestamp") != "1614265330" || h.Get("webhook-id") != "msg_p5jXN8AQM9LWM0D4loKWxJek" {
		t.Errorf("%v", h)
	}
	var seen []http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request) {
		seen = append(seen, r.Header)
	}))
	defer server.Close()
	for _, o := range []func(*notify.WebhookOptions){nil, func(o *notify.WebhookOptions) { o.Secret = "" },
		func(o *notify.WebhookOptions) { o.Format = notify.Slack }} {
		if err := hook(t, server.URL, o).Notify(t.Context(), full); err != nil {
			t.Fatal(err)
		}
	}
	if seen[0].Get("webhook-id") != full.ID || !strings.HasPrefix(seen[0].Get("webhook-signature"), "v1,") ||
		seen[0].Get("content-type") != "application/cloudevents+json" {
		t.Errorf("signed: %v", seen[0])
	}
	if seen[1].Get("webhook-signature") != "" || seen[2].Get("content-type") != "application/json" {
		t.Errorf("unsigned: %v; for Slack: %v", seen[1], seen[2])
	}
	for _, bad := range []string{"short", "whsec_", "whsec_!!!!",
		"whsec_" + base64.StdEncoding.EncodeToString([]byte("short"))} {
		if _, err := notify.NewWebhook(notify.WebhookOptions{URL: "https://example.com/",
			Secret: bad}); err == nil || strings.Contains(err.Error(), bad) && bad != "whsec_" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestAnswers: what counts as delivered, as refused for good, and as out of reach.
func TestAnswers(t *testing.T) {
	const token = "T0ken-in-the-path"
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	code := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", other.URL)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "what the receiver says is not repeated: "+token)
	}))
	defer server.Close()
	w := hook(t, server.URL+"/"+token, nil)
	for _, tt := range []struct {
		codes              []int
		delivered, refused bool
		says               string
	}{
		{[]int{200, 201, 202, 204}, true, false, ""},
		{[]int{400, 413, 415, 422}, false, true, "HTTP 4"},
		{[]int{401, 403}, false, false, "NOTIFY_SECRET_FILE"},
		{[]int{404, 405, 410}, false, false, "NOTIFY_WEBHOOK"},
		{[]int{301, 302, 307, 308}, false, false, "redirects are not followed"},
		{[]int{408, 425, 429, 500, 502, 503, 504}, false, false, "HTTP "},
	} {
		for _, code = range tt.codes {
			err := w.Notify(t.Context(), full)
			if (err == nil) != tt.delivered || errors.Is(err, pass.ErrRefused) != tt.refused || err != nil &&
				!strings.Contains(err.Error(), tt.says) {
				t.Errorf("HTTP %d: %v", code, err)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("HTTP %d gives the secret away: %v", code, err)
			}
		}
	}
	if elsewhere != 0 {
		t.Error("a redirect was followed")
	}
}

// TestOutOfReach: no error holds the URL, whatever goes wrong on the way.
func TestOutOfReach(t *testing.T) {
	const token = "T0ken-in-the-path"
	closed := httptest.NewServer(nil)
	closed.Close()
	hanging, release := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(hanging)
		<-release
	}))
	defer slow.Close()
	defer close(release)
	rude := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close()
		}
	}))
	defer rude.Close()
	untrusted := httptest.NewUnstartedServer(nil)
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	for name, tt := range map[string]struct{ url, says string }{
		"closed": {closed.URL, "refused"}, "rude": {rude.URL, "EOF"}, "untrusted": {untrusted.URL, "certificate"},
		"unknown": {"https://no-such-host.invalid", "host"}, "slow": {slow.URL, "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if name == "slow" {
				go func() { <-hanging; cancel() }()
			}
			err := hook(t, tt.url+"/services/"+token+"?key="+token, nil).Notify(ctx, full)
			if err == nil || errors.Is(err, pass.ErrRefused) || strings.Contains(err.Error(), token) ||
				!strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestSlack: short, harmless, and with what to do.
func TestSlack(t *testing.T) {
	hostile := full
	hostile.HandOver = nil
	hostile.Kind, hostile.Message = record.NoticeBlocked,
		fact.Say("held by <!channel> & <https://evil.example|click>\nNext: rm -rf\x1b[2J \u202e*b*")
	fleet := record.Notice{ID: "aa", Kind: record.NoticeBreakerOpen, At: noon,
		Message: fact.Say("1 failed or stuck rotations reach MAX_FAILED=1"), Reason: reason.BreakerOpen}
	long := hostile
	long.Message = fact.Say(strings.Repeat("ä", 5000))
	var shown strings.Builder
	for _, n := range []record.Notice{full, hostile, fleet} {
		text := slackText(t, n)
		fmt.Fprintf(&shown, "%s\n\n", text)
		if strings.ContainsAny(text, "<>\x1b\u202e") {
			t.Errorf("harmful: %q", text)
		}
	}
	golden(t, "slack.txt", shown.String())
	if n := len(slackText(t, long)); n > 3100 {
		t.Errorf("%d bytes", n)
	}
}

// slackText posts a notice and gives the text as Slack finds it.
func slackText(t *testing.T, n record.Notice) string {
	t.Helper()
	var m map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	if err := hook(t, server.URL, func(o *notify.WebhookOptions) { o.Format = notify.Slack }).Notify(t.Context(),
		n); err != nil {
		t.Fatal(err)
	}
	text, _ := m["text"].(string)
	if len(m) != 4 || m["mrkdwn"] != false || m["unfurl_links"] != false || text == "" {
		t.Errorf("%v", m)
	}
	return text
}

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/notify"
	"gke-credential-rotator/job/simtest/fleets"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state/emulator"
)

// inbox is a real receiver behind HTTP: it takes what is signed, unless it is down.
type inbox struct {
	*httptest.Server
	t     *testing.T
	key   string
	down  bool
	tries int
	had   []notify.Event
}

func newInbox(t *testing.T, key string) *inbox {
	b := &inbox{t: t, key: key}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

// ServeHTTP implements [http.Handler].
func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.tries++
	if b.down {
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Error(err)
	}
	mac := hmac.New(sha256.New, []byte(b.key))
	mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
	if r.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	var e notify.Event
	if err := json.Unmarshal(body, &e); err != nil || e.ID != r.Header.Get("webhook-id") {
		b.t.Errorf("%s: %v", body, err)
	}
	b.had = append(b.had, e)
}

// secretFile is a file that holds a secret, as Secret Manager mounts it.
func writeSecret(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// story is what was told of a cluster: kinds in order, and no id twice.
func story(t *testing.T, where string, events []notify.Event, ref fleet.Ref) []record.NoticeKind {
	t.Helper()
	var kinds []record.NoticeKind
	ids := map[string]bool{}
	for _, e := range events {
		if ids[e.ID] {
			t.Errorf("%s: %s %s came twice", where, e.Type, e.ID)
		}
		ids[e.ID] = true
		if e.Data.Cluster == ref {
			kinds = append(kinds, e.Data.Kind)
		}
	}
	return kinds
}

// oneRotation is what is told of a rotation that goes well and starts at once.
var oneRotation = []record.NoticeKind{record.NoticeHandedOver, record.NoticeNodesDone,
	record.NoticeCompletesSoon, record.NoticeCompleted}

// TestNotificationStory: two rotations by the job's own commands over a served
// GKE, told to a webhook, which is down for three runs, and to Pub/Sub's emulator.
// Each event comes once, in order, none is lost; every run ends well; and no
// secret is in anything that was printed or stored.
func TestNotificationStory(t *testing.T) {
	host := emulator.PubSub(t)
	names := []string{"catalog", "checkout"}
	var members []fleets.Member
	for _, name := range names {
		members = append(members, fleets.At("shop", "europe-west1", name, nil))
	}
	g := watchGKE(t, fleets.Monday, map[string][]*containerpb.Cluster{"shop": fleets.Of(members)})
	hook := newInbox(t, plantedWord+"-and-24-bytes-at-least")
	topic := newTopic(t, host)
	environ := g.environ(t, "ROTATOR_MODE=act", "ROTATOR_NODE_GRACE=0", "ROTATOR_SOAK=24h",
		"ROTATOR_COMPLETE_WINDOW=always", "ROTATOR_NOTIFY_AHEAD=12h",
		"ROTATOR_NOTIFY_WEBHOOK=file:"+writeSecret(t, hook.URL+"/services/"+plantedWord),
		"ROTATOR_NOTIFY_SECRET_FILE="+writeSecret(t, hook.key),
		"ROTATOR_NOTIFY_TOPIC="+topic.name, "PUBSUB_EMULATOR_HOST="+host)
	var said told
	waits := 0
	for hour := range 40 {
		now := fleets.Monday.Add(time.Duration(hour) * time.Hour)
		g.world.Advance(now)
		hook.down = hour >= 1 && hour <= 3
		var one told
		tries, had := hook.tries, len(hook.had)
		if code := one.command(t, environ, "run", "--at", now.Format(time.RFC3339)); code != 0 {
			t.Fatalf("hour %d: exit %d: %s", hour, code, one.String())
		}
		if strings.Contains(one.String(), " wait for the next run: webhook: it answered HTTP 503") {
			waits++
		}
		if hook.down && hook.tries != tries+1 {
			t.Errorf("hour %d: a dead receiver was tried %d times", hour, hook.tries-tries)
		}
		said.Write(one.Bytes())
		if tells := tellStory(now, hook, had, one.String()); tells != "" {
			t.Log(tells)
		}
	}
	if waits != 3 {
		t.Errorf("%d runs said that notifications wait, want 3:\n%s", waits, said.String())
	}
	events := topic.pull(2 * len(oneRotation))
	for _, m := range members {
		ref, err := fleet.ParseRef(m.String())
		if err != nil {
			t.Fatal(err)
		}
		for where, heard := range map[string][]notify.Event{"webhook": hook.had, "topic": events} {
			if got := story(t, where, heard, ref); !slices.Equal(got, oneRotation) {
				t.Errorf("%s: of %s came %v, want %v", where, ref, got, oneRotation)
			}
		}
	}
	for _, args := range append(slices.Clone(everything), []string{"validate"}) {
		before := hook.tries
		if said.command(t, environ, args...); hook.tries != before {
			t.Errorf("%v told the webhook something", args)
		}
	}
	checkNoSecret(t, "the output", said.String())
	contents, err := os.ReadFile(strings.TrimPrefix(environ[4], "ROTATOR_STATE=file:"))
	if err != nil {
		t.Fatal(err)
	}
	checkNoSecret(t, "the store", string(contents))
}

// tellStory is what one run brought, for those who read the test's log.
func tellStory(now time.Time, hook *inbox, had int, log string) string {
	var lines []string
	for _, line := range strings.Split(log, "\n") {
		if strings.Contains(line, "notifications wait") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	for _, e := range hook.had[had:] {
		lines = append(lines, fmt.Sprintf("webhook <- %s %s of %s (%s)", e.Data.Cluster.Name, e.Data.Kind,
			e.Time.Format("Mon 15:04"), e.ID[:8]))
	}
	if len(lines) == 0 {
		return ""
	}
	return now.Format("Mon 15:04") + "\n  " + strings.Join(lines, "\n  ")
}

// emulated is a topic of the emulator and its subscriber.
type emulated struct {
	t          *testing.T
	name, subs string
	client     *pubsub.SubscriptionAdminClient
}

func newTopic(t *testing.T, host string) *emulated {
	t.Helper()
	opts := []option.ClientOption{option.WithEndpoint(host), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials()))}
	project := "projects/t-" + randomID()[:12]
	e := &emulated{t: t, name: project + "/topics/rotations", subs: project + "/subscriptions/people"}
	topics, err := pubsub.NewTopicAdminClient(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = topics.Close() }()
	if e.client, err = pubsub.NewSubscriptionAdminClient(t.Context(), opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.client.Close() })
	if _, err := topics.CreateTopic(t.Context(), &pb.Topic{Name: e.name}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.client.CreateSubscription(t.Context(), &pb.Subscription{Name: e.subs, Topic: e.name,
		EnableMessageOrdering: true, AckDeadlineSeconds: 60}); err != nil {
		t.Fatal(err)
	}
	return e
}

// pull gives the next n events.
func (e *emulated) pull(n int) []notify.Event {
	e.t.Helper()
	var out []notify.Event
	for len(out) < n {
		res, err := e.client.Pull(e.t.Context(), &pb.PullRequest{Subscription: e.subs, MaxMessages: 100})
		if err != nil {
			e.t.Fatal(err)
		}
		for _, m := range res.GetReceivedMessages() {
			var event notify.Event
			if err := json.Unmarshal(m.GetMessage().GetData(), &event); err != nil {
				e.t.Fatal(err)
			}
			out = append(out, event)
			if err := e.client.Acknowledge(e.t.Context(), &pb.AcknowledgeRequest{Subscription: e.subs,
				AckIds: []string{m.GetAckId()}}); err != nil {
				e.t.Fatal(err)
			}
		}
	}
	return out
}

// TestReceiversThatCannotBeMade: a secret that is not there, or is none, fails no
// run; it is said without the secret, and all that waits is told once it is there.
func TestReceiversThatCannotBeMade(t *testing.T) {
	g := watchGKE(t, fleets.Monday,
		map[string][]*containerpb.Cluster{"shop": fleets.Of([]fleets.Member{fleets.At("shop", "europe-west1",
			"catalog", nil)})})
	hook := newInbox(t, plantedWord+"-and-24-bytes-at-least")
	environ := g.environ(t, "ROTATOR_MODE=act")
	hour := 0
	runWith := func(settings ...string) string {
		t.Helper()
		now := fleets.Monday.Add(time.Duration(hour) * time.Hour)
		hour++
		g.world.Advance(now)
		var said told
		if code := said.command(t, append(slices.Clone(environ), settings...), "run", "--at",
			now.Format(time.RFC3339)); code != 0 {
			t.Fatalf("%v: exit %d: %s", settings, code, said.String())
		}
		checkNoSecret(t, "the output", said.String())
		return said.String()
	}
	runWith("ROTATOR_NOTIFY_WEBHOOK=" + hook.URL)
	for says, settings := range map[string][]string{
		"the file of ROTATOR_NOTIFY_WEBHOOK cannot be opened": {"ROTATOR_NOTIFY_WEBHOOK=file:" +
			filepath.Join(t.TempDir(), "none")},
		"the file of ROTATOR_NOTIFY_SECRET_FILE is empty": {"ROTATOR_NOTIFY_WEBHOOK=" + hook.URL,
			"ROTATOR_NOTIFY_SECRET_FILE=" + writeSecret(t, " ")},
		"its URL: it is no URL": {"ROTATOR_NOTIFY_WEBHOOK=file:" +
			writeSecret(t, "file:///"+plantedWord)},
		"has 14 bytes, at least 24": {"ROTATOR_NOTIFY_WEBHOOK=" + hook.URL,
			"ROTATOR_NOTIFY_SECRET_FILE=" + writeSecret(t, plantedWord)},
		"HTTP 401": {"ROTATOR_NOTIFY_WEBHOOK=" + hook.URL,
			"ROTATOR_NOTIFY_SECRET_FILE=" + writeSecret(t, plantedWord+"-of-somebody-else-entirely")},
	} {
		if said := runWith(settings...); !strings.Contains(said, says) ||
			!strings.Contains(said, "notifications wait") {
			t.Errorf("%v: want %q in\n%s", settings, says, said)
		}
	}
	if len(hook.had) != 0 {
		t.Fatalf("heard %v", hook.had)
	}
	runWith("ROTATOR_NOTIFY_WEBHOOK="+hook.URL, "ROTATOR_NOTIFY_SECRET_FILE="+writeSecret(t, hook.key))
	ref := fleet.Ref{Project: "shop", Location: "europe-west1", Name: "catalog"}
	if got := story(t, "webhook", hook.had, ref); len(got) == 0 || got[0] != record.NoticeHandedOver {
		t.Errorf("heard %v", got)
	}
}

// TestSettingsHideTheWebhook: no command repeats a URL that may be a secret.
func TestSettingsHideTheWebhook(t *testing.T) {
	g := watchGKE(t, gkesim.SampleStart, nil)
	for value, code := range map[string]int{
		"https://hooks.example.com/services/" + plantedWord: 0,
		"http://hooks.example.com/services/" + plantedWord:  2, plantedWord: 2,
		"https://ann:" + plantedWord + "@hooks.example.com/x": 0, "https://hooks.example.com/%zz" + plantedWord: 2,
	} {
		var said told
		if got := said.command(t, g.environ(t, "ROTATOR_PROJECTS=shop", "ROTATOR_NOTIFY_WEBHOOK="+value),
			"validate"); got != code {
			t.Errorf("%.30s: exit %d, want %d: %s", value, got, code, said.String())
		}
		checkNoSecret(t, "validate with "+value[:12], said.String())
	}
}

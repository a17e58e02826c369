package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/notify"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// begin reads the settings, and the clock that --at asks for.
func (a *app) begin(at string, anyTime bool) (s config.Settings, now func() time.Time, err error) {
	if s, err = a.settings(); err == nil {
		now, err = clock(at, s, anyTime)
	}
	if err == nil {
		err = asFailure(s.At(now()))
	}
	return s, now, err
}

// connect builds the world of a run; done gives it back. lookOnly: nothing is changed and nobody told, so the
// store is opened to read, if there is one, and the client that changes clusters is never built.
func (a *app) connect(ctx context.Context, s config.Settings, now func() time.Time, lookOnly bool,
) (world pass.World, done func(), err error) {
	contents, err := a.openStore(ctx, s, lookOnly)
	if err != nil {
		return world, nil, err
	}
	cloud, err := gke.Dial(ctx, clientOptions(s.GKEEndpoint.V)...)
	if err != nil {
		closeStore(contents)
		return world, nil, err
	}
	// Read shows nothing but its reads: nobody can turn it into the means to change clusters.
	world = pass.World{
		Read: struct{ gke.Reader }{cloud}, Store: contents, Now: now, Mono: a.mono, NewID: randomID,
		Log: a.log,
		Date: func() time.Time {
			date := cloud.Date()
			if f, ok := contents.(*state.Firestore); ok && date.IsZero() {
				date = f.Committed()
			}
			return date
		},
	}
	disconnect := func() {
		_ = cloud.Close() // nothing is under way any more
		closeStore(contents)
	}
	if lookOnly {
		return world, disconnect, nil
	}
	if s.Mode.V == config.Act {
		world.Move = cloud // the only place where a run gets the means to change clusters
	}
	insights := a.insights(ctx, s)
	if insights != nil {
		world.Insights = insights
	}
	receivers, hangUp := a.receivers(ctx, s)
	world.Notify = receivers
	return world, func() {
		hangUp()
		if insights != nil {
			_ = insights.Close()
		}
		disconnect()
	}, nil
}

// insights connects to Recommender, if the settings ask for it; nil: not asked. That it cannot be reached
// stops no run. Beside a simulated GKE only a simulated Recommender knows anything.
func (a *app) insights(ctx context.Context, s config.Settings) *gke.Recommender {
	simulated := s.GKEEndpoint.V.Loopback() && !s.RecommenderEndpoint.V.Loopback()
	if s.Recommender.V == "off" || simulated {
		return nil
	}
	r, err := gke.DialRecommender(ctx, gke.InsightRetry(), clientOptions(s.RecommenderEndpoint.V)...)
	if err != nil {
		a.log.Warn("insights are not read this run", "error", err.Error())
		return nil
	}
	return r
}

// openStore opens the store that the settings name. A file that is not there yet is made by the first write;
// who only looks gets nil then. A Firestore database is made by people.
func (a *app) openStore(ctx context.Context, s config.Settings, lookOnly bool) (state.Store, error) {
	if at := s.State.V; at.File == "" {
		emulator := a.vars["FIRESTORE_EMULATOR_HOST"]
		f, err := state.OpenFirestore(ctx, at.Project, at.Database, firestoreOptions(emulator))
		if err != nil {
			return nil, err // and no store that is a nil of its own kind
		}
		return f, nil
	}
	if _, err := os.Stat(s.State.V.File); lookOnly && errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no store is an answer: plan says what is unknown then
	}
	return state.OpenFile(s.State.V.File, state.FileWait)
}

// reading is the store as it is now, with which most commands begin.
type reading struct {
	*app
	s        config.Settings
	now      time.Time
	store    state.Store // nil: there is none yet
	contents record.Contents
}

// recall opens the store as connect does, and reads what is in flight. The store is to be closed.
func (a *app) recall(ctx context.Context, s config.Settings, now time.Time, lookOnly bool) (*reading, error) {
	r := &reading{app: a, s: s, now: now}
	var err error
	if r.store, err = a.openStore(ctx, s, lookOnly); err != nil {
		return nil, err
	}
	if r.contents, err = pass.Recall(ctx, r.store, string(s.Env.V)); err != nil {
		closeStore(r.store)
		return nil, err
	}
	return r, nil
}

// history gives the earlier attempts at a cluster, the newest first.
func (r *reading) history(ctx context.Context, ref fleet.Ref) ([]record.Record, error) {
	if r.store == nil {
		return nil, nil
	}
	history, err := r.store.History(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", ref, err)
	}
	return history, nil
}

// unread says that what is told of a cluster is not from GKE.
func (r *reading) unread(ref fleet.Ref, err error) {
	r.complain(fmt.Sprintf("%s could not be read, so this is what the store holds: %v", ref, err))
}

func closeStore(contents state.Store) {
	if contents != nil {
		_ = contents.Close() // every write was committed when it was made
	}
}

// mono is a clock that nobody sets.
func (a *app) mono() time.Duration { return time.Since(a.begun) }

// execution is this process's name in the store, and its attempt: Cloud Run retries a task under one name.
func (a *app) execution() (name string, attempt int) {
	if name = a.vars["CLOUD_RUN_EXECUTION"]; name == "" {
		return "local-" + randomID()[:8], 0
	}
	attempt, _ = strconv.Atoi(a.vars["CLOUD_RUN_TASK_ATTEMPT"])
	return name, attempt
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails: it crashes the program instead
	return hex.EncodeToString(b[:])
}

// receivers are those whom the settings want told. One that cannot be made stops no run: what it should be
// told waits in the store, and the run says why.
func (a *app) receivers(ctx context.Context, s config.Settings) (out []pass.Receiver, done func()) {
	done = func() {}
	if s.NotifyWebhook.V.Asked() {
		hook, err := newWebhook(s)
		if err != nil {
			out = append(out, notify.Broken{Receiver: notify.WebhookName, Why: err})
		} else {
			out = append(out, hook)
		}
	}
	if s.NotifyTopic.V == "" {
		return out, done
	}
	env, name, emulator := string(s.Env.V), string(s.NotifyTopic.V), a.vars["PUBSUB_EMULATOR_HOST"]
	topic, err := notify.NewTopic(ctx, env, name, emulatorOptions(emulator)...)
	if err != nil {
		return append(out, notify.Broken{Receiver: notify.TopicName, Why: err}), done
	}
	return append(out, topic), func() { _ = topic.Close() } // every message was answered
}

func newWebhook(s config.Settings) (*notify.Webhook, error) {
	o := notify.WebhookOptions{
		URL: s.NotifyWebhook.V.URL, Format: s.NotifyFormat.V, Env: string(s.Env.V), Now: time.Now,
	}
	var err error
	if s.NotifyWebhook.V.File != "" {
		if o.URL, err = secretIn("NOTIFY_WEBHOOK", s.NotifyWebhook.V.File); err != nil {
			return nil, err
		}
	}
	if s.NotifySecretFile.V != "" {
		if o.Secret, err = secretIn("NOTIFY_SECRET_FILE", string(s.NotifySecretFile.V)); err != nil {
			return nil, err
		}
	}
	return notify.NewWebhook(o)
}

// mostSecret is the most that a file with a secret is read of.
const mostSecret = 16 << 10

// secretIn reads a secret from the file that a setting names; no error repeats anything of it.
func secretIn(setting, path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return "", fmt.Errorf("the file of %s%s cannot be opened: %w", config.Prefix, setting, err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, mostSecret))
	secret := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", fmt.Errorf("the file of %s%s cannot be read", config.Prefix, setting)
	case secret == "":
		return "", fmt.Errorf("the file of %s%s is empty", config.Prefix, setting)
	}
	return secret, nil
}

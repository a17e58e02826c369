package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// wiring is what a command may want of the world.
type wiring struct {
	now func() time.Time
	// lookOnly: nothing is changed, so the book is opened to read, if there
	// is one, and the client that changes clusters is never built.
	lookOnly bool
}

// begin reads the settings, and the clock that --at asks for.
func (a *app) begin(at string, anyTime bool) (s config.Settings, now func() time.Time, err error) {
	if s, err = a.settings(); err == nil {
		now, err = clock(at, s, anyTime)
	}
	return s, now, err
}

// connect builds the world of a run. done gives it back.
func (a *app) connect(ctx context.Context, s config.Settings, w wiring) (world pass.World, done func(), err error) {
	var book state.Store
	if w.lookOnly {
		book, err = a.openExistingBook(ctx, s)
	} else {
		book, err = a.openBook(ctx, s)
	}
	if err != nil {
		return world, nil, err
	}
	cloud, err := gke.Dial(ctx, clientOptions(s.GKEEndpoint.V)...)
	if err != nil {
		closeBook(book)
		return world, nil, err
	}
	// Read shows nothing but its reads: nobody can turn it into the means to
	// change clusters.
	world = pass.World{Read: struct{ gke.Reader }{cloud}, Store: book, Now: w.now, Mono: a.mono, NewID: randomID, Log: a.log}
	insights := a.insights(ctx, s, w)
	if insights != nil {
		world.Insights = insights
	}
	receivers, hangUp := a.receivers(ctx, s, w)
	world.Tell = receivers
	if s.Mode.V == config.Act && !w.lookOnly {
		world.Move = cloud // the only place where a run gets the means to change clusters
	}
	return world, func() {
		hangUp()
		_ = cloud.Close() // nothing is under way any more
		if insights != nil {
			_ = insights.Close()
		}
		closeBook(book)
	}, nil
}

// insights connects to Recommender, if the settings ask for it and this is no
// plan; nil: not asked. That it cannot be reached stops no run. Beside a
// simulated GKE only a simulated Recommender knows anything.
func (a *app) insights(ctx context.Context, s config.Settings, w wiring) *gke.Recommender {
	if w.lookOnly || s.Recommender.V == "off" || (s.GKEEndpoint.V.Loopback() && !s.RecommenderEndpoint.V.Loopback()) {
		return nil
	}
	r, err := gke.DialRecommender(ctx, gke.InsightRetry(), clientOptions(s.RecommenderEndpoint.V)...)
	if err != nil {
		a.log.Warn("insights are not read this run", "error", err.Error())
		return nil
	}
	return r
}

// openBook opens the book that the settings name. A file that is not there yet
// is made by the first write; a Firestore database is made by people.
func (a *app) openBook(ctx context.Context, s config.Settings) (state.Store, error) {
	if s.State.V.File == "" {
		return a.openFirestore(ctx, s)
	}
	return state.OpenFile(s.State.V.File, state.FileWait)
}

// openExistingBook opens the book to read; nil when there is no file yet.
func (a *app) openExistingBook(ctx context.Context, s config.Settings) (state.Store, error) {
	if s.State.V.File == "" {
		return a.openFirestore(ctx, s) // whose reads make nothing
	}
	if _, err := os.Stat(s.State.V.File); errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no book is an answer: plan says what is unknown then
	}
	return state.OpenFile(s.State.V.File, state.FileWait)
}

// recall opens the book to read, if there is one, and reads what is in flight.
func (a *app) recall(ctx context.Context, s config.Settings) (store state.Store, book policy.Book, err error) {
	if store, err = a.openExistingBook(ctx, s); err != nil {
		return nil, book, err
	}
	if book, err = pass.Recall(ctx, store, string(s.Env.V)); err != nil {
		closeBook(store)
	}
	return store, book, err
}

func (a *app) openFirestore(ctx context.Context, s config.Settings) (state.Store, error) {
	host := a.vars["FIRESTORE_EMULATOR_HOST"]
	f, err := state.OpenFirestore(ctx, s.State.V.Project, s.State.V.Database, state.FirestoreOptions{Emulator: host, Client: emulatorOptions(host)})
	if err != nil {
		return nil, err // and no store that is a nil of its own kind
	}
	return f, nil
}

func closeBook(book state.Store) {
	if book != nil {
		_ = book.Close() // every write was committed when it was made
	}
}

// mono is a clock that nobody sets.
func (a *app) mono() time.Duration { return time.Since(a.begun) }

// execution is this process's name in the book, and which attempt of it this
// is: Cloud Run retries a task under the same name.
func (a *app) execution() (name string, attempt int) {
	if name = a.vars["CLOUD_RUN_EXECUTION"]; name == "" {
		return "local-" + randomID()[:8], 0
	}
	attempt, _ = strconv.Atoi(a.vars["CLOUD_RUN_TASK_ATTEMPT"])
	return name, attempt
}

// randomID is 128 random bits.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails: it crashes the program instead
	return hex.EncodeToString(b[:])
}

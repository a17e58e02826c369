package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
)

// enough is the least that a deployment must say.
var enough = []string{"ROTATOR_ENV=test", "ROTATOR_PROJECTS=shop-prod, shop-dev"}

func TestPicturesFitTheEnvironment(t *testing.T) {
	var out bytes.Buffer
	o := newApp([]string{"COLUMNS=66", "TZ=Europe/Paris"}, &out, &out).options(config.Act)
	if o.Width != 66 || o.Zone == nil || o.Zone.String() != "Europe/Paris" || o.Color || o.Live ||
		o.Mode != config.Act {
		t.Errorf("options %+v", o)
	}
	o = newApp([]string{"COLUMNS=wide", "TZ=Nowhere/Land"}, &out, &out).options(config.Observe)
	if o.Width != 0 || o.Zone != nil {
		t.Errorf("nonsense is left out: %+v", o)
	}
}

// TestExitStatus: what kind of error gives which status.
func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("the store is out of reach"), 1},
		{wrong("--at %v", errors.New("tomorrow")), 2},
		{fmt.Errorf("run: %w", &pass.EnvError{Contents: "a", Settings: "b"}), 2},
		{asFailure([]config.Problem{{Setting: "ROTATOR_SOAK", What: "x"}}), 2},
	} {
		var out, errs bytes.Buffer
		err := does(func(*cobra.Command, []string) error { return c.err })(nil, nil)
		if got := newApp(nil, &out, &errs).exit(err); got != c.want {
			t.Errorf("%v gives %d, want %d", c.err, got, c.want)
		}
		if lines := bytes.Count(errs.Bytes(), []byte("\n")); (c.err != nil) != (lines == 1) || out.Len() > 0 {
			t.Errorf("%v says %q and %q", c.err, out.String(), errs.String())
		}
	}
}

func TestClock(t *testing.T) {
	s, _ := settingsOf(enough)
	if _, err := clock("2026-11-23T00:00:00Z", s, false); err == nil {
		t.Error("another time against Google must be refused")
	}
	now, err := clock("2026-11-23T01:00:00+01:00", s, true)
	if err != nil || !now().Equal(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)) ||
		now().Location() != time.UTC {
		t.Errorf("clock: %v", err)
	}
	local, _ := settingsOf(append([]string{"ROTATOR_GKE_ENDPOINT=[::1]:80"}, enough...))
	if _, err := clock("2026-11-23", local, false); err != nil {
		t.Error(err)
	}
}

func TestParseUntil(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                          {},
		"3d":                        now.Add(3 * day),
		"90m":                       now.Add(90 * time.Minute),
		"2026-12-24":                time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC),
		"2026-12-24T09:00:00+01:00": time.Date(2026, 12, 24, 8, 0, 0, 0, time.UTC),
	} {
		if got, err := parseWhen(text, now, 1, "3d"); err != nil || !got.Equal(want) {
			t.Errorf("%q gives %v, %v; want %v", text, got, err, want)
		}
	}
	if _, err := parseWhen("friday", now, 1, "3d"); err == nil {
		t.Error("friday is no time")
	}
}

// TestNewcomer: who has set nothing is told what works without settings.
func TestNewcomer(t *testing.T) {
	for environ, lines := range map[string]int{"HOME=/root": 3, "ROTATOR_ENV=prod": 1} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), nil, []string{environ}, &out, &errs); code != 2 {
			t.Errorf("%s: exit status %d", environ, code)
		}
		if got := bytes.Count(errs.Bytes(), []byte("\n")); got != lines ||
			bytes.Contains(errs.Bytes(), []byte("rotator simulate")) != (lines == 3) {
			t.Errorf("%s: %q", environ, errs.String())
		}
	}
}

func settingsOf(environ []string) (config.Settings, []config.Problem) {
	return readSettings(config.Variables(environ))
}

package fleet_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
)

// TestSelectors: as Kubernetes reads them. env=prod and tier=web are the
// cluster's labels; its label "empty" has no value.
func TestSelectors(t *testing.T) {
	labels := map[string]string{"env": "prod", "tier": "web", "empty": "", "team_x": "äöü",
		"example.com/app": "a.b"}
	for text, want := range map[string]bool{
		"": true, "all": true, " all ": true,
		"env=prod": true, "env==prod": true, "env = prod": true, " env=prod ": true, "env=dev": false,
		"env!=prod": false, "env!=dev": true, "env != dev": true,
		"none!=x": true, "none=x": false, "none=": false, "none!=": true,
		"env": true, "none": false, "!none": true, "! none": true, "!env": false,
		"env in (prod)": true, "env in (dev,prod)": true, "env in ( dev , prod )": true, "env in(prod)": true,
		"env in (dev)":    false,
		"env notin (dev)": true, "env notin (prod)": false, "none notin (x)": true, "none in (x)": false,
		"empty=": true, "empty!=": false, "empty": true, "env=": false, "empty in (,x)": true,
		"empty in (x,)": true, "env in (x,)": false,
		"env=prod,tier=web": true, "env=prod,tier=db": false, "env in (dev,prod),!none,tier": true,
		"env = prod , tier != db": true,
		"team_x=äöü":              true, "example.com/app=a.b": true, "env=prod,env=dev": false,
		"in": false, "notin=x": false,
	} {
		s, err := fleet.ParseSelector(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.Matches(labels); got != want {
			t.Errorf("%q matches: %v, want %v", text, got, want)
		}
		again, err := fleet.ParseSelector(s.String())
		if err != nil || again.Matches(labels) != want {
			t.Errorf("%q written as %q reads otherwise: %v", text, s, err)
		}
	}
}

// TestSelectorsWrong: each in one sentence that names the part and shows a
// right one. A selector that can never match is a slip, not a selection.
func TestSelectorsWrong(t *testing.T) {
	for text, want := range map[string]string{
		",": "key is missing", "env=prod,": "key is missing", ",env=prod": "key is missing",
		"env=prod,,tier=web": "key is missing",
		"=":                  "key is missing", "=prod": "key is missing", "!": "key is missing", "!=prod": "",
		"==":         "key is missing",
		"env===prod": `"=prod" is no label value`, "env=!prod": "", "env=prod=dev": "", "env!==prod": "",
		"!env=prod": "", "!!env": "", "env!": "",
		"env in": "parentheses", "env in prod": "parentheses", "env in ()": "names no value",
		"env notin ( )": "names no value",
		"env in (prod":  "parentheses", "env in prod)": "parentheses", "env in ((prod))": "parentheses",
		"env in (a)(b)": "parentheses", "env in (a b)": `"a b" is no label value`,
		"env=(prod)": "", "(env=prod)": "", "env in (prod) tier=web": "", "env=prod tier=web": "", "env prod": "",
		"env IN (prod)": "",
		"env='prod'":    "", `env="prod"`: "", "env:prod": "", "env=prod;tier=web": "", "env=prod&tier=web": "",
		"env>1": "", "env=pr*d": "", "env=prod\x00": "", "env=\xff": "",
		"in (a)": "", "env=prod || tier=web": "", "Alle = 1 ": "-",
	} {
		_, err := fleet.ParseSelector(text)
		t.Logf("selector %-28q %v", text, err)
		if want == "-" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "write e.g.") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want one line with %q and an example", text, err, want)
		}
	}
}

func TestWaves(t *testing.T) {
	for text, want := range map[string]string{
		"": "one", "one": "one", "none": "one", "env=dev": "env=dev",
		"env=dev > env=staging>env in (a,b)": "env=dev > env=staging > env in (a,b)",
	} {
		var w fleet.Waves
		if err := w.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, err := w.MarshalText(); err != nil || string(got) != want {
			t.Errorf("%q is written as %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		">": "a wave is empty", "env=dev >": "a wave is empty", "> env=dev": "a wave is empty",
		"env=dev >> env=prod": "a wave is empty",
		"env=dev > all":       "names all", "env=dev > env=dev": "twice", "rest > env=dev": "last wave",
		"env=dev > (": "selector", "env=dev; env=prod": "selector",
	} {
		w := fleet.Waves{{Name: "before"}}
		err := w.UnmarshalText([]byte(text))
		t.Logf("waves %-28q %v", text, err)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
		if len(w) > 0 && w[0].Name != "before" {
			t.Errorf("%q: half of it was taken: %v", text, w)
		}
	}
}

func TestDurations(t *testing.T) {
	const d = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"": 0, "off": 0, "none": 0, "0": 0, "0d": 0, "0s": 0, "180d": 180 * d, "2w": 14 * d, "1w2d": 9 * d,
		"1d12h": 36 * time.Hour, "\t72h\n": 72 * time.Hour,
		"90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "36500d": 36500 * d,
		"1d1d": 2 * d,
	} {
		got, err := fleet.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, error %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"d": "write e.g.", "10": "write e.g.", "ten days": "write e.g.", "3 d": "write e.g.", "3D": "write e.g.",
		"1.5d": "write e.g.", "-3d": "write e.g.", "-1h": "write e.g.", "1d-2h": "write e.g.",
		"1h1d": "write e.g.", "1y": "write e.g.", "1mo": "write e.g.", "∞": "write e.g.", "1d\x00": "write e.g.",
		"P1D": "write e.g.", "never": "write e.g.",
		"36501d": "hundred years", "36500w": "hundred years", "36500d1h": "hundred years",
		"20000d20000d": "hundred years", "99999999999999999999d": "hundred years", "2562047h": "hundred years",
		"9999999999h": "write e.g.",
	} {
		got, err := fleet.ParseDuration(text)
		t.Logf("duration %-24q %v", text, err)
		if err == nil || got != 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, error %v, want %q", text, got, err, want)
		}
	}
	for in, want := range map[time.Duration]string{
		0: "0", 45 * time.Minute: "45m", 76 * time.Hour: "3d4h", 61 * time.Second: "1m1s",
		1500 * time.Millisecond: "1s500ms", -3 * time.Hour: "-3h",
	} {
		if got := fleet.Days(in); got != want {
			t.Errorf("%v is written as %q, want %q", in, got, want)
		}
	}
	for _, in := range []time.Duration{math.MinInt64, math.MaxInt64, 1, -1} {
		if fleet.Days(in) == "" {
			t.Errorf("%d is written as nothing", in)
		}
	}
}

func TestRefs(t *testing.T) {
	for text, want := range map[string]fleet.Ref{
		"p/l/c":                             {Project: "p", Location: "l", Name: "c"},
		"projects/p/locations/l/clusters/c": {Project: "p", Location: "l", Name: "c"},
		"projects/p/zones/us-b/clusters/c":  {Project: "p", Location: "us-b", Name: "c"},
		"example.com:p/l/c":                 {Project: "example.com:p", Location: "l", Name: "c"},
		"p/l/c~2":                           {Project: "p", Location: "l", Name: "c~2"},
		"${projectId}/l/c-${uniqueId}":      {Project: "${projectId}", Location: "l", Name: "c-${uniqueId}"},
		"PROJECT_ID/l/CLUSTER_NAME":         {Project: "PROJECT_ID", Location: "l", Name: "CLUSTER_NAME"},
	} {
		got, err := fleet.ParseRef(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, error %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "c", "l/c", "p/l/c/", "/p/l/c", "p//c", "p/l/", "p/l/c/d", "//", "p/-/c",
		"projects/p/locations/l/clusters/", "projects/p/regions/l/clusters/c",
		"projects/p/locations/l/clusters/c/nodePools/n", "https://x/projects/p/locations/l/clusters/c",
		"p/./c", "p/../c", "../../etc", "p/l/..", "__p__/l/c", "__p/l/c__", "p/l/__c__", "p~x/l/c", "p/l~x/c",
		"p/l/c\n", "p/l/\x00", "p/l/\xff", "p/l/" + strings.Repeat("c", 201),
	} {
		got, err := fleet.ParseRef(text)
		t.Logf("cluster %-30.40q %v", text, err)
		if err == nil || !got.IsZero() || !strings.Contains(err.Error(), "does not name a cluster") {
			t.Errorf("%q: %v, error %v; want it refused", text, got, err)
		}
	}
	var r fleet.Ref
	if text, err := r.MarshalText(); err != nil || len(text) != 0 || r.UnmarshalText(text) != nil ||
		!r.IsZero() {
		t.Errorf("nothing is written as %q", text)
	}
}

package gkesim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/encoding/protojson"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/policy/fleet"
)

// FuzzFleet: whatever a fleet's file holds, each cluster of it is in the fleet
// or named in a problem of one line; those in it have names that differ, are
// taken by the world, and read as the same fleet when they are written again.
func FuzzFleet(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"", "[]", "{}", "null", "[null]", `{"clusters":[]}`,
		`{"clusters":[{"name":"a","location":"l"},{"name":"a","location":"l"},{"name":"a~2","location":"l"}]}`,
		`{"name":"../a","location":"l"}`, `{"name":"a\nb","location":"l"}`,
		`{"name":"a__","location":"l","selfLink":"projects/__x/zones/y"}`,
		`{"name":"a","location":"__l__","selfLink":"projects/x/zones/y"}`,
		`{"name":"a","selfLink":"https://h/v1/projects/p/zones/z/clusters/a"}`,
		"\xff\xfe[", "\xef\xbb\xbf[{\"name\":\"a\",\"zone\":\"z\"}]",
		`[{"name":"a","location":"l","masterAuth":{"clientKey":7}}]`, `{"name":"` + strings.Repeat("a", 300) +
			`","location":"l"}`} {
		c.Add([]byte(s), "some-project")
	}
	c.Add([]byte(`{"name":"a","location":"l"}`), "")
	c.Recorded("clusters", func(_ string, text []byte) { c.AddRecorded(text, "some-project") })
	c.AtLeast(16, 90)
	f.Fuzz(func(t *testing.T, text []byte, project string) {
		defer corpus.Watch(text)()
		if len(text) > 64<<10 {
			t.Skip("long files take long, and teach nothing")
		}
		loaded := loadText(t, text, project)
		w := gkesim.New(gkesim.Options{Now: gkesim.SampleStart})
		if err := w.AddFleet(loaded); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		var list []json.RawMessage
		var names []string
		for _, l := range loaded {
			l.Cluster.SelfLink = "https://container.googleapis.com/v1/projects/" + l.Project + "/locations/" +
				l.Cluster.GetLocation() + "/clusters/" + l.Cluster.GetName()
			one, err := protojson.Marshal(l.Cluster)
			if err != nil {
				t.Fatal(err)
			}
			list, names = append(list, one), append(names, l.Cluster.GetSelfLink())
		}
		if len(list) == 0 {
			return
		}
		again, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range loadText(t, again, "another") {
			if got := "https://container.googleapis.com/v1/projects/" + l.Project + "/locations/" +
				l.Cluster.GetLocation() + "/clusters/" + l.Cluster.GetName(); got != names[i] {
				t.Errorf("%s: %s reads again as %s", text, names[i], got)
			}
		}
	})
}

// loadText loads a fleet from text and checks what is promised of any.
func loadText(t *testing.T, text []byte, project string) []gkesim.Loaded {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fleet.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, problems, err := gkesim.LoadFleet(file, project)
	if (err != nil) != (len(loaded) == 0) || (err != nil && len(problems) == 0) {
		t.Errorf("%s: %d clusters, %d problems, error %v", text, len(loaded), len(problems), err)
	}
	for _, p := range problems {
		if p.File != file || p.What == "" || strings.ContainsAny(p.String(), "\n\r\x00\x1b") ||
			len(p.String()) > 2000+len(file) {
			t.Errorf("%s: the problem is not one short line: %q", text, p)
		}
	}
	seen := map[string]bool{}
	for _, l := range loaded {
		name := l.Project + "/" + l.Cluster.GetLocation() + "/" + l.Cluster.GetName()
		if strings.Count(name, "/") != 2 || seen[name] || strings.ContainsAny(name, "\n\x00\x1b") {
			t.Errorf("%s: the name %q", text, name)
		}
		if ref, err := fleet.ParseRef(name); err != nil || ref.Name != l.Cluster.GetName() {
			t.Errorf("%s: the name %q is none for the rules: %v", text, name, err)
		}
		seen[name] = true
	}
	return loaded
}

// requests are what a script of lines METHOD PATH BODY asks, at most eight.
func requests(t *testing.T, script, below string, keep bool) []*http.Request {
	t.Helper()
	var out []*http.Request
	for _, line := range strings.SplitN(script, "\n", 9)[:min(8, strings.Count(script, "\n")+1)] {
		parts := strings.SplitN(line, " ", 3)
		if len(parts) < 2 || strings.HasPrefix(parts[1], below) != keep {
			continue
		}
		req, err := http.NewRequestWithContext(t.Context(), parts[0], "http://sim"+parts[1],
			strings.NewReader(strings.Join(parts[2:], "")))
		if err == nil {
			out = append(out, req)
		}
	}
	return out
}

// small is a served world of one cluster, whose clock stands still.
func small(t *testing.T) (*gkesim.Served, *gkesim.World) {
	t.Helper()
	w := gkesim.New(gkesim.Options{Seed: 1, Now: gkesim.SampleStart})
	pb := &containerpb.Cluster{Name: "c", Location: "europe-west1",
		NodePools: []*containerpb.NodePool{{Name: "web", InitialNodeCount: 3,
			Version: "1.33.5-gke.1080000"}},
		CurrentMasterVersion: "1.33.5-gke.1080000"}
	if err := w.Add("p-1", pb); err != nil {
		t.Fatal(err)
	}
	s, err := w.Serve(gkesim.NewClock(gkesim.SampleStart, 0, func() time.Time { return time.Time{} }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, w
}

func ask(s http.Handler, req *http.Request) (int, string) {
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, req)
	return rec.Code, rec.Body.String()
}

func askFor(s http.Handler, path string) string {
	req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://sim"+path, http.NoBody)
	_, text := ask(s, req)
	return text
}

// FuzzSim: whatever is sent to /sim/clock and /sim/faults is carried out or
// refused with 400 and an example, and then changes nothing; time never goes
// back and no jump in time takes long.
func FuzzSim(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{`{"advance":"6h"}`, `{"now":"2026-11-28T02:00:00Z"}`,
		`{"now":"9999-12-31T23:59:59Z"}`, `{"advance":"2562047h"}`, `{"advance":"-1h"}`, `{}`, `[]`, ``,
		`{"advance":"1h","now":"2027-01-01T00:00:00Z"}`, `{"now":"0000-01-01T00:00:00+23:59"}`} {
		c.Add("POST /sim/clock " + s + "\nPOST /sim/clock " + s)
	}
	for _, s := range []string{`{"words":["flaky","outside"],"rate":0.5,"outsideEvery":"1m"}`,
		`{"words":["crash"]}`, `{"rate":2}`, `{"rate":-0.0}`, `{"outsideEvery":"1ns"}`,
		`{"outsideEvery":"2562047h47m16.854775807s","words":["outside"]}`,
		`{"missingZones":{"p-1":["europe-west1"]}}`,
		`{"denied":{"p-1":"permission"}}`, `{"denied":{"p-1":"no"}}`,
		`{"fail":[{"cluster":"projects/p-1/locations/europe-west1/clusters/c","kind":"UPGRADE_NODES","message":"stockout","times":1}]}`, `{"fail":[{"cluster":"x","kind":"","message":"","times":-1}]}`} {
		c.Add("POST /sim/faults " + s +
			"\nPOST /v1/projects/p-1/locations/europe-west1/clusters/c:startIpRotation {}\nPOST /sim/clock {\"advance\":\"9000h\"}\nGET /sim/journal")
	}
	c.Add("GET /sim/\nGET /sim/../v1\nPUT /sim/clock {}\nGET /sim/downtimes\nDELETE /sim/faults")
	c.AtLeast(20, 0)
	f.Fuzz(func(t *testing.T, script string) {
		defer corpus.Watch(script)()
		s, w := small(t)
		now := w.Now()
		for _, req := range requests(t, script, "/sim/", true) {
			path := req.URL.Path
			faults := askFor(s, "/sim/faults")
			code, text := ask(s, req)
			if w.Now().Before(now) {
				t.Errorf("%s: time went from %s back to %s", script, now, w.Now())
			}
			known := slices.Contains([]string{"/sim/clock", "/sim/faults", "/sim/journal", "/sim/downtimes"}, path)
			switch {
			case code == http.StatusOK && known && (req.Method == http.MethodHead || json.Valid([]byte(text))):
			case code == http.StatusBadRequest && json.Valid([]byte(text)) && strings.Contains(text, "send "):
				if !w.Now().Equal(now) || askFor(s, "/sim/faults") != faults {
					t.Errorf("%s: refused, and yet something changed: %s", script, text)
				}
			case code >= 300 && code < 500 && (!known || code == http.StatusMethodNotAllowed):
			default:
				t.Errorf("%s: %s %s: %d %s", script, req.Method, path, code, text)
			}
			now = w.Now()
			var clock struct{ Now time.Time }
			if err := json.Unmarshal([]byte(askFor(s, "/sim/clock")), &clock); err != nil ||
				!clock.Now.Equal(now.Truncate(time.Second)) {
				t.Errorf("%s: the clock says %v (%v), the world %s", script, clock, err, now)
			}
		}
	})
}

// FuzzREST: every request gets an answer in Google's shape, whose status is the
// body's, never an internal error; what only reads answers twice the same.
func FuzzREST(f *testing.F) {
	c := corpus.Of(f)
	const cluster = "/v1/projects/p-1/locations/europe-west1/clusters/c"
	for _, s := range []string{"GET /v1/projects/p-1/locations/-/clusters", "GET " + cluster,
		"GET " + cluster + "?fields=name&$alt=json", "GET " + cluster + "?name=x&a.b.c=1",
		"POST " + cluster + `:startIpRotation {"rotateCredentials":true}`,
		"POST " + cluster + ":completeIpRotation {}",
		"PUT " + cluster + `/nodePools/web {"nodeVersion":"1.33.5-gke.1080000","imageType":"cos","etag":"x"}`,
		"PUT " + cluster + ` {"update":{"desiredMasterVersion":"-"}}`, "DELETE " + cluster,
		"POST " + cluster + ":setLabels {\"resourceLabels\":{\"a\":\"b\"}}",
		"GET /v1/projects/p-1/zones/europe-west1/operations",
		"POST /v1/projects/p-1/zones/europe-west1/clusters/c:startIpRotation",
		"GET /v1/projects/p-1/locations/europe-west1/serverConfig",
		"GET /v1/projects/p-1/locations/europe-west1/insightTypes/google.container.DiagnosisInsight/insights?filter=state%3DACTIVE&pageSize=-1&pageToken=x",
		"GET /v1/%2e%2e/x", "POST " + cluster + ":startIpRotation [" + strings.Repeat("[", 1000), "PATCH /",
		"GET /v1/projects/p-1/locations/europe-west1/operations/x"} {
		c.Add(s + "\n" + s)
	}
	c.Recorded("operations", func(_ string, text []byte) {
		c.AddRecorded("PUT " + cluster + " " + strings.ReplaceAll(string(text), "\n", ""))
	})
	c.AtLeast(18, 15)
	f.Fuzz(func(t *testing.T, script string) {
		defer corpus.Watch(script)()
		s, w := small(t)
		for _, req := range requests(t, script, "/sim/", false) {
			req.Header.Set("Content-Type", "application/json")
			before := len(w.Journal())
			code, text := ask(s, req)
			if !json.Valid([]byte(text)) || code == http.StatusInternalServerError {
				t.Errorf("%s: %s %s: %d %s", script, req.Method, req.URL.Path, code, text)
			}
			if code == http.StatusOK {
				if again := askFor(s, req.URL.RequestURI()); req.Method == http.MethodGet && again != text {
					t.Errorf("%s: read twice: %s\n%s", script, text, again)
				}
				continue
			}
			var refused struct {
				Error struct {
					Code            int
					Message, Status string
				}
			}
			if err := json.Unmarshal([]byte(text), &refused); err != nil || refused.Error.Code != code ||
				refused.Error.Status == "" {
				t.Errorf("%s: %s %s: %d %s", script, req.Method, req.URL.Path, code, text)
			}
			if n := len(w.Journal()); req.Method == http.MethodGet && n != before {
				t.Errorf("%s: a read is in the journal: %s", script, fmt.Sprint(w.Journal()))
			}
		}
	})
}

package gkesim_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy/fleet"
)

// fixtures is the folder of recordings beside the project; tests of recorded
// data are skipped where it is absent.
func fixtures(t *testing.T, name string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(root); ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "shared", "fixtures", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if dir == filepath.Dir(dir) {
			t.Skip("no recorded data: ../shared/fixtures/" + name + " is absent")
		}
	}
}

// recorded lists the recordings that do not decode, and what their message
// must name.
var recorded = map[string]string{
	"odd/cai-enforce-labels.json":             `autoUpgrade: "true"`,
	"odd/cai-gke-cluster-location.json":       `autoUpgrade: "true"`,
	"odd/cai-gke-dashboard.json":              `autoUpgrade: "true"`,
	"odd/tfgke-workloadmetadataconfig-1.json": "gcpPublicCidrsAccessEnabled",
	"odd/tfgke-workloadmetadataconfig-2.json": "gcpPublicCidrsAccessEnabled",
}

func TestLoadRecordedFleet(t *testing.T) {
	dir := fixtures(t, "clusters")
	loaded, problems, err := gkesim.LoadFleet(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
		if filepath.Ext(path) == ".json" {
			files++
		}
		return nil
	})
	if files < 90 || len(loaded) != files-len(recorded) {
		t.Errorf("%d clusters are loaded of %d files, want all but %d", len(loaded), files, len(recorded))
	}
	left, moved, renamed := map[string]bool{}, 0, 0
	for _, p := range problems {
		name, _ := filepath.Rel(dir, p.File)
		t.Log(p)
		switch {
		case p.LeftOut:
			left[filepath.ToSlash(name)] = true
			if want := recorded[filepath.ToSlash(name)]; want == "" || !strings.Contains(p.What, want) || p.Do == "" {
				t.Errorf("%s: want a message that names %q and a way out", p, want)
			}
		case strings.Contains(p.What, gkesim.UnnamedProject):
			moved++
		default:
			renamed++
		}
	}
	if len(left) != len(recorded) || len(left) != 5 {
		t.Errorf("left out: %v, want %v", left, recorded)
	}
	if moved != 1 {
		t.Errorf("%d clusters without a project, want 1 (libcloud-cluster-1-3)", moved)
	}
	names := map[fleet.Ref]bool{}
	for _, l := range loaded {
		ref, err := fleet.ParseRef(l.Project + "/" + l.Cluster.GetLocation() + "/" + l.Cluster.GetName())
		if err != nil {
			t.Errorf("%s: %v", l.File, err)
		}
		if names[ref] {
			t.Errorf("%s: a second %s", l.File, ref)
		}
		names[ref] = true
		if strings.Contains(ref.Name, "~") {
			renamed--
		}
	}
	if renamed != 0 {
		t.Errorf("%d renamed clusters are not told of", -renamed)
	}
	w := gkesim.New(gkesim.Options{Now: gkesim.SampleStart})
	if err := w.AddFleet(loaded); err != nil {
		t.Fatal(err)
	}
}

// TestLoadWithProject: --project is for those whose link names none.
func TestLoadWithProject(t *testing.T) {
	loaded, problems, err := gkesim.LoadFleet(filepath.Join(fixtures(t, "clusters"),
		"libcloud-cluster-1-3.json"), "mist")
	if err != nil || len(problems) > 0 || len(loaded) != 1 || loaded[0].Project != "mist" ||
		loaded[0].Cluster.GetLocation() != "us-central1-a" {
		t.Errorf("got %v, problems %v, error %v; want one cluster in project mist, zone us-central1-a", loaded,
			problems, err)
	}
}

// TestLoadShapes: what a file may hold, and what is said of what it may not.
func TestLoadShapes(t *testing.T) {
	const link = `"selfLink":"https://container.googleapis.com/v1/projects/p/zones/us-east1-b/clusters/c"`
	for _, tt := range []struct {
		name, text string
		want       []string // project/location/name
		problem    string   // in the first problem
	}{
		{"a list", `[{"name":"a","location":"l",` + link + `},{"name":"b","location":"l"}]`,
			[]string{"p/l/a", "given/l/b"}, ""},
		{"the API's reply", `{"clusters":[{"name":"a","location":"l"}],"missingZones":["z"]}`,
			[]string{"given/l/a"}, ""},
		{"one cluster", `{"name":"a","location":"l"}`, []string{"given/l/a"}, ""},
		{"with a byte order mark", "\xef\xbb\xbf" + `{"name":"a","location":"l"}`, []string{"given/l/a"}, ""},
		{"zone only", `{"name":"a","zone":"us-east1-b"}`, []string{"given/us-east1-b/a"}, ""},
		{"place from the link", `{"name":"a",` + link + `}`, []string{"p/us-east1-b/a"}, ""},
		{"project by number", `{"name":"a","location":"l","selfLink":"https://container.googleapis.com/v1/projects/123456/locations/l/clusters/a"}`, []string{"123456/l/a"}, ""},
		{"original field names",
			`{"name":"a","self_link":"https://x/projects/p/locations/l/clusters/a","location":"l"}`, []string{"p/l/a"},
			""},
		{"unknown fields", `{"name":"a","location":"l","fromTheFuture":{"x":[1]}}`, []string{"given/l/a"}, ""},
		{"unknown status", `{"name":"a","location":"l","status":"MELTING"}`, []string{"given/l/a"}, ""},
		{"odd names", `{"name":"${uniqueId} CLUSTER_NAME","location":"l"}`,
			[]string{"given/l/${uniqueId} CLUSTER_NAME"}, ""},
		{"three times", `[{"name":"a","location":"l"},{"name":"a","location":"l"},{"name":"a","location":"l"}]`,
			[]string{"given/l/a", "given/l/a~2", "given/l/a~3"},
			"cluster 2 of 3 (\"a\"): given/l/a is there already, so this one plays as given/l/a~2"},
		{"the new name is taken",
			`[{"name":"a~2","location":"l"},{"name":"a","location":"l"},{"name":"a","location":"l"}]`,
			[]string{"given/l/a~2", "given/l/a", "given/l/a~3"}, "plays as given/l/a~3"},
		{"one of two is wrong", `[{"name":"a","location":7},{"name":"b","location":"l"}]`, []string{"given/l/b"},
			`cluster 1 of 2 ("a"): is no cluster of the GKE API`},
		{"no name", `{"location":"l"}`, nil, `"name" is missing`},
		{"no place", `{"name":"a"}`, nil, "says in no field where it is"},
		{"a slash", `{"name":"a/b","location":"l"}`, nil, `"a/b" would break a path`},
		{"dots", `{"name":"..","location":"l"}`, nil, `".." would break a path`},
		{"reserved", `{"name":"__a__","location":"l"}`, nil, "would break"},
		{"a control character", `{"name":"a\u0000","location":"l"}`, nil, "would break"},
		{"endless", `{"name":"` + strings.Repeat("a", 300) + `","location":"l"}`, nil, "would break"},
		{"empty", ``, nil, "is empty"},
		{"white", " \n", nil, "is empty"},
		{"empty list", `[]`, nil, "lists no cluster"},
		{"null", `null`, nil, "is no cluster"},
		{"a number", `7`, nil, "is no cluster"},
		{"list of numbers", `[7]`, nil, "is no cluster"},
		{"cut short", "{\"name\":\"a\",\n\"loc", nil, "is not JSON: line 2"},
		{"YAML", "name: a\nlocation: l\n", nil, "is not JSON: line 1"},
		{"UTF-16", "\xff\xfe{\x00", nil, "is UTF-16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.json")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, problems, err := gkesim.LoadFleet(path, "given")
			if (err == nil) != (tt.want != nil) {
				t.Errorf("error %v with %d clusters wanted", err, len(tt.want))
			}
			var got []string
			for _, l := range loaded {
				got = append(got, l.Project+"/"+l.Cluster.GetLocation()+"/"+l.Cluster.GetName())
			}
			if !slices.Equal(tt.want, got) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			first := ""
			if len(problems) > 0 {
				first = problems[0].String()
			}
			if !strings.Contains(first, tt.problem) || (tt.problem == "") != (first == "") {
				t.Errorf("problem %q, want %q", first, tt.problem)
			}
		})
	}
}

func TestLoadFolders(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"nowhere", "."} {
		if _, _, err := gkesim.LoadFleet(filepath.Join(dir, path), ""); err == nil ||
			!strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v, want one that names it", path, err)
		}
	}
	for name, text := range map[string]string{"b.json": `{"name":"b","location":"l"}`,
		"a/z.JSON": `{"name":"z","location":"l"}`, "notes.txt": "x", "bad.json": "x"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded, problems, err := gkesim.LoadFleet(dir, "p")
	if err != nil || len(loaded) != 2 || loaded[0].Cluster.GetName() != "z" || len(problems) != 1 ||
		!strings.HasSuffix(problems[0].File, "bad.json") {
		t.Errorf("got %v, %v, %v; want z then b, and bad.json left out", loaded, problems, err)
	}
}

func TestAddRefusesTwice(t *testing.T) {
	w := gkesim.New(gkesim.Options{Now: gkesim.SampleStart})
	one := gkesim.Loaded{File: "f.json", Project: "p", Cluster: &containerpb.Cluster{Name: "a", Location: "l"}}
	if err := w.AddFleet([]gkesim.Loaded{one, one}); err == nil ||
		!strings.Contains(err.Error(), "f.json: there is already a cluster") {
		t.Errorf("got %v", err)
	}
}

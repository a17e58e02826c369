package main

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/encoding/protojson"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/simtest/fleets"
)

// The secrets that are planted, and what gives any secret away.
const (
	plantedWord = "pLaNtEd-7f3a9c"
	plantedBody = "cExhTnRFZC03ZjNhOWMgcExhTnRFZC03ZjNhOWMg" // the word twice, in base64
	plantedKey  = "-----BEGIN RSA PRIVATE KEY-----\n" + plantedBody + "\n-----END RSA PRIVATE KEY-----\n"
)

var givesAway = []string{plantedWord, plantedBody[:16], "PRIVATE KEY", "LS0tLS1CRUdJTi", "-----BEGIN"}

// checkNoSecret looks for the planted secrets, whole and in base64.
func checkNoSecret(t *testing.T, where, text string) {
	t.Helper()
	for _, s := range append(givesAway, base64.StdEncoding.EncodeToString([]byte(plantedKey))[:40]) {
		if at := strings.Index(text, s); at >= 0 {
			t.Errorf("%s gives away %q: ...%q...", where, s, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}

// withSecrets shows credentials in every field that the API has for them.
func withSecrets(c *containerpb.Cluster) {
	m := c.GetMasterAuth()
	m.ClientKey = base64.StdEncoding.EncodeToString([]byte(plantedKey))
	m.ClientCertificate = base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\n" +
		plantedWord + "\n-----END CERTIFICATE-----\n"))
	m.Username, m.Password = plantedWord+"-user", plantedWord+"-password" //nolint:staticcheck // what old clusters still show
	c.NodePools[0].Config.Metadata = map[string]string{"kubeconfig": plantedWord, "token": plantedKey}
}

// secretEnviron are secrets as a process's environment holds them.
var secretEnviron = []string{
	"GOOGLE_OAUTH_ACCESS_TOKEN=ya29." + plantedWord, "CLOUDSDK_AUTH_ACCESS_TOKEN=ya29." + plantedWord,
	"GOOGLE_CREDENTIALS=" + plantedKey,
	"WEBHOOK_URL=https://hooks.example.com/services/" + plantedWord, "VAULT_TOKEN=" + plantedWord,
}

// TestNothingSecretIsTold: rotations from start to end of clusters that show
// keys, certificates and passwords, in an environment that holds tokens: not one
// of them is in what any command prints, in the logs of both kinds or in the
// store; and neither is any certificate or key in PEM.
func TestNothingSecretIsTold(t *testing.T) {
	m := fleets.At("shop", "europe-west1", "catalog", withSecrets)
	late := fleets.At("shop", "europe-west1", "mixed", func(c *containerpb.Cluster) {
		withSecrets(c) // and somebody pasted the key behind the certificate
		pem, _ := base64.StdEncoding.DecodeString(c.MasterAuth.ClusterCaCertificate)
		c.MasterAuth.ClusterCaCertificate = base64.StdEncoding.EncodeToString(append(pem, plantedKey...))
	})
	for _, cloud := range []bool{false, true} {
		g := watchGKE(t, fleets.Monday,
			map[string][]*containerpb.Cluster{"shop": fleets.Of([]fleets.Member{m, late})})
		environ := g.environ(t, append(slices.Clone(secretEnviron), "ROTATOR_MODE=act", "ROTATOR_NODE_GRACE=0")...)
		var said told
		for hour := 0; hour < 24*6; hour += 3 {
			g.world.Advance(fleets.Monday.Add(time.Duration(hour) * time.Hour))
			now := g.world.Now().Format(time.RFC3339)
			if cloud {
				said.cloudCommand(t, environ, "run", "--at", now)
			} else {
				said.command(t, environ, "run", "--at", now)
			}
			if hour%12 == 0 {
				for _, args := range append(slices.Clone(everything), []string{"plan", "--explain", m.String()},
					[]string{"plan", "--explain", late.String()}, []string{"status", m.String()},
					[]string{"status", m.String(), "--format", "json"}) {
					if args[0] == "plan" || args[0] == "forecast" {
						args = append(slices.Clone(args), "--at", now)
					}
					said.command(t, environ, args...)
				}
			}
		}
		if !strings.Contains(said.String(), "verif") ||
			!strings.Contains(said.String(), "where a CERTIFICATE should be") {
			t.Errorf("the rotation did not end, or the mixed bundle was not told:\n%.2000s", said.String())
		}
		// The name of what stands in the bundle is no secret.
		text := strings.NewReplacer(`"RSA PRIVATE KEY\" where`, "", `\"RSA PRIVATE KEY\" where`, "",
			`"RSA PRIVATE KEY" where`, "", `\"RSA PRIVATE KEY\\\" where`, "").Replace(said.String())
		checkNoSecret(t, fmt.Sprintf("Cloud Run %t: the output", cloud), text)
		contents, err := os.ReadFile(strings.TrimPrefix(environ[4], "ROTATOR_STATE=file:"))
		if err != nil || len(contents) == 0 {
			t.Fatalf("%d bytes, %v", len(contents), err)
		}
		checkNoSecret(t, "the store", strings.ReplaceAll(string(contents), `\"RSA PRIVATE KEY\"`, ""))
	}
}

// TestSimulationTellsNoSecret: a recorded fleet may hold credentials, or be
// damaged right where they stand.
func TestSimulationTellsNoSecret(t *testing.T) {
	whole, err := protojson.Marshal(fleets.At("shop", "europe-west1", "catalog", withSecrets).Cluster(1))
	if err != nil {
		t.Fatal(err)
	}
	text := string(whole)
	for name, fleet := range map[string]string{
		"whole": text, "cut short": text[:len(text)/2],
		"cut in the key": text[:strings.Index(text, base64.StdEncoding.EncodeToString([]byte(plantedKey))[:40])+20],
		"a number":       strings.Replace(text, `"clientKey"`, `"clientKey":1,"clientKey"`, 1),
		"the wrong type": `{"name":"a","location":"l","masterAuth":{"clientKey":["` + plantedWord + `"]}}`,
		"auth is a text": `{"name":"a","location":"l","masterAuth":"` + plantedWord + `"}`,
		"a password that is no": `{"name":"a","location":"l","masterAuth":{"password":{"x":"` + plantedWord +
			`"}}}`,
		"config is a text": `{"name":"a","location":"l","masterAuth":{"clientCertificateConfig":"` +
			plantedWord + `"}}`,
		"a flag is a key": `{"name":"a","location":"l","masterAuth":{"clientCertificateConfig":{"issueClientCertificate":"` + plantedWord + `"}}}`,
		"no JSON":         plantedKey, "in a list": `["` + plantedWord + `"]`,
		"no CA": `{"name":"a","location":"l","masterAuth":{"clusterCaCertificate":"` +
			base64.StdEncoding.EncodeToString([]byte(plantedWord)) + `"}}`,
	} {
		file := filepath.Join(t.TempDir(), "fleet.json")
		if err := os.WriteFile(file, []byte(fleet), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{"table", "json"} {
			var said told
			code := said.command(t, secretEnviron, "simulate", "--fleet", file, "--project", "shop", "--days", "8",
				"--from", "2026-11-21", "--faults", "flaky,crash,outside", "--format", form)
			if played := name == "whole" || name == "no CA"; played != (code == 0) || (!played && code != 2) {
				t.Errorf("%s: exit %d: %.300s", name, code, said.String())
			}
			checkNoSecret(t, name+" as "+form, said.String())
		}
	}
}

// TestSettingsTellNoSecret: a secret that strays into a setting's name or into an
// address is not repeated.
func TestSettingsTellNoSecret(t *testing.T) {
	for _, bad := range []string{
		"ROTATOR_NOTIFY_WEBHOOK=http://hooks.example.com/services/" + plantedWord,
		"ROTATOR_NOTIFY_TOPIC=https://ann:" + plantedWord + "@pubsub.example.com/t",
		"ROTATOR_WEBHOOK=https://hooks.example.com/services/" + plantedWord, "ROTATOR_TOKEN=" + plantedWord,
		"ROTATOR_GKE_ENDPOINT=https://ann:" + plantedWord + "@gke.example.com:443",
		"ROTATOR_RECOMMENDER_ENDPOINT=http://" + plantedWord + "@localhost:80", "ROTATOR_STATE=firestore://ann:" +
			plantedWord + "@shop-prod/db",
	} {
		for _, command := range []string{"validate", "plan", "run", "status"} {
			var said told
			if code := said.command(t, append(slices.Clone(enough), bad), command); code != 2 {
				t.Errorf("%s with %.30s...: exit %d, want it refused: %s", command, bad, code, said.String())
			}
			checkNoSecret(t, command+" with "+bad[:20], said.String())
		}
	}
}

// TestObserveCannotChangeClusters: with MODE=observe, and with every command that
// only looks, a run is given nothing that could change a cluster, whatever it
// might try; and over four days of due clusters GKE hears reads alone.
func TestObserveCannotChangeClusters(t *testing.T) {
	g := watchGKE(t, fleets.Monday, map[string][]*containerpb.Cluster{"shop": fleets.Of(fleets.Twelve[:3])})
	for _, tt := range []struct {
		mode     string
		lookOnly bool
		moves    bool
	}{{config.Observe, false, false}, {config.Observe, true, false}, {config.Act, true, false},
		{config.Act, false, true}} {
		environ := g.environ(t, "ROTATOR_MODE="+tt.mode)
		a := newApp(environ, &told{}, &told{})
		s, problems := settingsOf(environ)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		world, done, err := a.connect(t.Context(), s, time.Now, tt.lookOnly)
		if err != nil {
			t.Fatal(err)
		}
		if (world.Move != nil) != tt.moves {
			t.Errorf("MODE=%s, looking only %t: the means to change clusters: %v", tt.mode, tt.lookOnly, world.Move)
		}
		for what, part := range map[string]any{"the reader": world.Read, "the insights": world.Insights} {
			if _, can := part.(gke.Mover); can {
				t.Errorf("MODE=%s: %s can be turned into the means to change clusters", tt.mode, what)
			}
		}
		done()
	}
	environ := g.environ(t)
	var said told
	for hour := 0; hour < 24*4; hour += 3 {
		g.world.Advance(fleets.Monday.Add(time.Duration(hour) * time.Hour))
		now := g.world.Now().Format(time.RFC3339)
		if code := said.command(t, environ, "run", "--at", now); code != 0 {
			t.Fatal(said.String())
		}
		if hour%24 == 0 {
			for _, mode := range []string{config.Observe, config.Act} {
				said.command(t, append(slices.Clone(environ), "ROTATOR_MODE="+mode), "plan", "--at", now)
				said.command(t, append(slices.Clone(environ), "ROTATOR_MODE="+mode), "status")
				said.command(t, append(slices.Clone(environ), "ROTATOR_MODE="+mode), "validate")
			}
		}
	}
	if asked := g.asked(); !slices.Equal(asked, []string{"ListClusters", "ListInsights"}) {
		t.Errorf("GKE was asked %v", asked)
	}
	if journal := g.world.Journal(); len(journal) != 0 {
		t.Errorf("%d changes were asked for: %+v", len(journal), journal)
	}
	said.command(t, append(slices.Clone(environ), "ROTATOR_MODE=act"), "run", "--at",
		g.world.Now().Format(time.RFC3339))
	if asked := g.asked(); !slices.Contains(asked, "StartIPRotation") {
		t.Errorf("in act it was asked %v: the clusters were not due, so observe proved nothing", asked)
	}
}

// TestFilesAreTheOwners: whatever the umask, what is made is its owner's alone,
// and nothing is left behind where everybody writes.
func TestFilesAreTheOwners(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir, shared := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", shared)
	t.Chdir(dir)
	g := watchGKE(t, fleets.Monday, map[string][]*containerpb.Cluster{"shop": fleets.Of(fleets.Twelve[:2])})
	environ := g.environ(t, "ROTATOR_STATE=file:"+filepath.Join(dir, "store.db"))
	environ = slices.Concat(environ, []string{"ROTATOR_MODE=act"})
	var said told
	for _, args := range [][]string{{"run", "--at", fleets.Monday.Format(time.RFC3339)},
		{"hold", "all", "--by", "ann", "--at", fleets.Monday.Format(time.RFC3339)}, {"plan"}, {"status"},
		{"simulate", "--days", "2"}} {
		if code := said.command(t, environ, args...); code != 0 {
			t.Fatal(said.String())
		}
	}
	files := 0
	for _, root := range []string{dir, shared} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == root {
				return err
			}
			info, err := d.Info()
			files++
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has the mode %s", path, info.Mode())
			}
			if root == shared {
				t.Errorf("%s was left in the folder for everybody's files", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files != 1 {
		t.Errorf("%d files were made, want the store alone", files)
	}
}

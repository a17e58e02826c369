package gkesim_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
)

var sessionFile = flag.String("session", "", "write the gcloud session of TestGcloudRotates to this file")

// shell runs commands as people would type them, against one server.
type shell struct {
	env []string
	log strings.Builder
	dir string
}

// gcloudShell is a shell in which gcloud talks to s, without login and with
// files of its own.
func gcloudShell(t *testing.T, s *gkeServer, project string) *shell {
	t.Helper()
	for _, name := range []string{"gcloud", "bash", "curl", "openssl", "base64", "awk"} {
		program(t, name)
	}
	dir := t.TempDir()
	return &shell{dir: dir, env: append(os.Environ(), "SIM="+s.url,
		"CLOUDSDK_CONFIG="+filepath.Join(dir, "config"), "KUBECONFIG="+filepath.Join(dir, "kubeconfig"),
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true", "CLOUDSDK_CORE_DISABLE_PROMPTS=1", "CLOUDSDK_CORE_PROJECT="+
			project,
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true",
		"CLOUDSDK_SURVEY_DISABLE_PROMPTS=true", "CLOUDSDK_PYTHON_SITEPACKAGES=",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER="+s.url+"/", "CLOUDSDK_API_ENDPOINT_OVERRIDES_RECOMMENDER="+
			s.url+"/",
		"USE_GKE_GCLOUD_AUTH_PLUGIN=False")}
}

// run gives what the line prints, on both outputs, and whether it succeeded.
func (sh *shell) run(t *testing.T, line string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", line)
	cmd.Env = sh.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	sh.log.WriteString("$ " + line + "\n" + out.String())
	return out.String(), err == nil
}

// must runs a line that is to succeed and print every one of want.
func (sh *shell) must(t *testing.T, line string, want ...string) string {
	t.Helper()
	out, ok := sh.run(t, line)
	if !ok {
		t.Fatalf("%s\n%s", line, out)
	}
	contains(t, line, out, want)
	return out
}

// refused runs a line that GKE is to refuse with that text.
func (sh *shell) refused(t *testing.T, line, want string) {
	t.Helper()
	out, ok := sh.run(t, line)
	if ok {
		t.Errorf("%s\nwas not refused: %s", line, out)
	}
	contains(t, line, out, []string{want})
}

func contains(t *testing.T, line, out string, want []string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("%s\nprinted %q\nwant in it %q", line, out, w)
		}
	}
}

const (
	countCAs = `gcloud container clusters describe orders --location europe-west3 --format 'value(masterAuth.clusterCaCertificate)' | base64 --decode | grep -c BEGIN`
	asyncly  = ` --location europe-west3 --async`
	update   = `gcloud container clusters update orders `
	advance  = `curl -s -d '{"advance":"%s"}' $SIM/sim/clock`
)

// TestGcloudRotates is a whole rotation by hand, through the real gcloud.
func TestGcloudRotates(t *testing.T) {
	t.Parallel()
	s := serveSample(t)
	sh := gcloudShell(t, s, "bank-prod")
	pass := func(by string) { sh.must(t, strings.ReplaceAll(advance, "%s", by), "now") }
	sh.must(t, `gcloud container clusters list`, "orders", "europe-west3", "RUNNING", "ledger", "NODE_VERSION")
	sh.must(t, countCAs, "1\n")
	sh.refused(t, update+`--complete-credential-rotation`+asyncly,
		"code=400, message=The cluster does not have an IP rotation in progress.")
	sh.must(t, update+`--start-credential-rotation`+asyncly)
	sh.refused(t, update+`--start-credential-rotation`+asyncly,
		"code=400, message=Cluster is running incompatible operation operation-")
	pass("15m")
	sh.must(t, countCAs, "2\n")
	sh.refused(t, update+`--start-credential-rotation`+asyncly,
		"code=409, message=The cluster has an IP rotation in progress.")
	sh.refused(t, update+`--complete-credential-rotation`+asyncly,
		`code=400, message=Node pool "web" requires recreation.`)
	version := strings.TrimSpace(sh.must(t,
		`gcloud container node-pools describe web --cluster orders --location europe-west3 --format 'value(version)'`))
	for _, pool := range []string{"web", "batch"} {
		sh.must(t, `gcloud container clusters upgrade orders --node-pool `+pool+` --cluster-version `+version+
			asyncly)
	}
	sh.must(t, `gcloud container operations list`, "UPDATE_CLUSTER", "DONE", "UPGRADE_NODES", "web", "batch")
	pass("1h")
	sh.must(t, update+`--complete-credential-rotation`+asyncly)
	s.step.Store(int64(4 * time.Minute)) // gcloud looks every five real seconds
	sh.must(t, `gcloud container operations wait $(gcloud container operations list --filter 'status!=DONE' --format 'value(name)') --location europe-west3`, "DONE")
	s.step.Store(0)
	sh.must(t, countCAs, "1\n")
	sh.must(t, `gcloud container operations list --sort-by startTime`, "UPDATE_CLUSTER", "UPGRADE_NODES",
		"europe-west3")
	last := sh.must(t, `gcloud container operations list --sort-by ~startTime --limit 1 --format 'value(name)'`,
		"operation-")
	sh.must(t, `gcloud container operations describe `+strings.TrimSpace(last)+` --location europe-west3`,
		"operationType: UPDATE_CLUSTER", "status: DONE", "endTime:", "clusters/orders")
	sh.must(t, `gcloud container clusters get-credentials orders --location europe-west3`,
		"kubeconfig entry generated for orders.")
	now, err := clients(t, s)["gRPC"].GetCluster(t.Context(), &containerpb.GetClusterRequest{Name: ordersName})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := os.ReadFile(filepath.Join(sh.dir, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "kubeconfig", string(kubeconfig), []string{now.GetMasterAuth().GetClusterCaCertificate(),
		"https://" + now.GetEndpoint()})
	want := slices.Clone(wholeRotation)
	want[1] = "UpdateCluster orders web"
	if got := s.accepted(); !slices.Equal(got, want) {
		t.Errorf("accepted %q, want %q", got, want)
	}
	if *sessionFile != "" {
		if err := os.WriteFile(*sessionFile, []byte(strings.ReplaceAll(sh.log.String(), sh.dir, "DIR")),
			0o600); err != nil {
			t.Error(err)
		}
	}
}

// TestGcloudWaits: without --async gcloud polls the operation and then writes
// a kubeconfig, in the middle of the rotation with both CAs in it.
func TestGcloudWaits(t *testing.T) {
	t.Parallel()
	s := serveSample(t)
	sh := gcloudShell(t, s, "shop-prod")
	s.step.Store(int64(5 * time.Minute))
	sh.must(t, `gcloud container clusters update catalog --location us-central1 --start-credential-rotation`,
		"kubeconfig entry generated for catalog")
	s.step.Store(0)
	kubeconfig, err := os.ReadFile(filepath.Join(sh.dir, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	_, encoded, _ := strings.Cut(string(kubeconfig), "certificate-authority-data: ")
	encoded, _, _ = strings.Cut(encoded, "\n")
	if pem, err := base64.StdEncoding.DecodeString(encoded); err != nil ||
		bytes.Count(pem, []byte("BEGIN")) != 2 {
		t.Errorf("want a kubeconfig with two CAs: %v\n%s", err, kubeconfig)
	}
	sh.must(t, `gcloud container clusters upgrade serve --project ml-prod --location europe-west4 --master --async`)
	sh.must(t, `gcloud container operations list --project ml-prod`, "UPGRADE_MASTER", "serve")
	sh.must(t, `gcloud container get-server-config --location us-central1`, "validMasterVersions",
		"defaultClusterVersion")
	if got, want := s.accepted(), []string{"StartIPRotation catalog", "UpdateCluster serve"}; !slices.Equal(got,
		want) {
		t.Errorf("accepted %q, want %q", got, want)
	}
}

// expiryLoop lists the clusters and asks for each one's CA, as Google's page on
// credential rotation tells people to do.
const expiryLoop = `gcloud container clusters list --format 'value(name,location)' | ` +
	`awk '{print "printf \"%s \" " $1 "; gcloud container clusters describe " $1 " --location " $2 " --format \"value(masterAuth.clusterCaCertificate)\" | base64 --decode | openssl x509 -noout -enddate"}' | bash`

// TestGcloudExpiryLoop: the dates that Google's loop prints are the project's
// own; in a rotation both speak of the old CA.
func TestGcloudExpiryLoop(t *testing.T) {
	t.Parallel()
	s := serveSample(t)
	sh := gcloudShell(t, s, "bank-prod")
	if _, err := clients(t, s)["REST"].StartIPRotation(t.Context(),
		&containerpb.StartIPRotationRequest{Name: ordersName, RotateCredentials: true}); err != nil {
		t.Fatal(err)
	}
	s.advance(t, "15m")
	for _, project := range []string{"bank-prod", "ml-prod"} {
		got := map[string]time.Time{}
		for line := range strings.Lines(sh.must(t, "export CLOUDSDK_CORE_PROJECT="+project+"; "+expiryLoop)) {
			name, date, _ := strings.Cut(strings.TrimSpace(line), " notAfter=")
			at, err := time.Parse("Jan _2 15:04:05 2006 MST", date)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			got[name] = at
		}
		cloud, err := gke.Dial(t.Context(), option.WithEndpoint(s.addr()), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
		if err != nil {
			t.Fatal(err)
		}
		own, unread, err := cloud.Clusters(t.Context(), project)
		if err != nil || len(unread) > 0 || len(own) != len(got) || len(own) == 0 {
			t.Errorf("%s: %d clusters of our own, %d of gcloud's; %v %v", project, len(own), len(got), unread, err)
		}
		for _, c := range own {
			if oldest := c.Bundle.Oldest().Expires; !oldest.Equal(got[c.Ref.Name]) {
				t.Errorf("%s expires %s, and gcloud's loop says %s", c.Ref, oldest, got[c.Ref.Name])
			}
		}
		_ = cloud.Close()
	}
}

// TestGcloudListsRecorded: the real gcloud lists every recorded cluster, but for
// nine old recordings without a node version: its list ends on those, for it
// compares the version without asking whether it is there.
func TestGcloudListsRecorded(t *testing.T) {
	t.Parallel()
	fleet, _, err := gkesim.LoadFleet(fixtures(t, "clusters"), "")
	if err != nil {
		t.Fatal(err)
	}
	w := gkesim.New(gkesim.Options{Now: gkesim.SampleStart})
	count, left := 0, 0
	for _, l := range fleet {
		if l.Cluster.GetCurrentNodeVersion() == "" { //nolint:staticcheck // gcloud reads it
			left++
			continue
		}
		// The same name in another project or zone is another cluster here.
		count++
		l.Cluster.Name = fmt.Sprintf("%s-%d", l.Cluster.GetName(), count)
		if err := w.Add("recorded", l.Cluster); err != nil {
			t.Error(err)
		}
	}
	if left != 9 {
		t.Errorf("%d recordings have no node version, want 9", left)
	}
	sh := gcloudShell(t, serveWorld(t, w), "recorded")
	out := sh.must(t, `gcloud container clusters list 2>/dev/null`, "MASTER_VERSION")
	if n := strings.Count(out, "\n") - 1; n != count {
		t.Errorf("gcloud lists %d of %d clusters:\n%s", n, count, out)
	}
}

// TestGcloudReadsInsights: gcloud lists and describes what Recommender says of a
// CA that ends within 180 days.
func TestGcloudReadsInsights(t *testing.T) {
	t.Parallel()
	sh := gcloudShell(t, serveSample(t), "shop-prod")
	const insights = ` --project shop-prod --location us-east4 --insight-type google.container.DiagnosisInsight`
	sh.must(t, `gcloud recommender insights list`+insights, "CLUSTER_CA_EXPIRATION", "ACTIVE", "search",
		"2027-04-05")
	id := strings.TrimSpace(sh.must(t, `gcloud recommender insights list`+insights+
		` --format 'value(name.basename())'`))
	sh.must(t, `gcloud recommender insights describe `+id+insights, "state: ACTIVE", "severity: HIGH", "search")
}

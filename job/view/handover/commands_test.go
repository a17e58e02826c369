package handover_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/view/handover"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// need skips the test where a program is missing, and fails it in CI.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", program)
			}
			t.Skipf("%s is not installed", program)
		}
	}
}

// steps are all steps of a pack, by their id.
func steps(h record.HandOver) map[string][]handover.Command {
	p := handover.Of(h)
	out := map[string][]handover.Command{}
	for _, st := range append(p.Clients, p.Levers...) {
		out[st.ID] = st.Commands
	}
	return out
}

// script is every command of the pack, one after the other, as shown and as pasted.
func script(h record.HandOver) string {
	var b strings.Builder
	p := handover.Of(h)
	for _, st := range append(p.Clients, p.Levers...) {
		for _, c := range st.Commands {
			b.WriteString(c.Run + "\n")
		}
	}
	return b.String()
}

// TestCommandsAreShell: bash and shellcheck read every command, also about
// clusters whose names want to be more than names.
func TestCommandsAreShell(t *testing.T) {
	need(t, "bash", "shellcheck")
	dir := t.TempDir()
	var files []string
	for i, name := range append([]string{"catalog"}, hostile...) {
		h := example()
		h.Cluster.Name, h.OldEndpoint, h.NewEndpoint = strings.ReplaceAll(name, "\n", ""), name, name+"2"
		h.Approval = true
		text := "#!/bin/bash\n" + script(h)
		if strings.HasPrefix(name, "-") && text != "#!/bin/bash\n" {
			t.Errorf("commands are printed for a cluster named %q", name)
		}
		file := filepath.Join(dir, fmt.Sprintf("%02d.sh", i))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "bash", "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%q: %v: %s", name, err, out)
		}
		files = append(files, file)
	}
	// The first alone is linted whole, but for the dollars of awk and of templates
	// (SC2016); of the others what would run a name counts.
	for _, args := range [][]string{{"--exclude=SC2016", files[0]},
		append([]string{"--severity=error"}, files[1:]...)} {
		if out, err := exec.CommandContext(t.Context(), "shellcheck", args...).CombinedOutput(); err != nil {
			t.Errorf("%s", out)
		}
	}
}

// TestNamesAreWords: what bash hands to a program is the very name.
func TestNamesAreWords(t *testing.T) {
	need(t, "bash")
	for _, name := range hostile {
		if strings.HasPrefix(name, "-") || strings.Contains(name, "\n") {
			continue
		}
		h := example()
		h.Cluster.Name = name
		run := steps(h)["kubeconfigs"][0].Run
		cmd := exec.CommandContext(t.Context(), "bash", "-c", `gcloud() { printf '%s\n' "$4"; }; `+run)
		cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != name+"\n" {
			t.Errorf("%q became %q, %v (%s)", name, out, err, run)
		}
		if left, _ := os.ReadDir(cmd.Dir); len(left) > 0 {
			t.Errorf("%q made a file", name)
		}
	}
}

// bench is a shell in which gcloud talks to the simulated GKE.
type bench struct {
	t   *testing.T
	url string
	env []string
	pre string // runs before every command
}

// newBench serves the sample and gives it a cluster with a DNS endpoint.
func newBench(t *testing.T) *bench {
	t.Helper()
	need(t, "gcloud", "kubectl", "openssl", "bash", "awk")
	w := gkesim.New(gkesim.Options{Seed: 1, Now: gkesim.SampleStart})
	if err := w.AddSample(); err != nil {
		t.Fatal(err)
	}
	external := true
	if err := w.Change("projects/bank-prod/locations/europe-west3/clusters/orders",
		func(c *containerpb.Cluster) {
			c.ControlPlaneEndpointsConfig = &containerpb.ControlPlaneEndpointsConfig{DnsEndpointConfig: &containerpb.ControlPlaneEndpointsConfig_DNSEndpointConfig{
				Endpoint: "gke-0a1b2c.europe-west3.gke.goog", AllowExternalTraffic: &external,
			}}
		}); err != nil {
		t.Fatal(err)
	}
	handler, err := w.Serve(gkesim.NewClock(gkesim.SampleStart, 0, func() time.Time { return time.Unix(0, 0) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handler.Close)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	return &bench{t: t, url: server.URL, env: append(os.Environ(),
		"CLOUDSDK_CONFIG="+filepath.Join(dir, "config"), "KUBECONFIG="+filepath.Join(dir, "kubeconfig"),
		"HOME="+dir,
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true", "CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true", "CLOUDSDK_SURVEY_DISABLE_PROMPTS=true",
		"CLOUDSDK_PYTHON_SITEPACKAGES=",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER="+server.URL+"/", "USE_GKE_GCLOUD_AUTH_PLUGIN=False",
	)}
}

// run gives what the command prints on standard output.
func (b *bench) run(command string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", b.pre+"\n"+command)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = b.env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("%s\n%v\n%s%s", command, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

func (b *bench) wants(command, want string) {
	b.t.Helper()
	if got := b.run(command); got != want {
		b.t.Errorf("%s\nprinted %q, want %q", command, got, want)
	}
}

// cluster is what the simulated GKE shows of orders.
func (b *bench) cluster() (bundle fleet.Bundle, endpoint string) {
	b.t.Helper()
	var c struct {
		Endpoint   string `json:"endpoint"`
		MasterAuth struct {
			CA string `json:"clusterCaCertificate"`
		} `json:"masterAuth"`
	}
	b.call(http.MethodGet, "/v1/projects/bank-prod/locations/europe-west3/clusters/orders", "", &c)
	return fleet.ParseBundle(c.MasterAuth.CA), c.Endpoint
}

func (b *bench) call(method, path, body string, into any) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %s", path, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		b.t.Fatal(err)
	}
}

// TestKubeconfigCommands plays what a client's owner does, with the real gcloud,
// kubectl and openssl: the check tells a kubeconfig from before the start from
// one that was fetched after it.
func TestKubeconfigCommands(t *testing.T) {
	b := newBench(t)
	h := example()
	h.Cluster = fleet.Ref{Project: "bank-prod", Location: "europe-west3", Name: "orders"}
	old, before := b.cluster()
	b.run("gcloud container clusters get-credentials orders --location=europe-west3 --project=bank-prod")
	var ignored map[string]any
	b.call(http.MethodPost, "/v1/projects/bank-prod/locations/europe-west3/clusters/orders:startIpRotation",
		`{"rotateCredentials":true}`, &ignored)
	b.call(http.MethodPost, "/sim/clock", `{"advance":"30m"}`, &ignored)
	both, after := b.cluster()
	h.OldEndpoint, h.NewEndpoint, h.OldCA, h.NewCA, h.DNS = before, after, old.Oldest(), both.Newest(),
		"gke-0a1b2c.europe-west3.gke.goog"
	h.DNSExternal = true
	if before == after || len(both.CAs) != 2 {
		t.Fatalf("the simulated GKE started nothing: %s, %d CAs", after, len(both.CAs))
	}

	c := steps(h)
	get, dns, which, server := c["kubeconfigs"][0].Run, c["kubeconfigs"][1].Run, c["kubeconfigs"][2].Run,
		c["kubeconfigs"][3].Run
	b.pre = c["check"][0].Run
	b.wants(which, "old CA\n") // the file from before the start
	b.wants(server, "https://"+before+"\n")
	b.run(get)
	b.wants(which, "old CA\nnew CA\n")
	b.wants(server, "https://"+after+"\n")
	b.wants(c["check"][1].Run, "old CA\nnew CA\n")
	b.run(dns)
	b.wants("export KUBECONFIG=dns-endpoint.kubeconfig; "+server, "https://"+h.DNS+"\n")
	b.wants("export KUBECONFIG=dns-endpoint.kubeconfig; "+which, "")
	b.wants(server, "https://"+after+"\n") // the other context is as it was
	b.wants(c["client-certificates"][1].Run, "")
	b.wants(`printf 'no pem\n' | which_ca`, "")
}

// fakeAPI is as much of a Kubernetes API server as kubectl needs to list.
func fakeAPI(t *testing.T, lists map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer, ok := lists[r.URL.Path]
		if !ok || r.Method != http.MethodGet {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"` + r.URL.Path + `"}`
		}
		if want := "type=kubernetes.io/service-account-token"; strings.HasSuffix(r.URL.Path, "/secrets") &&
			r.URL.Query().Get("fieldSelector") != want {
			answer = `{"kind":"SecretList","apiVersion":"v1","items":[]}`
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// resources is a discovery document.
func resources(group string, kinds ...string) string {
	var list []string
	for _, k := range kinds {
		plural, kind, _ := strings.Cut(k, "/")
		namespaced := strings.HasPrefix(kind, "+")
		list = append(list, fmt.Sprintf(`{"name":%q,"singularName":"","namespaced":%v,"kind":%q,"verbs":["get","list"]}`, plural, namespaced, strings.TrimPrefix(kind, "+")))
	}
	return `{"kind":"APIResourceList","groupVersion":"` + group + `","resources":[` + strings.Join(list, ",") +
		`]}`
}

// TestKubectlCommands runs what looks for tokens and copied CAs with the real
// kubectl against an API server's answers.
func TestKubectlCommands(t *testing.T) {
	b := newBench(t)
	h := example()
	h.Cluster = fleet.Ref{Project: "bank-prod", Location: "europe-west3", Name: "orders"}
	bundle, _ := b.cluster()
	h.OldCA = bundle.Oldest()
	var shown struct {
		MasterAuth struct {
			CA string `json:"clusterCaCertificate"`
		} `json:"masterAuth"`
	}
	b.call(http.MethodGet, "/v1/projects/bank-prod/locations/europe-west3/clusters/orders", "", &shown)
	old := shown.MasterAuth.CA
	b.call(http.MethodGet, "/v1/projects/bank-prod/locations/europe-west3-a/clusters/ledger", "", &shown)
	fresh := fleet.ParseBundle(shown.MasterAuth.CA) // another cluster's CA plays the new one
	h.NewCA = fresh.Oldest()
	two := twoOf(t, old, shown.MasterAuth.CA)

	url := fakeAPI(t, map[string]string{
		"/api": `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis": groups("admissionregistration.k8s.io", "apiregistration.k8s.io",
			"apiextensions.k8s.io", "certificates.k8s.io", "networking.k8s.io"),
		"/api/v1": resources("v1", "secrets/+Secret"),
		"/apis/admissionregistration.k8s.io/v1": resources("admissionregistration.k8s.io/v1",
			"validatingwebhookconfigurations/ValidatingWebhookConfiguration",
			"mutatingwebhookconfigurations/MutatingWebhookConfiguration"),
		"/apis/apiregistration.k8s.io/v1": resources("apiregistration.k8s.io/v1", "apiservices/APIService"),
		"/apis/apiextensions.k8s.io/v1": resources("apiextensions.k8s.io/v1",
			"customresourcedefinitions/CustomResourceDefinition"),
		"/apis/certificates.k8s.io/v1": resources("certificates.k8s.io/v1",
			"certificatesigningrequests/CertificateSigningRequest"),
		"/apis/networking.k8s.io/v1": resources("networking.k8s.io/v1",
			"networkpolicies/+NetworkPolicy"),
		"/api/v1/secrets": `{"kind":"SecretList","apiVersion":"v1","items":[{"metadata":{"name":"deployer-token","namespace":"ci","creationTimestamp":"2023-01-02T03:04:05Z","annotations":{"kubernetes.io/service-account.name":"deployer"},"labels":{"kubernetes.io/legacy-token-last-used":"2026-11-19"}},"type":"kubernetes.io/service-account-token"}]}`,
		"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": `{"kind":"ValidatingWebhookConfigurationList","apiVersion":"admissionregistration.k8s.io/v1","items":[
			{"metadata":{"name":"guard"},"webhooks":[{"name":"a.guard","clientConfig":{"caBundle":"` + old + `"}},{"name":"b.guard","clientConfig":{}}]},
			{"metadata":{"name":"ready"},"webhooks":[{"name":"a.ready","clientConfig":{"caBundle":"` + two + `"}}]}]}`,
		"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": `{"kind":"MutatingWebhookConfigurationList","apiVersion":"admissionregistration.k8s.io/v1","items":[]}`,
		"/apis/apiregistration.k8s.io/v1/apiservices": `{"kind":"APIServiceList","apiVersion":"apiregistration.k8s.io/v1","items":[
			{"metadata":{"name":"v1beta1.metrics"},"spec":{"caBundle":"` + old + `"}},{"metadata":{"name":"v1."},"spec":{}}]}`,
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions": `{"kind":"CustomResourceDefinitionList","apiVersion":"apiextensions.k8s.io/v1","items":[
			{"metadata":{"name":"carts.shop"},"spec":{"conversion":{"strategy":"Webhook","webhook":{"clientConfig":{"caBundle":"` + old + `"}}}}},
			{"metadata":{"name":"orders.shop"},"spec":{"conversion":{"strategy":"None"}}}]}`,
		"/apis/certificates.k8s.io/v1/certificatesigningrequests": `{"kind":"CertificateSigningRequestList","apiVersion":"certificates.k8s.io/v1","items":[{"metadata":{"name":"csr-1","creationTimestamp":"2026-11-20T01:00:00Z"},"spec":{"signerName":"kubernetes.io/kube-apiserver-client","username":"ann"}}]}`,
		"/apis/networking.k8s.io/v1/networkpolicies":              `{"kind":"NetworkPolicyList","apiVersion":"networking.k8s.io/v1","items":[{"kind":"NetworkPolicy","apiVersion":"networking.k8s.io/v1","metadata":{"name":"egress","namespace":"ci"},"spec":{"egress":[{"to":[{"ipBlock":{"cidr":"203.0.113.7/32"}}]}]}}]}`,
		"/openid/v1/jwks": `{"keys":[]}`,
	})
	const name = "gke_bank-prod_europe-west3_orders"
	b.run("kubectl config set-cluster c --server=" + url + " >&2 && kubectl config set-context " + name +
		" --cluster=c >&2")
	c := steps(h)
	b.pre = c["check"][0].Run
	got := strings.Join(strings.Fields(b.run(c["static-tokens"][0].Run)), " ")
	if want := "NAMESPACE SECRET ACCOUNT USED CREATED ci deployer-token deployer 2026-11-19 2023-01-02T03:04:05Z"; got != want {
		t.Errorf("tokens: %q", got)
	}
	b.wants(c["ca-bundles"][0].Run,
		"ValidatingWebhookConfiguration/guard: old CA\nAPIService/v1beta1.metrics: old CA\nCRD/carts.shop: old CA\n")
	if got := b.run(c["client-certificates"][0].Run); !strings.Contains(got,
		"kubernetes.io/kube-apiserver-client") {
		t.Errorf("requests: %q", got)
	}
	if got := b.run(c["network"][2].Run); !strings.Contains(got, "cidr: 203.0.113.7/32") {
		t.Errorf("policies: %q", got)
	}
	b.wants(c["verifiers"][0].Run, `{"keys":[]}`)
}

func groups(names ...string) string {
	var list []string
	for _, n := range names {
		v := `{"groupVersion":"` + n + `/v1","version":"v1"}`
		list = append(list, `{"name":"`+n+`","versions":[`+v+`],"preferredVersion":`+v+`}`)
	}
	return `{"kind":"APIGroupList","apiVersion":"v1","groups":[` + strings.Join(list, ",") + `]}`
}

// twoOf is a bundle of both.
func twoOf(t *testing.T, a, b string) string {
	t.Helper()
	var pem []byte
	for _, part := range []string{a, b} {
		text, err := base64.StdEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		pem = append(pem, text...)
	}
	return base64.StdEncoding.EncodeToString(pem)
}

// TestGcloudAccepts lets the real gcloud carry out what the tests above cannot
// play, against a cloud that has one firewall rule, one zone with one record and
// one log entry, and refuses the change after it was noted.
func TestGcloudAccepts(t *testing.T) {
	b := newBench(t)
	var sent string
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := `{}`
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, ":setMaintenancePolicy"):
			body, _ := io.ReadAll(r.Body)
			sent = string(body)
			w.WriteHeader(http.StatusBadRequest)
			answer = `{"error":{"code":400,"message":"noted","status":"INVALID_ARGUMENT"}}`
		case strings.HasSuffix(path, "/clusters/orders"):
			answer = `{"name":"orders","location":"europe-west3","status":"RUNNING","maintenancePolicy":{"resourceVersion":"e3b0c442"}}`
		case strings.HasSuffix(path, "/firewalls"):
			answer = `{"items":[{"name":"egress","direction":"EGRESS","destinationRanges":["203.0.113.7/32"]},{"name":"other","direction":"EGRESS"}]}`
		case strings.HasSuffix(path, "/managedZones"):
			answer = `{"managedZones":[{"name":"internal","dnsName":"internal."}]}`
		case strings.HasSuffix(path, "/rrsets"):
			answer = `{"rrsets":[{"name":"api.internal.","type":"A","rrdatas":["203.0.113.7"]},{"name":"www.internal.","type":"A","rrdatas":["192.0.2.1"]}]}`
		case strings.HasSuffix(path, "/entries:list"):
			answer = `{"entries":[{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{"principalEmail":"system:serviceaccount:ci:deployer"},"requestMetadata":{"callerIp":"198.51.100.9","callerSuppliedUserAgent":"helm"}}}]}`
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(cloud.Close)
	for _, api := range []string{"COMPUTE", "DNS", "LOGGING", "CONTAINER"} {
		b.env = append(b.env, "CLOUDSDK_API_ENDPOINT_OVERRIDES_"+api+"="+cloud.URL+"/")
	}
	h := example()
	h.Cluster = fleet.Ref{Project: "bank-prod", Location: "europe-west3", Name: "orders"}
	c := steps(h)
	for _, tt := range []struct{ run, want string }{
		{c["network"][0].Run, "egress,EGRESS,203.0.113.7/32,\n"},
		{c["network"][1].Run, "api.internal.\tA\t203.0.113.7\n"},
		{c["static-tokens"][2].Run, "      1 system:serviceaccount:ci:deployer\t198.51.100.9\thelm\n"},
		{c["static-tokens"][3].Run, "      1 \n"},
		{c["client-certificates"][3].Run, "      1 \tsystem:serviceaccount:ci:deployer\t198.51.100.9\thelm\n"},
		{c["delay-gke"][0].Run + " || true", ""},
	} {
		b.wants(tt.run, tt.want)
	}
	for _, want := range []string{`"rotation-clients"`, `"NO_UPGRADES"`, "2026-11-20T03:00:00",
		"2026-11-30T00:00:00", "e3b0c442"} {
		if !strings.Contains(sent, want) {
			t.Errorf("the exclusion that was sent lacks %s: %s", want, sent)
		}
	}
}

// Package cloudfake is a stateful, recording fake of the Google Cloud APIs that
// the scripts of this project call through the real gcloud and through curl.
// What was created is there afterwards, what was not is answered 404, a second
// create is refused. gcloud reaches it as an HTTP proxy: every API has an
// invented host, <api>.fake.invalid, with the region in front for Cloud Run.
//
// It checks what is cheap to check and what gcloud lets pass: unknown fields in
// bodies, bindings of accounts and custom roles that do not exist, APIs that are
// not enabled. It knows nothing of permissions, quotas or time that passes.
package cloudfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Domain ends the invented hosts.
const Domain = ".fake.invalid"

// object is a resource as its JSON.
type object = map[string]any

// Fake is Google Cloud as far as the scripts need it. The exported fields are
// set while no request is under way; Sync after that, and before it, makes the
// change safe.
type Fake struct {
	// ExecutionResult says how an execution of a Cloud Run job ends: nil is
	// success, an error's text is what the failed execution says. Args are the
	// overriding ones; ErrRunning leaves it running. Nil: all succeed.
	ExecutionResult func(job string, args []string) error
	// BuildResult says how a build ends. Nil: all succeed.
	BuildResult func(build map[string]any) error
	// AllEnabled switches SERVICE_DISABLED off: every API is on in every project.
	AllEnabled bool

	mu        sync.Mutex
	ticks     int
	serial    int
	order     []string
	objects   map[string]object
	policies  map[string]object
	projects  map[string]*project
	entries   []object
	documents map[string]object
	requests  []Request
	mutations int
	faults    []Fault
	hooks     map[int]func()
	listener  net.Listener
	server    *http.Server
}

// New is an empty cloud: add projects with AddProject, then Start it.
func New() *Fake {
	return &Fake{
		objects:   map[string]object{},
		policies:  map[string]object{},
		projects:  map[string]*project{},
		documents: map[string]object{},
		hooks:     map[int]func(){},
	}
}

// Start serves on a free port of 127.0.0.1 until Close.
func (f *Fake) Start() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	f.listener = l
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = f.server.Serve(l) }()
	return nil
}

// Close stops serving.
func (f *Fake) Close() error {
	return f.server.Close()
}

// Port is where the fake listens, on 127.0.0.1.
func (f *Fake) Port() int {
	return f.listener.Addr().(*net.TCPAddr).Port
}

// apis are the endpoint override properties of gcloud that are pointed here.
var apis = []string{
	"artifactregistry", "cloudasset", "cloudbuild", "cloudresourcemanager", "cloudscheduler", "container",
	"containeranalysis", "firestore", "iam", "iamcredentials", "logging", "monitoring", "ondemandscanning",
	"pubsub", "recommender", "run", "secretmanager", "serviceusage", "storage",
}

// Env is what gcloud and curl need in their environment to talk to this fake and
// to nothing else. Dir is an empty directory for gcloud's own files.
func (f *Fake) Env(dir, tokenFile string) []string {
	env := []string{
		"CLOUDSDK_CONFIG=" + dir,
		"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=" + tokenFile,
		"CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true",
		"CLOUDSDK_PROXY_TYPE=http",
		"CLOUDSDK_PROXY_ADDRESS=127.0.0.1",
		fmt.Sprintf("CLOUDSDK_PROXY_PORT=%d", f.Port()),
	}
	for _, proxy := range []string{"http_proxy", "https_proxy", "HTTPS_PROXY"} {
		env = append(env, fmt.Sprintf("%s=http://127.0.0.1:%d", proxy, f.Port()))
	}
	for _, api := range apis {
		env = append(env, "CLOUDSDK_API_ENDPOINT_OVERRIDES_"+strings.ToUpper(api)+"=http://"+api+Domain+
			overridePath[api])
	}
	return env
}

// overridePath is what follows the host in an endpoint override. The published
// endpoint of storage has a path of its own.
var overridePath = map[string]string{"storage": "/storage/v1/"}

func init() {
	for _, api := range apis {
		if overridePath[api] == "" {
			overridePath[api] = "/"
		}
	}
}

// call is one request as the handlers see it.
type call struct {
	method string
	api    string
	region string
	path   []string // unescaped segments
	query  url.Values
	body   object
	raw    []byte
	vars   []string // what the wildcards of the route matched
	header http.Header
}

// ServeHTTP answers one request.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	host := r.Host
	if r.URL.Host != "" {
		host = r.URL.Host
	}
	c := &call{method: r.Method, query: r.URL.Query(), raw: raw, header: r.Header}
	label, ours := strings.CutSuffix(strings.Split(host, ":")[0], Domain)
	c.api = label
	if i := strings.LastIndex(label, "-"); i > 0 {
		c.region, c.api = label[:i], label[i+1:]
	}
	for _, seg := range strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/") {
		if s, err := url.PathUnescape(seg); err == nil {
			c.path = append(c.path, s)
		}
	}
	if len(raw) > 0 && json.Unmarshal(raw, &c.body) != nil {
		c.body = nil
	}
	answer, status, hook := f.serve(c, label, ours)
	if hook != nil {
		hook()
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(answer) //nolint:gosec // not for a browser
}

// serve answers and records under the lock. The hook it returns, if any, is the
// caller's to run before the answer is sent.
func (f *Fake) serve(c *call, label string, ours bool) (text []byte, status int, hook func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ticks++
	rec := Request{
		Method: c.method, Host: label, Path: strings.Join(c.path, "/"),
		Query: c.query, Body: c.body, Mutating: mutating(c), Status: http.StatusOK,
	}
	var answer any
	var refusal error
	if !ours {
		rec.Host = label + " (not an API of the fake)"
		refusal = denied(http.StatusForbidden, "PERMISSION_DENIED", "cloudfake lets nothing out: %s", label)
	} else if refusal = f.fault(rec); refusal == nil {
		f.projectIDs(c.path)
		c.body, _ = clone(c.body).(object) // what is recorded stays as it was sent
		answer, refusal = f.dispatch(c)
	}
	if refusal != nil {
		var e *Error
		if !errors.As(refusal, &e) {
			e = denied(http.StatusBadRequest, "INTERNAL", "%v", refusal)
		}
		rec.Status, answer = e.Code, e.json()
	}
	f.requests = append(f.requests, rec)
	if rec.Mutating && rec.Status < 300 {
		f.mutations++
		hook = f.hooks[f.mutations]
	}
	if media, ok := answer.([]byte); ok {
		return media, rec.Status, hook
	}
	text, err := json.Marshal(answer)
	if err != nil {
		text = []byte(err.Error())
	}
	return text, rec.Status, hook
}

// now is a clock of the fake's own: a second for every request.
func (f *Fake) now() string {
	return time.Date(2026, 11, 23, 0, 0, 0, 0,
		time.UTC).Add(time.Duration(f.ticks) * time.Second).Format(time.RFC3339)
}

// next numbers what needs a number or an id.
func (f *Fake) next() int {
	f.serial++
	return f.serial
}

// etag is a new one.
func (f *Fake) etag() string {
	return fmt.Sprintf("BwY%05d", f.next())
}

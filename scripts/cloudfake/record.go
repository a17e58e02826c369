package cloudfake

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Request is one that was received.
type Request struct {
	Method   string
	Host     string // without Domain: the API, for Cloud Run with the region in front
	Path     string
	Query    url.Values
	Body     map[string]any // nil if it had none or not a JSON object
	Mutating bool           // by its kind; a refused one changed nothing
	Status   int
}

var apiVersion = regexp.MustCompile(`^(apis/[a-z.]+/)?(storage/|upload/|resumable/)*v\d[a-z0-9]*/`)

// String is the request on one line, the same on every machine:
//
//	POST iam projects/p/serviceAccounts {"accountId":"rotator-dev"}
//
// with "-> 403" after it when it was refused.
func (r Request) String() string {
	var b strings.Builder
	b.WriteString(r.Method + " " + r.Host + " " + apiVersion.ReplaceAllString(r.Path, ""))
	var query []string
	for key, values := range r.Query {
		if key != "alt" && key != "prettyPrint" {
			query = append(query, key+"="+strings.Join(values, ","))
		}
	}
	if len(query) > 0 {
		sort.Strings(query)
		b.WriteString("?" + strings.Join(query, "&"))
	}
	if len(r.Body) > 0 {
		var body strings.Builder
		enc := json.NewEncoder(&body)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r.Body); err == nil {
			b.WriteString(" " + strings.TrimSpace(body.String()))
		}
	}
	if r.Status >= 400 {
		b.WriteString(" -> " + strconv.Itoa(r.Status))
	}
	return b.String()
}

// Text is requests, one a line.
func Text(requests []Request) string {
	var b strings.Builder
	for _, r := range requests {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// Sync puts what was set in the fake's fields before it in front of the requests
// that follow, and the requests so far before what is set after it.
func (f *Fake) Sync() {
	f.mu.Lock()
	defer f.mu.Unlock()
}

// Requests are all requests so far, in order.
func (f *Fake) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// Mutations are the requests that would change something, in order, those that
// were refused included.
func (f *Fake) Mutations() []Request {
	return slices.DeleteFunc(f.Requests(), func(r Request) bool { return !r.Mutating })
}

// Forget drops what was recorded. The state stays.
func (f *Fake) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests, f.mutations = nil, 0
}

// reads are the custom methods that are sent by POST and change nothing.
var reads = []string{
	"getIamPolicy", "testIamPermissions", "getAncestry", "queryTestablePermissions", "list", "search",
	"queryGrantableRoles", "runQuery", "runAggregationQuery", "batchGet", "lintPolicy", "validateExportConfig",
}

func mutating(c *call) bool {
	if c.method == http.MethodGet || c.method == http.MethodHead || c.method == http.MethodConnect {
		return false
	}
	_, verb, _ := strings.Cut(c.path[len(c.path)-1], ":")
	return !slices.Contains(reads, verb) && c.query.Get("validateOnly") != "true"
}

// Fault refuses requests. Empty patterns match everything; Path is matched
// against "HOST PATH" as in Request, e.g. "^iam .*serviceAccounts$".
type Fault struct {
	Method string
	Path   *regexp.Regexp
	Times  int // how often, 0 is for ever
	Error  *Error
}

// Refuse adds a fault. The first that matches is taken.
func (f *Fake) Refuse(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fault)
}

// Heal takes all faults away.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// AfterMutation runs do once the n-th successful mutation has taken effect and
// before its answer is sent. Forget starts counting anew.
func (f *Fake) AfterMutation(n int, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hooks[n] = do
}

func (f *Fake) fault(r Request) error {
	for i := range f.faults {
		x := &f.faults[i]
		if x.Times < 0 || x.Method != "" && x.Method != r.Method {
			continue
		}
		if x.Path != nil && !x.Path.MatchString(r.Host+" "+r.Path) {
			continue
		}
		if x.Times > 0 {
			if x.Times--; x.Times == 0 {
				x.Times = -1
			}
		}
		return x.Error
	}
	return nil
}

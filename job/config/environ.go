package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Settings come from the environment of the process, where envconfig reads them. A simulation, and the
// other policy of a comparison, are under settings that the process does not have. Those are variables,
// too: [Simulation] and [Over] make them, [Read] takes them, and nobody changes the process's own.

// take gives the row its text of that environment, where it differs from the one that envconfig knows.
func (r row) take(vars map[string]string) {
	text, given := vars[Prefix+r.Name]
	text = strings.TrimSpace(text)
	if !given || text == "" && slices.Contains(saysNothing, r.Default) {
		text = r.Default
	}
	*r.value.written() = text
}

// saysNothing are the defaults that an empty value may stand for.
var saysNothing = []string{"all", "none", "off", "one", "always", "google"}

// Variables are the variables of an environment, in the form of [os.Environ].
func Variables(environ []string) map[string]string {
	out := map[string]string{}
	for _, e := range environ {
		if k, v, ok := strings.Cut(e, "="); ok {
			out[k] = v
		}
	}
	return out
}

// Simulation keeps the operator's settings, but for those that a simulation has of its own, and nothing else.
func Simulation(vars map[string]string) map[string]string {
	vars = maps.Clone(vars)
	maps.DeleteFunc(vars, func(name, _ string) bool { return !strings.HasPrefix(name, Prefix) })
	for _, r := range rowsOf(&Settings{}) {
		if own := r.tag("sim"); own != "" {
			vars[Prefix+r.Name] = own
		}
	}
	return vars
}

// Over puts a file's settings over those of the environment, but for those that say which fleet it is.
func Over(vars, file map[string]string) map[string]string {
	vars, file = maps.Clone(vars), maps.Clone(file)
	for _, r := range rowsOf(&Settings{}) {
		if r.tag("fleet") != "" {
			delete(file, Prefix+r.Name)
		}
	}
	maps.Copy(vars, file)
	return vars
}

// ReadFile reads NAME=value lines as deploy/env has them: to the end of the line, without quotes. Names
// without ROTATOR_ say where the job runs and are passed over. flag is how the file was named.
func ReadFile(flag, path string) (settings map[string]string, problems []Problem) {
	text, err := os.ReadFile(path) //nolint:gosec // the file that the operator names
	if err != nil {
		return nil, []Problem{{Setting: flag, What: err.Error()}}
	}
	settings = map[string]string{}
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		at := fmt.Sprintf("%s line %d", path, n+1)
		_, twice := settings[name]
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case !ok:
			problems = append(problems, Problem{Setting: at, What: fmt.Sprintf("%.100q is not NAME=value", line)})
		case !strings.HasPrefix(name, Prefix):
		case twice:
			problems = append(problems, Problem{Setting: at, What: name + " is there twice"})
		default:
			settings[name] = strings.TrimSpace(value)
		}
	}
	if len(settings) == 0 && len(problems) == 0 {
		const hint = "Write lines as ROTATOR_MAX_ACTIVE=20"
		problems = append(problems, Problem{flag + " " + path, "", "it holds no ROTATOR_ setting", hint})
	}
	return settings, problems
}

// Universe is the domain whose hosts get credentials, and no other does. That credentials belong to another
// universe no variable proves: the libraries send the metadata server's token wherever
// GOOGLE_CLOUD_UNIVERSE_DOMAIN says.
const Universe = "googleapis.com"

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)

// GoogleHost says whether the host is one of Google's APIs, restricted and private names among them. A last
// dot and capitals change nothing.
func GoogleHost(host string) bool {
	host = strings.TrimSuffix(host, ".")
	return hostPattern.MatchString(host) && strings.HasSuffix(strings.ToLower(host), "."+Universe)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// CheckWebhook says what is wrong with a webhook's URL, without repeating it.
func CheckWebhook(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("it is no URL")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("it begins with http: what is told there could be read and changed on its way; only this machine itself is reached without TLS")
	}
	return errors.New("it begins with neither https nor http")
}

// errCredentials: no place of ours takes them, and none is repeated.
var errCredentials = errors.New("it holds a user name or a password; the process's own credentials are used, so leave out what stands before the @")

func parseAddress(text string) (Address, error) {
	s := text
	if strings.Contains(s, "@") {
		return "", errCredentials
	}
	ports := map[string]string{"http": "80", "https": "443"}
	u, err := url.Parse(s)
	if err == nil && u.Host != "" && ports[u.Scheme] != "" && strings.Trim(u.Path, "/") == "" {
		s = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), ports[u.Scheme]))
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return "", fmt.Errorf("%q is not HOST:PORT", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q is not a port", port)
	}
	if !loopback(host) && !GoogleHost(host) {
		return "", fmt.Errorf("%q is neither this machine's loopback nor a host of %s, and nobody else is given credentials", host, Universe)
	}
	return Address(net.JoinHostPort(host, port)), nil
}

// Loopback says whether the address never leaves this machine.
func (a Address) Loopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	return err == nil && loopback(host)
}

// imageRoots is the file of trust roots that the image's base names in SSL_CERT_FILE by itself.
const imageRoots = "/etc/ssl/certs/ca-certificates.crt"

// elsewhere are the variables by which Google's client libraries, or Go itself, would speak to somebody
// else than Google, or believe somebody else, and the one value that is none of it. On Cloud Run nobody
// needs them, and whoever may set variables for one execution must not get the account's token by them.
//
// A proxy (HTTPS_PROXY) is not among them: it sees which host is spoken to and nothing else, for the
// connection through it is TLS to that host, whose certificate is verified against roots that the proxy
// cannot have; and the metadata server is asked without one.
var elsewhere = []struct{ name, allowed, what string }{
	{"FIRESTORE_EMULATOR_HOST", "", "the store would be an emulator's"},
	{"PUBSUB_EMULATOR_HOST", "", "notices would go to an emulator"},
	{"GCE_METADATA_HOST", "", "credentials would come from there"},
	{"GOOGLE_APPLICATION_CREDENTIALS", "",
		"the credentials would not be the job's own, and the file says where they are used"},
	{"GOOGLE_API_CERTIFICATE_CONFIG", "", "the file names a program that would be run"},
	{"EXPERIMENTAL_GOOGLE_API_USE_S2A", "false", "another process would say whom to trust"},
	{"SSL_CERT_FILE", imageRoots, "others than the image's own authorities would be trusted"},
	{"SSL_CERT_DIR", "", "others than the image's own authorities would be trusted"},
}

// strangers finds the variables, besides the settings, that would bring credentials to others than Google.
func strangers(vars map[string]string) (out []Problem) {
	const domain = "GOOGLE_CLOUD_UNIVERSE_DOMAIN"
	if u := vars[domain]; u != "" && u != Universe {
		const what = "credentials are sent to hosts of " + Universe + " alone"
		out = append(out, Problem{domain, u, what, "Remove it"})
	}
	for _, e := range elsewhere {
		switch v := vars[e.name]; {
		case v == "" || v == e.allowed:
		case vars["CLOUD_RUN_JOB"] != "":
			if strings.ContainsAny(v, "{\n") {
				v = hidden // no path, but what should be in the file
			}
			out = append(out, Problem{e.name, v, "on Cloud Run " + e.what, "Remove it"})
		case strings.HasPrefix(e.name, "SSL_CERT_") && slices.ContainsFunc(filepath.SplitList(v), ofProcess):
			// Whoever sets variables writes that file, too.
			const what = "what a process was started with says nothing about whom to trust"
			out = append(out, Problem{e.name, v, what, "Remove it, or name a file on disk"})
		}
	}
	return out
}

// ofProcess says whether the path leads into what the kernel shows of processes.
func ofProcess(path string) bool {
	whole, err := filepath.Abs(path)
	if err != nil {
		return true
	}
	there, _ := filepath.EvalSymlinks(whole) // "" where nothing is: nothing is trusted then
	return strings.HasPrefix(cmp.Or(there, whole)+"/", "/proc/")
}

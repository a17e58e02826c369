package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Universe is the domain whose hosts get credentials, and no other does. That
// credentials belong to another universe no variable proves: the libraries send
// the metadata server's token wherever GOOGLE_CLOUD_UNIVERSE_DOMAIN says.
const Universe = "googleapis.com"

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)

// GoogleHost says whether the host is one of Google's APIs, restricted and
// private names among them. A last dot and capitals change nothing.
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
		return errors.New("it begins with http: what is told there could be read and changed on its way; " +
			"only this machine itself is reached without TLS")
	}
	return errors.New("it begins with neither https nor http")
}

// errCredentials: no place of ours takes them, and none is repeated.
var errCredentials = errors.New("it holds a user name or a password; the process's own credentials are used, " +
	"so leave out what stands before the @")

// Address is HOST:PORT of an API; empty for Google's own.
type Address string

func (Address) form() string { return "HOST:PORT of googleapis.com or on loopback" }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Address) UnmarshalText(text []byte) error {
	s := string(text)
	if strings.Contains(s, "@") {
		return errCredentials
	}
	ports := map[string]string{"http": "80", "https": "443"}
	if u, err := url.Parse(s); err == nil && u.Host != "" && ports[u.Scheme] != "" && strings.Trim(u.Path, "/") == "" {
		s = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), ports[u.Scheme]))
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return fmt.Errorf("%q is not HOST:PORT", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port", port)
	}
	if !loopback(host) && !GoogleHost(host) {
		return fmt.Errorf("%q is neither this machine's loopback nor a host of %s, and nobody else is given credentials",
			host, Universe)
	}
	*a = Address(net.JoinHostPort(host, port))
	return nil
}

// Loopback says whether the address never leaves this machine.
func (a Address) Loopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	return err == nil && loopback(host)
}

// imageRoots is the file of trust roots that the image's base names in
// SSL_CERT_FILE by itself.
const imageRoots = "/etc/ssl/certs/ca-certificates.crt"

// elsewhere are the variables by which Google's client libraries, or Go itself,
// would speak to somebody else than Google, or believe somebody else, and the
// one value that is none of it. On Cloud Run nobody needs them, and whoever may
// set variables for one execution must not get the account's token by them.
//
// A proxy (HTTPS_PROXY) is not among them: it sees which host is spoken to and
// nothing else, for the connection through it is TLS to that host, whose
// certificate is verified against roots that the proxy cannot have; and the
// metadata server is asked without one.
var elsewhere = []struct{ name, allowed, what string }{
	{"FIRESTORE_EMULATOR_HOST", "", "the book would be an emulator's"},
	{"PUBSUB_EMULATOR_HOST", "", "notices would go to an emulator"},
	{"GCE_METADATA_HOST", "", "credentials would come from there"},
	{"GOOGLE_APPLICATION_CREDENTIALS", "",
		"the credentials would not be the job's own, and the file says where they are used"},
	{"GOOGLE_API_CERTIFICATE_CONFIG", "", "the file names a program that would be run"},
	{"EXPERIMENTAL_GOOGLE_API_USE_S2A", "false", "another process would say whom to trust"},
	{"SSL_CERT_FILE", imageRoots, "others than the image's own authorities would be trusted"},
	{"SSL_CERT_DIR", "", "others than the image's own authorities would be trusted"},
}

// strangers finds the variables, besides the settings, that would bring
// credentials to somebody else than Google.
func strangers(vars map[string]string) (out []Problem) {
	const domain = "GOOGLE_CLOUD_UNIVERSE_DOMAIN"
	if u := vars[domain]; u != "" && u != Universe {
		out = append(out, Problem{domain, u, "credentials are sent to hosts of " + Universe + " alone", "Remove it"})
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

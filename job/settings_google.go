package main

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
)

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
	{"GOOGLE_APPLICATION_CREDENTIALS", "", "the credentials would not be the job's own, and the file says where they are used"},
	{"GOOGLE_API_CERTIFICATE_CONFIG", "", "the file names a program that would be run"},
	{"EXPERIMENTAL_GOOGLE_API_USE_S2A", "false", "another process would say whom to trust"},
	{"SSL_CERT_FILE", imageRoots, "others than the image's own authorities would be trusted"},
	{"SSL_CERT_DIR", "", "others than the image's own authorities would be trusted"},
}

// strangers finds the variables, besides the settings, that would bring
// credentials to somebody else than Google.
func strangers(vars map[string]string) []Problem {
	var out []Problem
	if u := vars["GOOGLE_CLOUD_UNIVERSE_DOMAIN"]; u != "" && u != theUniverse {
		out = append(out, Problem{Setting: "GOOGLE_CLOUD_UNIVERSE_DOMAIN", Text: u, What: "credentials are sent to hosts of " + theUniverse + " alone", Hint: "Remove it"})
	}
	for _, e := range elsewhere {
		switch v := vars[e.name]; {
		case v == "" || v == e.allowed:
		case vars["CLOUD_RUN_JOB"] != "":
			if strings.ContainsAny(v, "{\n") {
				v = hiddenText // no path, but what should be in the file
			}
			out = append(out, Problem{Setting: e.name, Text: v, What: "on Cloud Run " + e.what, Hint: "Remove it"})
		case strings.HasPrefix(e.name, "SSL_CERT_") && slices.ContainsFunc(filepath.SplitList(v), ofProcess):
			// Whoever sets variables writes that file, too.
			out = append(out, Problem{Setting: e.name, Text: v, What: "what a process was started with says nothing about whom to trust", Hint: "Remove it, or name a file on disk"})
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

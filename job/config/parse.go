package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/window"
)

// Types of values that are named for their own way of being written.
type (
	name         string
	projectList  []string
	locationList []string
	htmlFile     string
	secretFile   string
	topic        string
	// place is where the store is: a file, or a Firestore database.
	place struct{ File, Project, Database string }
	// webhook is a URL, or the file that holds it.
	webhook struct{ URL, File string }
	// Address is HOST:PORT of an API; empty for Google's own.
	Address string

	period   = Value[time.Duration]
	word     = Value[string]
	number   = Value[int]
	endpoint = Value[Address]
)

func (r row) parse() error {
	text, zero := *r.value.written(), r.tag("zero")
	into := reflect.ValueOf(r.value.parsed()).Elem()
	into.SetZero()
	if text == zero && zero != "" {
		return nil
	}
	_, parse := r.kind()
	v, err := parse(text)
	if _, isNumber := v.(int); isNumber && err != nil && zero != "" {
		return fmt.Errorf("%w, nor %s", err, zero)
	}
	if err == nil {
		into.Set(reflect.ValueOf(v).Convert(into.Type()))
	}
	return err
}

// form says how the setting is written.
func (r row) form() string {
	form, _ := r.kind()
	if own := r.tag("form"); own != "" {
		form = own
	}
	if zero := r.tag("zero"); zero != "" && !strings.Contains(form, zero+",") {
		form += ", or " + zero
	}
	return form
}

type parseFunc func(text string) (any, error)

func by[T any](parse func(string) (T, error)) parseFunc {
	return func(text string) (any, error) { return parse(text) }
}

// itself is the parser of a type that reads its own text.
func itself[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](text string) (any, error) {
	var v T
	err := P(&v).UnmarshalText([]byte(text))
	return v, err
}

func like(pattern *regexp.Regexp, what string) parseFunc {
	return func(text string) (any, error) {
		if !pattern.MatchString(text) {
			return nil, fmt.Errorf("%q %s", text, what)
		}
		return text, nil
	}
}

// kind says how the values of the setting's type are written and parsed.
func (r row) kind() (form string, parse parseFunc) {
	if choices := strings.Split(r.tag("words"), ","); choices[0] != "" {
		last := len(choices) - 1
		return strings.Join(choices[:last], ", ") + " or " + choices[last],
			func(text string) (any, error) { return text, words.OneOf(text, choices...) }
	}
	switch r.value.parsed().(type) {
	case *time.Duration:
		if least := r.tag("min"); least != "" {
			return "a duration from " + least + " to " + r.tag("max"), by(fleet.ParseDuration)
		}
		return "a duration of at most " + r.tag("max"), by(fleet.ParseDuration)
	case *time.Time:
		return "a date, e.g. 2026-11-20, a time as in RFC 3339", by(ParseTime)
	case *int:
		return "a number from 1", by(parseNumber)
	case *name:
		return "a short name, e.g. prod",
			like(namePattern, "is not a name of at most 40 letters, digits, dots, dashes and underscores")
	case *projectList:
		return "project ids, separated by commas, e.g. shop-prod,shop-dev",
			by(func(text string) ([]string, error) { return list(text, "project id") })
	case *locationList:
		return "regions or zones, separated by commas", by(parseLocations)
	case *fleet.Selector:
		return "a label selector, e.g. env=prod,tier in (web,api),!legacy, or all", itself[fleet.Selector]
	case **fleet.Selector:
		return "a label selector, all", by(func(text string) (*fleet.Selector, error) {
			s, err := fleet.ParseSelector(text)
			return &s, err
		})
	case *fleet.Waves:
		return "label selectors joined by >, e.g. env=dev > env=staging > env=prod, or one", itself[fleet.Waves]
	case *window.Weekly:
		return "days, times and a zone, e.g. Sat,Sun 02:00-06:00 Europe/Paris; several joined by ;, or always",
			itself[window.Weekly]
	case *window.Freezes:
		return "dates, e.g. 2026-12-18/2027-01-04, 2027-04-02 Europe/Paris", itself[window.Freezes]
	case *place:
		return "firestore://PROJECT/DATABASE or file:PATH", by(parsePlace)
	case *Address:
		return "HOST:PORT of googleapis.com or on loopback", by(parseAddress)
	case *htmlFile:
		return "a file that ends in .html, e.g. /mnt/reports/index.html", by(parsePage)
	case *webhook:
		return "https://HOST/PATH, file:PATH of a file that holds the URL", by(parseWebhook)
	case *secretFile:
		return "the path of a file", by(parseSecretFile)
	case *topic:
		return "projects/PROJECT/topics/TOPIC", like(topicPattern, "does not name a topic")
	}
	return "", func(string) (any, error) { return nil, fmt.Errorf("nobody parses %T", r.value) }
}

var (
	namePattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)
	locationPattern = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+(-[a-z0-9]+)?$`)
	databasePattern = regexp.MustCompile(`^(\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$`)
	topicPattern    = regexp.MustCompile(
		`^projects/[a-z0-9][a-z0-9.:-]{4,60}[a-z0-9]/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`)
)

// ParseTime reads a date (its first instant in UTC) or a time as in RFC 3339.
func ParseTime(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a date as 2026-11-20 nor a time as 2026-11-20T09:00:00Z", text)
}

// EndOfDay is when a day is over: the one kind of date that people write, in UTC unless
// a zone follows.
func EndOfDay(text string) (time.Time, bool) { return window.EndOf(text) }

func parseNumber(text string) (int, error) {
	v, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	if v < 1 || v > 1_000_000 {
		return 0, fmt.Errorf("%d is not between 1 and 1000000", v)
	}
	return v, nil
}

func parseLocations(text string) ([]string, error) {
	names, err := list(text, "location")
	for _, n := range names {
		if !locationPattern.MatchString(n) {
			return nil, fmt.Errorf("%q is not a region or zone", n)
		}
	}
	return names, err
}

// list splits at commas; the order stays, repetitions go.
func list(text, what string) ([]string, error) {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			return nil, fmt.Errorf("a %s is empty: there is a comma too many, or nothing at all", what)
		}
		if !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	return out, nil
}

func parsePlace(text string) (at place, err error) {
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		if noFile(path) {
			return at, fmt.Errorf("%q names no file: write file:PATH, without slashes before the path", text)
		}
		return place{File: path}, nil
	}
	rest, ok := strings.CutPrefix(text, "firestore://")
	project, database, _ := strings.Cut(rest, "/")
	switch {
	case !ok:
		return at, fmt.Errorf("%q is neither a file nor a Firestore database", text)
	case strings.Contains(rest, "@"):
		return at, errCredentials
	case !projectPattern.MatchString(project):
		return at, fmt.Errorf("%q is not a project id", project)
	case !databasePattern.MatchString(database):
		return at, fmt.Errorf("%q is not a database id; the default one is written (default)", database)
	}
	return place{Project: project, Database: database}, nil
}

func noFile(path string) bool { return path == "" || strings.HasPrefix(path, "//") }

// parsePage wants the ending by which a bucket and a browser know what it holds.
func parsePage(text string) (htmlFile, error) {
	if strings.Contains(text, "://") {
		return "", fmt.Errorf("%q is no file; a bucket is mounted first, and then it has a path", text)
	}
	if !strings.HasSuffix(text, ".html") || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("%q does not name a file that ends in .html", text)
	}
	return htmlFile(text), nil
}

func parseSecretFile(text string) (secretFile, error) {
	if strings.HasPrefix(text, "file:") {
		return "", fmt.Errorf("%q: the path alone is wanted", text)
	}
	return secretFile(text), nil
}

// parseWebhook repeats nothing of the text in its errors.
func parseWebhook(text string) (webhook, error) {
	path, isFile := strings.CutPrefix(text, "file:")
	switch {
	case !isFile:
		return webhook{URL: text}, CheckWebhook(text)
	case noFile(path):
		return webhook{}, errors.New("file: names no file: write file:PATH, without slashes before the path")
	}
	return webhook{File: path}, nil
}

// Asked says whether there is one.
func (w webhook) Asked() bool { return w != webhook{} }

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
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/window"
)

type (
	duration = Value[time.Duration]
	number   = Value[int]
	endpoint = Value[Address]
)

// parse turns the text into the value.
func (r row) parse() (err error) {
	text, zero := *r.value.written(), r.field.Tag.Get("zero")
	into := reflect.ValueOf(r.value.parsed()).Elem()
	into.SetZero()
	if text == zero && zero != "" {
		return nil
	}
	if choices := r.choices(); choices != nil {
		if err = words.OneOf(text, choices...); err == nil {
			into.SetString(text)
		}
		return err
	}
	switch v := r.value.parsed().(type) {
	case *time.Duration:
		*v, err = policy.ParseDuration(text)
	case *time.Time:
		*v, err = ParseTime(text)
	case *int:
		if *v, err = parseNumber(text); err != nil && zero != "" {
			err = fmt.Errorf("%w, nor %s", err, zero)
		}
	case **policy.Selector:
		var s policy.Selector
		if s, err = policy.ParseSelector(text); err == nil {
			*v = &s
		}
	case encoding.TextUnmarshaler:
		err = v.UnmarshalText([]byte(text))
	}
	return err
}

func (r row) choices() []string {
	if w := r.field.Tag.Get("words"); w != "" {
		return strings.Split(w, ",")
	}
	return nil
}

// form says how the setting is written.
func (r row) form() string {
	form := r.field.Tag.Get("form")
	if form == "" {
		form = r.formOfType()
	}
	if zero := r.field.Tag.Get("zero"); zero != "" && !strings.Contains(form, zero+",") {
		form += ", or " + zero
	}
	return form
}

const weekly = "days, times and a zone, e.g. Sat,Sun 02:00-06:00 Europe/Paris; several joined by ;, or always"

func (r row) formOfType() string {
	least, most := r.field.Tag.Get("min"), r.field.Tag.Get("max")
	if choices := r.choices(); choices != nil {
		last := len(choices) - 1
		return strings.Join(choices[:last], ", ") + " or " + choices[last]
	}
	switch v := r.value.parsed().(type) {
	case *time.Duration:
		if least == "" {
			return "a duration of at most " + most
		}
		return "a duration from " + least + " to " + most
	case *time.Time:
		return "a date, e.g. 2026-11-20, a time as in RFC 3339"
	case *int:
		return "a number from 1"
	case **policy.Selector:
		return "a label selector, all"
	case *policy.Selector:
		return "a label selector, e.g. env=prod,tier in (web,api),!legacy, or all"
	case *policy.Waves:
		return "label selectors joined by >, e.g. env=dev > env=staging > env=prod, or one"
	case *window.Weekly:
		return weekly
	case *window.Freezes:
		return "dates, e.g. 2026-12-18/2027-01-04, 2027-04-02 Europe/Paris"
	case interface{ form() string }:
		return v.form()
	}
	return ""
}

// ParseTime reads a date (its first instant in UTC) or a time as in RFC 3339.
func ParseTime(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a date as 2026-11-20 nor a time as 2026-11-20T09:00:00Z", text)
}

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

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)

type name string

func (name) form() string { return "a short name, e.g. prod" }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (n *name) UnmarshalText(text []byte) error {
	if !namePattern.Match(text) {
		return fmt.Errorf("%q is not a name of at most 40 letters, digits, dots, dashes and underscores", text)
	}
	*n = name(text)
	return nil
}

type projectList []string

func (projectList) form() string { return "project ids, separated by commas, e.g. shop-prod,shop-dev" }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (l *projectList) UnmarshalText(text []byte) (err error) {
	*l, err = list(text, "project id")
	return err
}

var locationPattern = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+(-[a-z0-9]+)?$`)

type locationList []string

func (locationList) form() string { return "regions or zones, separated by commas" }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (l *locationList) UnmarshalText(text []byte) error {
	names, err := list(text, "location")
	if err != nil {
		return err
	}
	for _, n := range names {
		if !locationPattern.MatchString(n) {
			return fmt.Errorf("%q is not a region or zone", n)
		}
	}
	*l = names
	return nil
}

// list splits at commas; the order stays, repetitions go.
func list(text []byte, what string) ([]string, error) {
	var out []string
	for part := range strings.SplitSeq(string(text), ",") {
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

// place is where the book is: a file, or a Firestore database.
type place struct{ File, Project, Database string }

var databasePattern = regexp.MustCompile(`^(\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$`)

func (place) form() string { return "firestore://PROJECT/DATABASE or file:PATH" }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *place) UnmarshalText(text []byte) error {
	if path, ok := strings.CutPrefix(string(text), "file:"); ok {
		s.File = path
		if noFile(path) {
			return fmt.Errorf("%q names no file: write file:PATH, without slashes before the path", text)
		}
		return nil
	}
	rest, ok := strings.CutPrefix(string(text), "firestore://")
	if !ok {
		return fmt.Errorf("%q is neither a file nor a Firestore database", text)
	}
	if strings.Contains(rest, "@") {
		return errCredentials
	}
	project, database, _ := strings.Cut(rest, "/")
	if !projectPattern.MatchString(project) {
		return fmt.Errorf("%q is not a project id", project)
	}
	if !databasePattern.MatchString(database) {
		return fmt.Errorf("%q is not a database id; the default one is written (default)", database)
	}
	s.Project, s.Database = project, database
	return nil
}

func noFile(path string) bool { return path == "" || strings.HasPrefix(path, "//") }

// htmlFile is a page's file, or "" for none. By its ending a bucket and a browser
// know what it holds.
type htmlFile string

func (htmlFile) form() string { return "a file that ends in .html, e.g. /mnt/reports/index.html" }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *htmlFile) UnmarshalText(text []byte) error {
	switch s := string(text); {
	case strings.Contains(s, "://"):
		return fmt.Errorf("%q is no file; a bucket is mounted first, and then it has a path", text)
	case !strings.HasSuffix(s, ".html") || strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%q does not name a file that ends in .html", text)
	}
	*f = htmlFile(text)
	return nil
}

// webhook is a URL, or the file that holds it.
type webhook struct{ URL, File string }

// Asked says whether there is one.
func (w webhook) Asked() bool { return w != webhook{} }

func (webhook) form() string { return "https://HOST/PATH, file:PATH of a file that holds the URL" }

// UnmarshalText implements [encoding.TextUnmarshaler]. No error repeats the text.
func (w *webhook) UnmarshalText(text []byte) error {
	if path, ok := strings.CutPrefix(string(text), "file:"); ok {
		if noFile(path) {
			return errors.New("file: names no file: write file:PATH, without slashes before the path")
		}
		w.File = path
		return nil
	}
	if err := CheckWebhook(string(text)); err != nil {
		return err
	}
	w.URL = string(text)
	return nil
}

// secretFile is "" when there is none.
type secretFile string

func (secretFile) form() string { return "the path of a file" }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *secretFile) UnmarshalText(text []byte) error {
	if strings.HasPrefix(string(text), "file:") {
		return fmt.Errorf("%q: the path alone is wanted", text)
	}
	*f = secretFile(text)
	return nil
}

var topicPattern = regexp.MustCompile(
	`^projects/[a-z0-9][a-z0-9.:-]{4,60}[a-z0-9]/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`)

// topic is "" when there is none.
type topic string

func (topic) form() string { return "projects/PROJECT/topics/TOPIC" }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (n *topic) UnmarshalText(text []byte) error {
	if !topicPattern.Match(text) {
		return fmt.Errorf("%q does not name a topic", text)
	}
	*n = topic(text)
	return nil
}

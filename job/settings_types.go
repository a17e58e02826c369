package main

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/window"
)

// parsed is one setting: its value, the text it came from and what is wrong
// with it. envconfig stops at the first error, so reading never fails here.
type parsed[T any, P interface {
	*T
	encoding.TextUnmarshaler
}] struct {
	V    T
	text string
	err  error
}

// UnmarshalText reads the value and keeps the error for later.
func (f *parsed[T, P]) UnmarshalText(text []byte) error {
	f.text = strings.TrimSpace(string(text))
	f.err = P(&f.V).UnmarshalText([]byte(f.text))
	return nil
}

func (f *parsed[T, P]) source() (text string, err error) { return f.text, f.err }

// The types of the settings, each able to read its own text.
type (
	envName        = parsed[name, *name]
	projectIDs     = parsed[projectList, *projectList]
	locations      = parsed[locationList, *locationList]
	labelSelector  = parsed[fleet.Selector, *fleet.Selector]
	urgent         = parsed[urgentSelector, *urgentSelector]
	mode           = parsed[modeWord, *modeWord]
	duration       = parsed[fleet.Duration, *fleet.Duration]
	date           = parsed[instant, *instant]
	count          = parsed[number, *number]
	limit          = parsed[numberOrOff, *numberOrOff]
	poolsAtOnce    = parsed[numberOrFit, *numberOrFit]
	weekly         = parsed[window.Weekly, *window.Weekly]
	freezes        = parsed[window.Freezes, *window.Freezes]
	waves          = parsed[fleet.Waves, *fleet.Waves]
	zonalComplete  = parsed[zonalWord, *zonalWord]
	approval       = parsed[approvalWord, *approvalWord]
	steer          = parsed[steerWord, *steerWord]
	nodesBy        = parsed[nodesWord, *nodesWord]
	adopt          = parsed[adoptWord, *adoptWord]
	recommenderUse = parsed[recommenderWord, *recommenderWord]
	storeName      = parsed[store, *store]
	endpoint       = parsed[address, *address]
	notifyFormat   = parsed[formatWord, *formatWord]
	secretFile     = parsed[fileOrNone, *fileOrNone]
	topic          = parsed[topicName, *topicName]
	reportFile     = parsed[filePath, *filePath]
)

type (
	modeWord        string
	zonalWord       policy.ZonalComplete
	approvalWord    policy.Approve
	steerWord       policy.Steer
	nodesWord       policy.NodesBy
	adoptWord       policy.Adopt
	recommenderWord string
)

// The modes of a run.
const (
	observe = "observe"
	act     = "act"
)

func (w *modeWord) UnmarshalText(t []byte) error { return pick(w, t, observe, act) }

func (w *zonalWord) UnmarshalText(t []byte) error {
	return pick(w, t, zonalWord(policy.ZonalPeople), zonalWord(policy.ZonalWindow), zonalWord(policy.ZonalBoth))
}

func (w *approvalWord) UnmarshalText(t []byte) error {
	return pick(w, t, approvalWord(policy.ApproveNone), approvalWord(policy.ApproveStart), approvalWord(policy.ApproveComplete), approvalWord(policy.ApproveBoth))
}

func (w *steerWord) UnmarshalText(t []byte) error {
	return pick(w, t, steerWord(policy.SteerOff), steerWord(policy.SteerHold), steerWord(policy.SteerBoth))
}

func (w *nodesWord) UnmarshalText(t []byte) error {
	return pick(w, t, nodesWord(policy.NodesAuto), nodesWord(policy.NodesGKE))
}

func (w *adoptWord) UnmarshalText(t []byte) error {
	return pick(w, t, adoptWord(policy.AdoptWatch), adoptWord(policy.AdoptCarry))
}

func (w *recommenderWord) UnmarshalText(t []byte) error { return pick(w, t, "off", "read") }

// pick reads one of a few words.
func pick[T ~string](into *T, text []byte, from ...T) error {
	if !slices.Contains(from, T(text)) {
		return fmt.Errorf("%q is not one of the choices%s", text, didYouMean(string(text), from))
	}
	*into = T(text)
	return nil
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)

type name string

func (n *name) UnmarshalText(text []byte) error {
	if !namePattern.Match(text) {
		return fmt.Errorf("%q is not a name of at most 40 letters, digits, dots, dashes and underscores", text)
	}
	*n = name(text)
	return nil
}

type projectList []string

func (l *projectList) UnmarshalText(text []byte) error {
	var err error
	*l, err = list(text, "project id")
	return err
}

var locationPattern = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+(-[a-z0-9]+)?$`)

type locationList []string

func (l *locationList) UnmarshalText(text []byte) error {
	*l = nil
	if string(text) == "all" || len(text) == 0 {
		return nil
	}
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
	for _, part := range strings.Split(string(text), ",") {
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

type urgentSelector struct{ Selector *fleet.Selector }

func (u *urgentSelector) UnmarshalText(text []byte) error {
	u.Selector = nil
	if len(text) == 0 || string(text) == "none" {
		return nil
	}
	s, err := fleet.ParseSelector(string(text))
	if err != nil {
		return err
	}
	u.Selector = &s
	return nil
}

type instant struct{ time.Time }

func (i *instant) UnmarshalText(text []byte) error {
	i.Time = time.Time{}
	if len(text) == 0 || string(text) == "none" {
		return nil
	}
	t, err := parseTime(string(text))
	if err != nil {
		return err
	}
	i.Time = t
	return nil
}

// parseTime reads a date (its first instant in UTC) or a time as in RFC 3339.
func parseTime(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a date as 2026-11-20 nor a time as 2026-11-20T09:00:00Z", text)
}

type number int

func (n *number) UnmarshalText(text []byte) error {
	v, err := strconv.Atoi(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a whole number", text)
	}
	if v < 1 || v > 1_000_000 {
		return fmt.Errorf("%d is not between 1 and 1000000", v)
	}
	*n = number(v)
	return nil
}

// numberOrOff is 0 when off.
type numberOrOff int

func (n *numberOrOff) UnmarshalText(text []byte) error { return numberOr((*int)(n), text, "off") }

// numberOrFit is 0 for fit.
type numberOrFit int

func (n *numberOrFit) UnmarshalText(text []byte) error { return numberOr((*int)(n), text, "fit") }

func numberOr(into *int, text []byte, zero string) error {
	*into = 0
	if string(text) == zero {
		return nil
	}
	var v number
	if err := v.UnmarshalText(text); err != nil {
		return fmt.Errorf("%w, nor %s", err, zero)
	}
	*into = int(v)
	return nil
}

// store names where the book is: a file, or a Firestore database.
type store struct{ File, Project, Database string }

// defaultStore is the file in the working directory.
const defaultStore = "file:rotator-book.db"

var databasePattern = regexp.MustCompile(`^(\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$`)

func (s *store) UnmarshalText(text []byte) error {
	*s = store{}
	if path, ok := strings.CutPrefix(string(text), "file:"); ok {
		s.File = path
		if path == "" || strings.HasPrefix(path, "//") {
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

// errCredentials: no place of ours takes them, and none is repeated.
var errCredentials = errors.New("it holds a user name or a password; the process's own credentials are used, so leave out what stands before the @")

// address is HOST:PORT of an API; empty for Google's own.
type address string

func (a *address) UnmarshalText(text []byte) error {
	*a = ""
	if string(text) == "google" {
		return nil
	}
	s := string(text)
	if strings.Contains(s, "@") {
		return errCredentials
	}
	if u, err := url.Parse(s); err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && strings.Trim(u.Path, "/") == "" {
		port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
		s = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return fmt.Errorf("%q is not HOST:PORT", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port", port)
	}
	at := address(net.JoinHostPort(host, port))
	if !at.loopback() && !googleHost(host) {
		return fmt.Errorf("%q is neither this machine's loopback nor a host of %s, and nobody else is given credentials", host, theUniverse)
	}
	*a = at
	return nil
}

// loopback says whether the address never leaves this machine.
func (a address) loopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// filePath is a page's file, or "" for none. By its ending a bucket and a browser
// know what it holds.
type filePath string

func (f *filePath) UnmarshalText(text []byte) error {
	*f = ""
	if string(text) == "none" {
		return nil
	}
	switch s := string(text); {
	case strings.Contains(s, "://"):
		return fmt.Errorf("%q is no file; a bucket is mounted first, and then it has a path", text)
	case !strings.HasSuffix(s, ".html") || strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%q does not name a file that ends in .html", text)
	}
	*f = filePath(text)
	return nil
}

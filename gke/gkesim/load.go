package gkesim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/encoding/protojson"
)

// UnnamedProject is where clusters are put whose recording names no project,
// when nobody says which.
const UnnamedProject = "unnamed-project"

// Loaded is one cluster of a fleet that somebody recorded.
type Loaded struct {
	File    string // where it came from
	Project string
	Cluster *containerpb.Cluster // its name and location are set
}

// Problem is something about a fleet's files that people should know. Left
// out says that a cluster, or the whole file, is not in the fleet; otherwise
// the cluster is in it, changed as the text says.
type Problem struct {
	File    string
	What    string
	Do      string // the way out
	LeftOut bool
}

// String gives the problem as one sentence, file first.
func (p Problem) String() string {
	text := p.File + ": " + p.What
	if p.LeftOut {
		text += "; left out"
	}
	if p.Do != "" {
		text += ". " + p.Do
	}
	return text
}

// LoadFleet reads recorded clusters: a file, or every *.json below a folder,
// in the order of their paths. A file holds what gcloud container clusters
// list --format=json prints, the API's own reply, or one cluster. Each
// cluster's project is the one of its selfLink, else the given project. What
// cannot be read is a problem and the rest goes on. An error means that there
// is no fleet at all; the problems then say why.
func LoadFleet(path, project string) ([]Loaded, []Problem, error) {
	files, err := fleetFiles(path)
	if err != nil {
		return nil, nil, err
	}
	l := loader{project: project, seen: map[string]int{}}
	for _, file := range files {
		l.file(file)
	}
	if len(l.clusters) == 0 {
		return nil, l.problems,
			fmt.Errorf("%s holds no cluster that can be read; write one with: gcloud container clusters list --format=json > fleet.json", path)
	}
	return l.clusters, l.problems, nil
}

// AddFleet puts recorded clusters into the world.
func (w *World) AddFleet(fleet []Loaded) error {
	for _, l := range fleet {
		if err := w.Add(l.Project, l.Cluster); err != nil {
			return fmt.Errorf("%s: %w", l.File, err)
		}
	}
	return nil
}

func fleetFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file or folder %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("the fleet cannot be read: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.EqualFold(filepath.Ext(p), ".json") {
			files = append(files, p)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("the fleet cannot be read: %w", err)
	case len(files) == 0:
		return nil, fmt.Errorf("the folder %s holds no *.json file", path)
	}
	return files, nil
}

type loader struct {
	project  string
	seen     map[string]int // full names, and how often each came
	clusters []Loaded
	problems []Problem
}

// leftOut notes a file, or a cluster in it, that is not in the fleet.
func (l *loader) leftOut(file, what, do string) {
	l.problems = append(l.problems, Problem{File: file, What: what, Do: do, LeftOut: true})
}

func (l *loader) file(file string) {
	text, err := os.ReadFile(file) //nolint:gosec // the file that the operator names
	if err != nil {
		l.leftOut(file, "cannot be read: "+err.Error(), "")
		return
	}
	elements, what, do := elementsOf(text)
	if what != "" {
		l.leftOut(file, what, do)
		return
	}
	for i, element := range elements {
		label := ""
		if len(elements) > 1 {
			label = fmt.Sprintf("cluster %d of %d%s: ", i+1, len(elements), nameIn(element))
		}
		l.element(file, label, element)
	}
}

const asGcloud = "Write it with: gcloud container clusters list --format=json"

// elementsOf splits a file into its clusters' texts.
func elementsOf(text []byte) (elements []json.RawMessage, what, do string) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	switch {
	case len(text) == 0:
		return nil, "is empty", asGcloud
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return nil, "is UTF-16, as PowerShell writes it", "Save it as UTF-8"
	case !json.Valid(text):
		return nil, notJSON(text), asGcloud
	}
	var list []json.RawMessage
	if text[0] == '[' {
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, "is no list of clusters: " + err.Error(), asGcloud
		}
	} else {
		list = []json.RawMessage{text}
		var reply struct{ Clusters []json.RawMessage }
		if json.Unmarshal(text, &reply) == nil && reply.Clusters != nil {
			list = reply.Clusters // the API's own reply
		}
	}
	if len(list) == 0 {
		return nil, "lists no cluster", ""
	}
	return list, "", ""
}

func notJSON(text []byte) string {
	err := json.Unmarshal(text, new(any))
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
		return fmt.Sprintf("is not JSON: line %d: %v", line, err)
	}
	return "is not JSON"
}

// nameIn is the cluster's name, for messages about one that does not decode; "" when
// it has none: then the message has its number alone.
func nameIn(text []byte) string {
	var named struct{ Name string }
	if json.Unmarshal(text, &named) != nil || named.Name == "" {
		return ""
	}
	return fmt.Sprintf(" (%q)", named.Name)
}

// element takes in one cluster; label says which of the file's, for messages.
func (l *loader) element(file, label string, text []byte) {
	changed := func(what, do string) {
		l.problems = append(l.problems, Problem{File: file, What: label + what, Do: do})
	}
	pb := &containerpb.Cluster{}
	err := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, pb)
	project := l.place(pb)
	switch {
	case err != nil:
		l.leftOut(file, label+"is no cluster of the GKE API: "+plain(err), "Correct that field, or remove it")
		return
	case pb.GetName() == "":
		l.leftOut(file, label+"names no cluster: the field \"name\" is missing", asGcloud)
		return
	case pb.GetLocation() == "":
		l.leftOut(file, label+`says in no field where it is: "location", "zone" and "selfLink" are missing`,
			`Add "location"`)
		return
	case project == "":
		project = UnnamedProject
		changed(fmt.Sprintf("its selfLink %q names no project, so it plays in %q", pb.GetSelfLink(), project),
			"Name one with --project")
	}
	for i, part := range []string{project, pb.GetLocation(), pb.GetName()} {
		if breaksNames.MatchString(part) || (i < 2 && strings.Contains(part, "~")) ||
			(i == 0 && strings.HasPrefix(part, "__")) || len(part) > maxName || !utf8.ValidString(part) {
			l.leftOut(file, label+fmt.Sprintf("the name %q would break a path or a document id", part),
				"Rename it in the file")
			return
		}
	}
	full := project + "/" + pb.GetLocation() + "/" + pb.GetName()
	l.seen[full]++
	for n := l.seen[full]; n > 1; n++ {
		again := fmt.Sprintf("%s~%d", full, n)
		if l.seen[again] == 0 {
			l.seen[full], l.seen[again] = n, 1
			pb.Name = fmt.Sprintf("%s~%d", pb.GetName(), n)
			changed(fmt.Sprintf("%s is there already, so this one plays as %s", full, again), "")
			break
		}
	}
	l.clusters = append(l.clusters, Loaded{File: file, Project: project, Cluster: pb})
}

// breaksNames is what no part of a cluster's name may hold, odd as recorded
// names are. "~" parts document ids: only a cluster's own name may hold it.
var breaksNames = regexp.MustCompile(`[/\x00-\x1f\x7f]|^\.\.?$|^__.*__$`)

// maxName leaves room for "~2" in the 200 bytes that a name may take.
const maxName = 190

// place sets the location and gives the project, from the selfLink where the
// fields of today are missing.
func (l *loader) place(pb *containerpb.Cluster) (project string) {
	pb.Location = cmp.Or(pb.GetLocation(), pb.GetZone()) //nolint:staticcheck // older recordings have only a zone
	project = l.project
	parts := strings.Split(pb.GetSelfLink(), "/")
	for i, next := range parts[1:] {
		switch parts[i] {
		case "projects":
			project = cmp.Or(next, project)
		case "locations", "zones":
			pb.Location = cmp.Or(pb.GetLocation(), next)
		}
	}
	return project
}

// plain drops what protojson adds to its messages so that nobody compares them,
// and values that may be secrets: a recorded cluster can hold keys and passwords.
func plain(err error) string {
	const token, field, hidden, most = "unexpected token ", " field ", "(not shown)", 40
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	text = strings.TrimSpace(strings.TrimPrefix(text, "proto:"))
	if before, value, ok := strings.Cut(text, token); ok && strings.HasPrefix(value, `"`) {
		return before + token + hidden
	}
	before, after, ok := strings.Cut(text, field)
	name, value, valued := strings.Cut(after, ": ")
	if ok && valued && (secretField.MatchString(name) || len(value) > most) {
		return before + field + name + ": " + hidden
	}
	return text
}

// secretField is a field whose value is never shown.
var secretField = regexp.MustCompile(`(?i)key|cert|password|username|token|secret`)

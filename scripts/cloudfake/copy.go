package cloudfake

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Copy is another cloud with the same in it, nothing recorded and no faults. It
// is not started.
func (f *Fake) Copy() *Fake {
	f.mu.Lock()
	defer f.mu.Unlock()
	other := New()
	other.AllEnabled, other.ticks, other.serial = f.AllEnabled, f.ticks, f.serial
	other.order = slices.Clone(f.order)
	for _, part := range []struct{ from, to map[string]object }{
		{f.objects, other.objects}, {f.policies, other.policies}, {f.documents, other.documents},
	} {
		for key, o := range part.from {
			part.to[key] = clone(o).(object)
		}
	}
	for id, p := range f.projects {
		other.projects[id] = &project{id: p.id, number: p.number, deleted: p.deleted,
			parents: slices.Clone(p.parents), enabled: maps.Clone(p.enabled)}
	}
	for _, e := range f.entries {
		other.entries = append(other.entries, clone(e).(object))
	}
	return other
}

// What two makings of the same thing differ in: etags, times, and numbers that
// the cloud gives.
var accidental = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`"(etag|uid|uniqueId|oauth2ClientId|createTime|updateTime|creationTimestamp)":"[^"]*",?`), ""},
	{regexp.MustCompile(`"(generation|observedGeneration)":\d+,?`), ""},
	{regexp.MustCompile(`\b(alertPolicies|notificationChannels)/\d+`), "$1/N"},
	{regexp.MustCompile(`/triggers/[0-9a-f-]+|"id":"[0-9a-f-]+",`), ""},
}

// State is everything that is there, a resource, a policy or a project's
// services a line, sorted; without what differs from one making to the next.
func (f *Fake) State() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	add := func(kind, key string, value any) {
		text, err := json.Marshal(value)
		if err != nil {
			text = []byte(err.Error())
		}
		line := kind + " " + key + " " + string(text)
		for _, a := range accidental {
			line = a.pattern.ReplaceAllString(line, a.instead)
		}
		lines = append(lines, strings.ReplaceAll(line, ",}", "}"))
	}
	for key, o := range f.objects {
		if !strings.HasPrefix(key, "operation/") {
			add("resource", key, o)
		}
	}
	for key, o := range f.policies {
		if o["bindings"] != nil {
			add("policy", key, o)
		}
	}
	for id, p := range f.projects {
		add("services", id, p.enabled)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

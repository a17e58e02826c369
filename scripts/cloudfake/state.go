package cloudfake

import (
	"slices"
	"strings"
)

// What tests look at and change behind the scripts' back.

// Resource is a copy of a stored resource, nil if it is not there. Name is as in
// the API's paths; for Cloud Run with the region in front, as in
// "us-central1/namespaces/P/jobs/J".
func (f *Fake) Resource(api, name string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, _ := clone(f.objects[api+"/"+name]).(object)
	return o
}

// Edit changes a stored resource as somebody would by hand, unrecorded.
func (f *Fake) Edit(api, name string, change func(resource map[string]any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.objects[api+"/"+name])
}

// Delete takes a resource away as somebody would by hand, unrecorded.
func (f *Fake) Delete(api, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(api + "/" + name)
}

// Names is everything that is there, "API NAME", sorted: the resources and, as
// "API NAME ROLE MEMBER", the bindings. Operations, builds and uploads are left out.
func (f *Fake) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for key, o := range f.objects {
		api, name, _ := strings.Cut(key, "/")
		if api == "operation" || api == "media" || strings.Contains(name, "/builds/") ||
			strings.Contains(name, "/executions/") {
			continue
		}
		if o["deleted"] == true {
			name += " (deleted)"
		}
		all = append(all, api+" "+name)
	}
	for key, p := range f.policies {
		list, _ := p["bindings"].([]any)
		for _, item := range list {
			b := item.(object)
			for _, m := range b["members"].([]any) {
				line := strings.Replace(key, "/", " ", 1) + " " + b["role"].(string) + " " + m.(string)
				if c, ok := b["condition"].(object); ok {
					line += " if " + c["expression"].(string)
				}
				all = append(all, line)
			}
		}
	}
	slices.Sort(all)
	return all
}

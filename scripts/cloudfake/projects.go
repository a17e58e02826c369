package cloudfake

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type project struct {
	id      string
	number  int64
	deleted bool     // asked for, for a month it can be taken back
	parents []string // nearest first: folder/N, organization/N
	enabled map[string]bool
}

// always are the services that a new project has.
var always = []string{
	"cloudapis.googleapis.com", "servicemanagement.googleapis.com", "serviceusage.googleapis.com",
	"storage-api.googleapis.com", "storage-component.googleapis.com", "storage.googleapis.com",
}

// AddProject makes a project. Parents are its ancestors, nearest first, as
// "folder/N" and "organization/N".
func (f *Fake) AddProject(id string, number int64, parents ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &project{id: id, number: number, parents: parents, enabled: map[string]bool{}}
	for _, service := range always {
		p.enabled[service] = true
	}
	f.projects[id] = p
}

// Enable turns services on in a project, as a test's starting state.
func (f *Fake) Enable(id string, services ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, service := range services {
		f.projects[id].enabled[service] = true
	}
}

// Disable turns services off, as somebody might.
func (f *Fake) Disable(id string, services ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, service := range services {
		delete(f.projects[id].enabled, service)
	}
}

// Enabled are the services that are on in a project, sorted.
func (f *Fake) Enabled(id string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var on []string
	for service, yes := range f.projects[id].enabled {
		if yes {
			on = append(on, service)
		}
	}
	slices.Sort(on)
	return on
}

// find takes a project's id or number.
func (f *Fake) find(id string) *project {
	if p := f.projects[id]; p != nil {
		return p
	}
	for _, p := range f.projects {
		if strconv.FormatInt(p.number, 10) == id {
			return p
		}
	}
	return nil
}

// projectIDs puts the id where a path has a project's number.
func (f *Fake) projectIDs(path []string) {
	for i, seg := range path[:len(path)-1] {
		if seg != "projects" && seg != "namespaces" {
			continue
		}
		if p := f.find(path[i+1]); p != nil {
			path[i+1] = p.id
		}
	}
}

// gate refuses what belongs to no project of ours, and APIs that are off there.
func (f *Fake) gate(service string, path []string) error {
	for i, seg := range path[:max(len(path)-1, 0)] {
		if seg != "projects" && seg != "namespaces" {
			continue
		}
		id, _, _ := strings.Cut(path[i+1], ":")
		if id == "-" {
			return nil
		}
		p := f.find(id)
		if p == nil {
			return PermissionDenied("resourcemanager.projects.get", "projects/"+id)
		}
		if service != "" && !f.AllEnabled && !p.enabled[service] {
			return ServiceDisabled(service, p.number)
		}
		return nil
	}
	return nil
}

// parentExists refuses a resource in a parent that is not there.
func (f *Fake) parentExists(name string) error {
	segs := strings.Split(name, "/")
	if len(segs) == 6 && segs[2] == "databases" {
		if f.objects["firestore/"+strings.Join(segs[:4], "/")] == nil {
			return NotFound(strings.Join(segs[:4], "/"))
		}
	}
	return nil
}

func (f *Fake) projectJSON(p *project) object {
	o := object{
		"projectId": p.id, "projectNumber": strconv.FormatInt(p.number, 10), "name": p.id,
		"lifecycleState": "ACTIVE", "createTime": "2026-01-01T00:00:00Z",
	}
	if p.deleted {
		o["lifecycleState"] = "DELETE_REQUESTED"
	}
	if len(p.parents) > 0 {
		kind, id, _ := strings.Cut(p.parents[0], "/")
		o["parent"] = object{"type": kind, "id": id}
	}
	return o
}

func getProject(f *Fake, c *call) (any, error) {
	return f.projectJSON(f.find(c.vars[0])), nil
}

// DeleteProject marks a project for deletion, as somebody would by hand.
func (f *Fake) DeleteProject(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.projects[id].deleted = true
}

func undeleteProject(f *Fake, c *call) (any, error) {
	f.find(c.vars[0]).deleted = false
	return object{}, nil
}

func getAncestry(f *Fake, c *call) (any, error) {
	p := f.find(c.vars[0])
	list := []any{object{"resourceId": object{"type": "project", "id": p.id}}}
	for _, parent := range p.parents {
		kind, id, _ := strings.Cut(parent, "/")
		list = append(list, object{"resourceId": object{"type": kind, "id": id}})
	}
	return object{"ancestor": list}, nil
}

// containerPolicy is the policy of a project, folder or organisation.
func containerPolicy(f *Fake, c *call) (any, error) {
	last, verb := cutVerb(c.path[len(c.path)-1])
	kind := c.path[len(c.path)-2]
	if kind == "projects" {
		last = f.find(last).id
	} else if !f.ancestor(strings.TrimSuffix(kind, "s") + "/" + last) {
		return nil, PermissionDenied("resourcemanager."+kind+"."+verb, kind+"/"+last)
	}
	return f.policy("cloudresourcemanager/"+kind+"/"+last, c, verb)
}

func getContainer(f *Fake, c *call) (any, error) {
	kind, id := c.path[1], c.vars[0]
	if !f.ancestor(strings.TrimSuffix(kind, "s") + "/" + id) {
		return nil, PermissionDenied("resourcemanager."+kind+".get", kind+"/"+id)
	}
	return object{"name": kind + "/" + id, "displayName": kind + "-" + id, "lifecycleState": "ACTIVE"}, nil
}

func (f *Fake) ancestor(name string) bool {
	for _, p := range f.projects {
		if slices.Contains(p.parents, name) {
			return true
		}
	}
	return false
}

var serviceName = regexp.MustCompile(`^[a-z-]+\.googleapis\.com$`)

func (f *Fake) serviceJSON(p *project, service string) object {
	state := "DISABLED"
	if p.enabled[service] || f.AllEnabled {
		state = "ENABLED"
	}
	return object{
		"name":   fmt.Sprintf("projects/%d/services/%s", p.number, service),
		"parent": fmt.Sprintf("projects/%d", p.number),
		"config": object{"name": service, "title": service}, "state": state,
	}
}

func getService(f *Fake, c *call) (any, error) {
	return f.serviceJSON(f.find(c.vars[0]), c.vars[1]), nil
}

func listServices(f *Fake, c *call) (any, error) {
	if c.query.Get("filter") != "state:ENABLED" {
		return nil, InvalidArgument("cloudfake lists enabled services only")
	}
	p := f.find(c.vars[0])
	var on []string
	for service, yes := range p.enabled {
		if yes {
			on = append(on, service)
		}
	}
	slices.Sort(on)
	var list []any
	for _, service := range on {
		list = append(list, f.serviceJSON(p, service))
	}
	return page(c, "services", list), nil
}

// makeAgent makes a service's own account in a project. Nothing is kept: in
// bindings it is there as soon as the service is on.
func makeAgent(f *Fake, c *call) (any, error) {
	p := f.find(c.vars[0])
	if !p.enabled[c.vars[1]] && !f.AllEnabled {
		return nil, ServiceDisabled(c.vars[1], p.number)
	}
	email := fmt.Sprintf("service-%d@%s.iam.gserviceaccount.com", p.number,
		strings.TrimSuffix(c.vars[1], ".googleapis.com"))
	return f.operation(c, "", "google.api.serviceusage.v1beta1.ServiceIdentity",
		object{"email": email, "uniqueId": fmt.Sprint(f.next())}), nil
}

func enableServices(f *Fake, c *call) (any, error) {
	p := f.find(c.vars[0])
	names := c.vars[1:]
	if ids, ok := c.body["serviceIds"].([]any); ok {
		for _, id := range ids {
			names = append(names, fmt.Sprint(id))
		}
	}
	for _, service := range names {
		if !serviceName.MatchString(service) {
			return nil, PermissionDenied("serviceusage.services.enable", service)
		}
	}
	var list []any
	for _, service := range names {
		p.enabled[service] = true
		list = append(list, f.serviceJSON(p, service))
	}
	answer, response := object{"services": list}, "google.api.serviceusage.v1.BatchEnableServicesResponse"
	if c.body["serviceIds"] == nil {
		answer, response = object{"service": list[0]}, "google.api.serviceusage.v1.EnableServiceResponse"
	}
	return f.operation(c, "", response, answer), nil
}

package cloudfake

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// kind is a kind of resource: a REST collection and the few ways in which it
// differs from the others.
type kind struct {
	api     string
	version string // the segments before the name, e.g. "v1"
	parent  string // the collection, "*" for an id: "projects/*/locations/*/jobs"
	service string // must be enabled in the resource's project
	schema  reflect.Type
	idQuery string // query parameter of the new resource's id
	wrap    string // member of create's body that holds the resource
	list    string // member of list's answer, default the collection's last segment
	op      string // type of the long-running operation's response, "" answers at once
	upsert  bool   // PUT of what is not there creates it, of what is there is refused
	iam     bool
	ownName bool // the resource's name field is not its full name

	// id makes the name's last segment from what was sent. Default: idQuery, then
	// the last segment of body's name, else refused.
	id func(f *Fake, c *call, body object) string
	// created and changed complete a resource, or refuse it. old is nil for created.
	created func(f *Fake, name string, o object) error
	changed func(f *Fake, c *call, old, o object) error
	deleted func(f *Fake, name string, old object) (object, error)
	// hidden says that a list leaves a resource out.
	hidden func(c *call, o object) bool
	// missing makes up what is not stored: what always exists.
	missing func(f *Fake, name string) object
	// alias turns the name that was asked for into the one it is stored under.
	alias func(f *Fake, name string) string
}

func (k *kind) key(name string) string { return k.api + "/" + name }

// match says what the wildcards of a pattern stand for in a path. "**" at the end
// takes the rest.
func match(pattern string, path []string) ([]string, bool) {
	var vars []string
	segs := strings.Split(pattern, "/")
	for i, seg := range segs {
		if seg == "**" {
			return append(vars, strings.Join(path[i:], "/")), i < len(path)
		}
		if i >= len(path) {
			return nil, false
		}
		want, wantVerb, _ := strings.Cut(seg, ":")
		got, verb := path[i], ""
		if i == len(path)-1 {
			got, verb = cutVerb(path[i])
		}
		if verb != wantVerb || want != "*" && want != got || got == "" {
			return nil, false
		}
		if want == "*" {
			vars = append(vars, got)
		}
	}
	return vars, len(segs) == len(path)
}

// cutVerb splits off a custom method. Colons of digests are none.
func cutVerb(seg string) (name, verb string) {
	i := strings.LastIndex(seg, ":")
	if i < 0 || strings.HasSuffix(seg[:i], "sha256") {
		return seg, ""
	}
	return seg[:i], seg[i+1:]
}

// dispatch finds who answers: a route of its own, or the store of resources.
func (f *Fake) dispatch(c *call) (any, error) {
	for _, r := range routes {
		if r.api != c.api || r.method != c.method {
			continue
		}
		if vars, ok := match(r.path, c.path); ok {
			c.vars = vars
			if err := f.gate(r.service, c.path); err != nil {
				return nil, err
			}
			return r.do(f, c)
		}
	}
	for _, k := range kinds {
		if k.api != c.api {
			continue
		}
		prefix := k.version + "/" + k.parent
		if vars, ok := match(prefix, c.path); ok {
			c.vars = vars
			return f.collection(k, c)
		}
		if vars, ok := match(prefix+"/*", c.path); ok {
			c.vars = vars
			return f.item(k, c)
		}
		if k.iam {
			for _, verb := range []string{"getIamPolicy", "setIamPolicy"} {
				if _, ok := match(prefix+"/*:"+verb, c.path); ok {
					return f.resourcePolicy(k, c, verb)
				}
			}
		}
	}
	// Not 501, after which gcloud would try again for half a minute.
	return nil, denied(http.StatusBadRequest, "UNIMPLEMENTED", "cloudfake does not know %s %s %s", c.method,
		c.api, strings.Join(c.path, "/"))
}

// name is the resource's name in the request's path.
func (k *kind) name(c *call) string {
	from := strings.Count(k.version, "/") + 1
	last := len(c.path) - 1
	id, _ := cutVerb(c.path[last])
	name := strings.Join(append(slices.Clone(c.path[from:last]), id), "/")
	if c.region != "" {
		name = c.region + "/" + name
	}
	return name
}

func (f *Fake) collection(k *kind, c *call) (any, error) {
	if err := f.gate(k.service, c.path); err != nil {
		return nil, err
	}
	parent := k.name(c)
	switch c.method {
	case http.MethodGet:
		return f.list(k, c, parent)
	case http.MethodPost:
		body := c.body
		if k.wrap != "" {
			body, _ = c.body[k.wrap].(object)
		}
		if body == nil {
			body = object{}
		}
		var id string
		switch {
		case k.id != nil:
			id = k.id(f, c, body)
		case k.idQuery != "":
			id = c.query.Get(k.idQuery)
		default:
			name, _ := body["name"].(string)
			id = name[strings.LastIndex(name, "/")+1:]
		}
		if id == "" {
			return nil, InvalidArgument("The name of the new resource in %s is missing.", parent)
		}
		return f.create(k, c, parent+"/"+id, body)
	}
	return nil, denied(http.StatusMethodNotAllowed, "INVALID_ARGUMENT", "%s is not a method of %s", c.method,
		parent)
}

func (f *Fake) create(k *kind, c *call, name string, body object) (any, error) {
	if err := f.check(k, body); err != nil {
		return nil, err
	}
	if err := f.parentExists(name); err != nil {
		return nil, err
	}
	if _, ok := f.objects[k.key(name)]; ok {
		return nil, AlreadyExists(name)
	}
	o := body
	if !k.ownName {
		o["name"] = name
	}
	if k.created != nil {
		if err := k.created(f, name, o); err != nil {
			return nil, err
		}
	}
	if c.query.Get("validateOnly") == "true" {
		return o, nil
	}
	f.put(k.key(name), o)
	return f.answer(k, c, name, o), nil
}

func (f *Fake) item(k *kind, c *call) (any, error) {
	if err := f.gate(k.service, c.path); err != nil {
		return nil, err
	}
	name := k.name(c)
	if k.alias != nil {
		name = k.alias(f, name)
	}
	old, ok := f.objects[k.key(name)]
	if !ok && k.missing != nil {
		if old = k.missing(f, name); old != nil {
			old["name"], ok = name, true
		}
	}
	if !ok && c.method == http.MethodPut && k.upsert {
		if c.body == nil {
			c.body = object{}
		}
		return f.create(k, c, name, c.body)
	}
	if !ok {
		return nil, NotFound(name)
	}
	switch c.method {
	case http.MethodGet:
		return old, nil
	case http.MethodPatch, http.MethodPut:
		return f.update(k, c, name, old)
	case http.MethodDelete:
		return f.remove(k, c, name, old)
	}
	return nil, denied(http.StatusMethodNotAllowed, "INVALID_ARGUMENT", "%s is not a method of %s", c.method,
		name)
}

func (f *Fake) update(k *kind, c *call, name string, old object) (any, error) {
	if k.upsert && c.method == http.MethodPut {
		return nil, AlreadyExists(name)
	}
	if err := f.check(k, c.body); err != nil {
		return nil, err
	}
	mask := c.query.Get("updateMask")
	o := c.body
	if o == nil {
		o = object{}
	}
	if mask != "" {
		o = merge(old, c.body, strings.Split(mask, ","))
	} else {
		for _, keep := range []string{"createTime", "uid", "id", "writerIdentity", "uniqueId"} {
			if v, ok := old[keep]; ok {
				o[keep] = v
			}
		}
	}
	if !k.ownName {
		o["name"] = name
	}
	if k.changed != nil {
		if err := k.changed(f, c, old, o); err != nil {
			return nil, err
		}
	}
	f.put(k.key(name), o)
	return f.answer(k, c, name, o), nil
}

func (f *Fake) remove(k *kind, c *call, name string, old object) (any, error) {
	answer := object{}
	if k.deleted != nil {
		var err error
		if answer, err = k.deleted(f, name, old); err != nil {
			return nil, err
		}
	}
	if answer["deleted"] == true { // kept, for a while
		f.put(k.key(name), answer)
		return answer, nil
	}
	f.drop(k.key(name))
	if k.op != "" {
		return f.operation(c, name, "google.protobuf.Empty", object{}), nil
	}
	return answer, nil
}

func (f *Fake) answer(k *kind, c *call, name string, o object) object {
	if k.op == "" {
		return o
	}
	return f.operation(c, name, k.op, o)
}

func (f *Fake) list(k *kind, c *call, parent string) (any, error) {
	accept := func(object) bool { return true }
	if filter := c.query.Get("filter"); filter != "" {
		var err error
		if accept, err = parseFilter(filter); err != nil {
			return nil, err
		}
	}
	var found []any
	for _, o := range f.under(k.key(parent) + "/") {
		if (k.hidden == nil || !k.hidden(c, o)) && accept(o) {
			found = append(found, o)
		}
	}
	member := k.list
	if member == "" {
		member = k.parent[strings.LastIndex(k.parent, "/")+1:]
	}
	answer := page(c, member, found)
	if member == "items" { // Kubernetes' lists have metadata
		answer["metadata"] = object{}
	}
	return answer, nil
}

// page cuts a list by pageSize; the token is the number of the next one.
func page(c *call, member string, all []any) object {
	from, _ := strconv.Atoi(c.query.Get("pageToken"))
	size, _ := strconv.Atoi(c.query.Get("pageSize"))
	from = min(from, len(all))
	out := object{}
	if size > 0 && from+size < len(all) {
		out["nextPageToken"] = strconv.Itoa(from + size)
		all = all[:from+size]
	}
	if len(all) > from {
		out[member] = all[from:]
	}
	return out
}

// under are the resources directly below a prefix, in the order of their making.
func (f *Fake) under(prefix string) []object {
	var found []object
	prefix, below, all := strings.Cut(prefix, "/-/") // "-" is every one
	for _, key := range f.order {
		rest, ok := strings.CutPrefix(key, prefix)
		if ok && all {
			_, rest, ok = strings.Cut(rest[1:], "/"+below)
		}
		if ok && !strings.Contains(rest, "/") {
			found = append(found, f.objects[key])
		}
	}
	return found
}

func (f *Fake) put(key string, o object) {
	if _, ok := f.objects[key]; !ok {
		f.order = append(f.order, key)
	}
	f.objects[key] = o
}

// drop forgets a resource, what is below it and its policy.
func (f *Fake) drop(key string) {
	gone := func(k string) bool { return k == key || strings.HasPrefix(k, key+"/") }
	f.order = slices.DeleteFunc(f.order, gone)
	maps.DeleteFunc(f.objects, func(k string, _ object) bool { return gone(k) })
	maps.DeleteFunc(f.policies, func(k string, _ object) bool { return gone(k) })
}

// check refuses a body that does not fit the kind's published message.
func (f *Fake) check(k *kind, body object) error {
	if k.schema == nil {
		return nil
	}
	if err := strict(body, k.schema, ""); err != nil {
		return err
	}
	return limits(k, body)
}

// operation is a long-running one that is done. It can be polled.
func (f *Fake) operation(c *call, name, response string, o object) object {
	parent := name
	if segs := strings.Split(name, "/"); len(segs) > 4 {
		parent = strings.Join(segs[:4], "/") // projects/P/locations/L or projects/P/databases/D
	}
	if c.api == "serviceusage" {
		parent = ""
	}
	full := strings.TrimPrefix(parent+"/operations/op-"+strconv.Itoa(f.next()), "/")
	result := maps.Clone(o)
	result["@type"] = "type.googleapis.com/" + response
	op := object{"name": full, "done": true, "response": result}
	f.objects["operation/"+c.api+"/"+full] = op
	return op
}

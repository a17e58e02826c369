package cloudfake

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

func joinFrom(path []string, n int) string { return strings.Join(path[n:], "/") }

func iamRoutes() []route {
	const api, service = "iam", "iam.googleapis.com"
	list := []route{
		{api, post, "v1/permissions:queryTestablePermissions", "", func(*Fake, *call) (any, error) {
			return object{}, nil // none is in testing, none is refused
		}},
	}
	for _, parent := range []string{"projects", "organizations"} {
		list = append(list,
			route{api, post, "v1/" + parent + "/*/roles", service, createRole},
			route{api, post, "v1/" + parent + "/*/roles/*:undelete", service, undeleteRole})
	}
	for _, verb := range []string{"disable", "enable"} {
		list = append(list, route{api, post, "v1/projects/*/serviceAccounts/*:" + verb, service,
			func(f *Fake, c *call) (any, error) {
				name := accountAlias(f, "projects/"+c.vars[0]+"/serviceAccounts/"+c.vars[1])
				o, ok := f.objects["iam/"+name]
				if !ok {
					return nil, NotFound(name)
				}
				o["disabled"] = verb == "disable"
				return object{}, nil
			}})
	}
	return list
}

func accountID(_ *Fake, c *call, _ object) string {
	id, _ := c.body["accountId"].(string)
	return id + "@" + c.vars[0] + ".iam.gserviceaccount.com"
}

var accountPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{4,28}[a-z0-9]$`)

func accountCreated(f *Fake, name string, o object) error {
	email := name[strings.LastIndex(name, "/")+1:]
	id, domain, _ := strings.Cut(email, "@")
	if !accountPattern.MatchString(id) {
		return InvalidArgument("The account ID \"%s\" does not have a length between 6 and 30 or has letters it may not have.", id)
	}
	o["email"], o["projectId"] = email, strings.Split(domain, ".")[0]
	o["uniqueId"] = fmt.Sprintf("1%020d", f.next())
	o["oauth2ClientId"], o["etag"] = o["uniqueId"], f.etag()
	return nil
}

func accountDeleted(f *Fake, _ string, old object) (object, error) {
	f.accountGone(old["email"].(string), old["uniqueId"].(string))
	return object{}, nil
}

// accountAlias finds an account by its email or unique id, in project "-" too.
func accountAlias(f *Fake, name string) string {
	segs := strings.Split(name, "/")
	for _, p := range f.projects {
		for _, o := range f.under("iam/projects/" + p.id + "/serviceAccounts/") {
			if (segs[1] == "-" || segs[1] == p.id) && (o["email"] == segs[3] || o["uniqueId"] == segs[3]) {
				return o["name"].(string)
			}
		}
	}
	return name
}

func roleID(_ *Fake, c *call, _ object) string {
	id, _ := c.body["roleId"].(string)
	return id
}

// createRole refuses what IAM refuses with other words than the usual ones.
func createRole(f *Fake, c *call) (any, error) {
	id := roleID(f, c, nil)
	name := joinFrom(c.path, 1) + "/" + id
	if old, ok := f.objects["iam/"+name]; ok {
		if old["deleted"] == true {
			return nil, FailedPrecondition("You can't create a role with role_id (%s) where there is an existing role with that role_id in a deleted state.", id)
		}
		owner, _, _ := strings.Cut(name, "/roles/")
		return nil, denied(http.StatusConflict, "ALREADY_EXISTS", "A role named %s in %s already exists.", id,
			owner)
	}
	for _, k := range iamKinds() {
		if _, ok := match(k.version+"/"+k.parent, c.path); ok {
			return f.collection(k, c)
		}
	}
	return nil, NotFound(name)
}

var permission = regexp.MustCompile(`^[a-z][a-zA-Z0-9-]*(\.[a-zA-Z0-9-]+)+\.[a-zA-Z]+$`)

func permitted(name string, o object) error {
	list, _ := o["includedPermissions"].([]any)
	for _, p := range list {
		text := fmt.Sprint(p)
		// resourcemanager.projects.list is for organisations' roles only.
		if !permission.MatchString(text) || strings.HasPrefix(name, "projects/") &&
			text == "resourcemanager.projects.list" {
			return InvalidArgument("Permission %s is not valid.", text)
		}
	}
	return nil
}

func roleCreated(f *Fake, name string, o object) error {
	o["etag"] = f.etag()
	return permitted(name, o)
}

func roleChanged(f *Fake, _ *call, old, o object) error {
	if old["deleted"] == true {
		return FailedPrecondition("You can't update a role that is in a deleted state.")
	}
	if etag, ok := o["etag"]; ok && etag != old["etag"] {
		return denied(http.StatusConflict, "ABORTED", "There were concurrent policy changes.")
	}
	o["etag"] = f.etag()
	return permitted(o["name"].(string), o)
}

func roleDeleted(f *Fake, _ string, old object) (object, error) {
	if old["deleted"] == true {
		return nil, FailedPrecondition("The role is already in a deleted state.")
	}
	gone := object{"deleted": true}
	for key, value := range old {
		gone[key] = value
	}
	gone["etag"] = f.etag()
	return gone, nil
}

func undeleteRole(f *Fake, c *call) (any, error) {
	name, _ := cutVerb(joinFrom(c.path, 1))
	o, ok := f.objects["iam/"+name]
	if !ok {
		return nil, NotFound(name)
	}
	if o["deleted"] != true {
		return nil, FailedPrecondition("You can't undelete a role that is not in a deleted state.")
	}
	back := object{}
	for key, value := range o {
		if key != "deleted" {
			back[key] = value
		}
	}
	back["etag"] = f.etag()
	f.put("iam/"+name, back)
	return back, nil
}

func roleHidden(c *call, o object) bool {
	all, _ := strconv.ParseBool(c.query.Get("showDeleted"))
	return o["deleted"] == true && !all
}

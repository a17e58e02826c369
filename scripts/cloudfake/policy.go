package cloudfake

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	crm "google.golang.org/api/cloudresourcemanager/v3"
)

// resourcePolicy reads or sets the IAM policy of a stored resource.
func (f *Fake) resourcePolicy(k *kind, c *call, verb string) (any, error) {
	if err := f.gate(k.service, c.path); err != nil {
		return nil, err
	}
	name := k.name(c)
	if k.alias != nil {
		name = k.alias(f, name)
	}
	if _, ok := f.objects[k.key(name)]; !ok {
		return nil, NotFound(name)
	}
	return f.policy(k.key(name), c, verb)
}

// policy reads or sets the policy kept under a key.
func (f *Fake) policy(key string, c *call, verb string) (any, error) {
	if verb == "getIamPolicy" {
		return f.policyOf(key), nil
	}
	wanted, _ := c.body["policy"].(object)
	if wanted == nil {
		return nil, InvalidArgument("setIamPolicy without a policy")
	}
	if err := strict(wanted, reflect.TypeFor[crm.Policy](), "policy"); err != nil {
		return nil, err
	}
	if etag, ok := wanted["etag"]; ok && etag != f.policyOf(key)["etag"] {
		return nil, denied(http.StatusConflict, "ABORTED",
			"There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.")
	}
	bindings, err := f.bindings(key, wanted)
	if err != nil {
		return nil, err
	}
	policy := object{"version": 1, "etag": f.etag()}
	if len(bindings) > 0 {
		policy["bindings"] = bindings
	}
	for _, b := range bindings {
		if b.(object)["condition"] != nil {
			policy["version"] = 3
		}
	}
	if audit, ok := wanted["auditConfigs"]; ok {
		policy["auditConfigs"] = audit
	}
	f.policies[key] = policy
	return policy, nil
}

func (f *Fake) policyOf(key string) object {
	if p, ok := f.policies[key]; ok {
		return p
	}
	p := object{"etag": "ACAB", "version": 1}
	f.policies[key] = p
	return p
}

// bindings are the wanted ones as IAM keeps them: one for each role and
// condition, no member twice, none empty.
func (f *Fake) bindings(key string, wanted object) ([]any, error) {
	version, _ := wanted["version"].(float64)
	list, _ := wanted["bindings"].([]any)
	byKey := map[string]object{}
	var keys []string
	for _, item := range list {
		b, _ := item.(object)
		role, _ := b["role"].(string)
		if err := f.bindable(key, role); err != nil {
			return nil, err
		}
		id := role
		if b["condition"] != nil {
			if version != 3 {
				return nil, InvalidArgument("Specified policy version (%v) cannot contain bindings with conditions. Version must be 3.", version)
			}
			id += fmt.Sprint(b["condition"])
		}
		if byKey[id] == nil {
			byKey[id] = object{"role": role, "members": []any{}}
			if b["condition"] != nil {
				byKey[id]["condition"] = b["condition"]
			}
			keys = append(keys, id)
		}
		members, _ := b["members"].([]any)
		for _, m := range members {
			if err := f.memberExists(fmt.Sprint(m)); err != nil {
				return nil, err
			}
			if have := byKey[id]["members"].([]any); !slices.Contains(have, m) {
				byKey[id]["members"] = append(have, m)
			}
		}
	}
	slices.Sort(keys)
	var out []any
	for _, id := range keys {
		if len(byKey[id]["members"].([]any)) > 0 {
			out = append(out, byKey[id])
		}
	}
	return out, nil
}

// bindable refuses a custom role that does not exist or belongs elsewhere.
func (f *Fake) bindable(key, role string) error {
	if strings.HasPrefix(role, "roles/") {
		return nil
	}
	o, ok := f.objects["iam/"+role]
	if !ok || o["deleted"] == true {
		return InvalidArgument("Role %s is not supported for this resource.", role)
	}
	if owner, _, _ := strings.Cut(role, "/roles/"); strings.HasPrefix(owner, "projects/") &&
		!strings.Contains(key+"/", "/"+owner+"/") &&
		!strings.Contains(key, "/namespaces/"+strings.TrimPrefix(owner, "projects/")+"/") {
		return InvalidArgument("Role %s is not supported for this resource.", role)
	}
	return nil
}

// agents are the service agents and the service whose enabling makes them.
var agents = map[string]string{
	"serverless-robot-prod": "run", "gcp-sa-cloudscheduler": "cloudscheduler", "gcp-sa-cloudbuild": "cloudbuild",
	"gcp-sa-logging": "logging", "gcp-sa-pubsub": "pubsub", "gcp-sa-artifactregistry": "artifactregistry",
}

var agentAccount = regexp.MustCompile(`^serviceAccount:(service-(\d+)@([a-z-]+)\.iam\.gserviceaccount\.com)$`)

var userAccount = regexp.MustCompile(`^serviceAccount:([^@]+@([^.@]+)\.iam\.gserviceaccount\.com)$`)

// memberExists refuses accounts of known projects that were never made, and
// service agents of services that are off. Everybody else is taken on trust.
func (f *Fake) memberExists(member string) error {
	if m := agentAccount.FindStringSubmatch(member); m != nil {
		p, service := f.find(m[2]), agents[m[3]]
		if p != nil && service != "" && !f.AllEnabled && !p.enabled[service+".googleapis.com"] {
			return InvalidArgument("Service account %s does not exist.", m[1])
		}
		return nil
	}
	m := userAccount.FindStringSubmatch(member)
	if m == nil {
		if !strings.Contains(member, ":") && member != "allUsers" && member != "allAuthenticatedUsers" {
			return InvalidArgument("Invalid member %s", member)
		}
		return nil
	}
	if f.projects[m[2]] == nil {
		return nil
	}
	if _, ok := f.objects["iam/projects/"+m[2]+"/serviceAccounts/"+m[1]]; !ok {
		return InvalidArgument("Service account %s does not exist.", m[1])
	}
	return nil
}

// accountGone turns a deleted account's bindings into those of a deleted member,
// as IAM does.
func (f *Fake) accountGone(email, uid string) {
	for _, p := range f.policies {
		list, _ := p["bindings"].([]any)
		for _, b := range list {
			members := b.(object)["members"].([]any)
			for i, m := range members {
				if m == "serviceAccount:"+email {
					members[i] = "deleted:serviceAccount:" + email + "?uid=" + uid
				}
			}
		}
	}
}

package cloudfake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// What is particular to Firestore, Scheduler, Monitoring and Logging.

func dataRoutes() []route {
	const docs = "v1/projects/*/databases/*/documents/**"
	list := []route{
		{"firestore", get, docs, "firestore.googleapis.com", getDocuments},
		{"firestore", get, "v1/projects/*/databases/*/documents/*", "firestore.googleapis.com", getDocuments},
		{"logging", post, "v2/entries:list", "", listEntries},
	}
	for _, verb := range []string{"pause", "resume", "run"} {
		list = append(list, route{"cloudscheduler", post, "v1/projects/*/locations/*/jobs/*:" + verb,
			"cloudscheduler.googleapis.com",
			func(f *Fake, c *call) (any, error) {
				name, _ := cutVerb(joinFrom(c.path, 1))
				o, ok := f.objects["cloudscheduler/"+name]
				if !ok {
					return nil, NotFound(name)
				}
				switch verb {
				case "pause":
					o["state"] = "PAUSED"
				case "resume":
					o["state"] = "ENABLED"
				}
				return o, nil
			}})
	}
	return list
}

func databaseCreated(f *Fake, _ string, o object) error {
	if o["locationId"] == nil || o["type"] == nil {
		return InvalidArgument("A database needs locationId and type.")
	}
	o["uid"], o["etag"], o["createTime"] = fmt.Sprintf("00000000-0000-4000-8000-%012d", f.next()), f.etag(),
		f.now()
	for key, value := range map[string]string{
		"deleteProtectionState":         "DELETE_PROTECTION_DISABLED",
		"pointInTimeRecoveryEnablement": "POINT_IN_TIME_RECOVERY_DISABLED",
		"databaseEdition":               "STANDARD", "concurrencyMode": "PESSIMISTIC",
		"versionRetentionPeriod": "3600s",
	} {
		if o[key] == nil {
			o[key] = value
		}
	}
	return nil
}

func databaseChanged(f *Fake, _ *call, old, o object) error {
	for _, fixed := range []string{"locationId", "type", "databaseEdition"} {
		if o[fixed] != old[fixed] {
			return InvalidArgument("%s of a database cannot be changed.", fixed)
		}
	}
	o["etag"] = f.etag()
	return nil
}

func databaseDeleted(_ *Fake, name string, old object) (object, error) {
	if old["deleteProtectionState"] == "DELETE_PROTECTION_ENABLED" {
		return nil, FailedPrecondition("Database '%s' has delete protection enabled. Disable it before deleting the database.", name)
	}
	return object{}, nil
}

func fieldMissing(f *Fake, name string) object {
	if f.objects["firestore/"+strings.Join(strings.Split(name, "/")[:4], "/")] == nil {
		return nil
	}
	return object{"indexConfig": object{"usesAncestorConfig": true}}
}

func fieldChanged(_ *Fake, _ *call, _, o object) error {
	if ttl, ok := o["ttlConfig"].(object); ok {
		o["ttlConfig"] = object{"state": "ACTIVE"}
		if ttl["expirationOffset"] != nil {
			o["ttlConfig"].(object)["expirationOffset"] = ttl["expirationOffset"]
		}
	}
	return nil
}

// SetDocument puts a document into a database; the fields are in Firestore's
// JSON, e.g. {"phase": {"stringValue": "soaking"}}. Path is "rotations/ID". Without
// fields the document goes.
func (f *Fake) SetDocument(project, database, path string, fields map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := "projects/" + project + "/databases/" + database + "/documents/" + path
	if fields == nil {
		delete(f.documents, name)
		return
	}
	f.documents[name] = object{"name": name, "fields": fields, "createTime": f.now(), "updateTime": f.now()}
}

func getDocuments(f *Fake, c *call) (any, error) {
	name := joinFrom(c.path, 1)
	database := strings.Join(c.path[1:5], "/")
	if f.objects["firestore/"+database] == nil {
		return nil, denied(http.StatusNotFound, "NOT_FOUND", "The database %s does not exist for project %s",
			c.vars[1], c.vars[0])
	}
	if len(c.path)%2 == 0 { // v1, projects P, databases D, documents, and pairs: a document
		if o, ok := f.documents[name]; ok {
			return o, nil
		}
		return nil, denied(http.StatusNotFound, "NOT_FOUND", "Document \"%s\" not found.", name)
	}
	var ids []string
	for id := range f.documents {
		if rest, ok := strings.CutPrefix(id, name+"/"); ok && !strings.Contains(rest, "/") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var list []any
	for _, id := range ids {
		list = append(list, masked(f.documents[id], c.query["mask.fieldPaths"]))
	}
	return page(c, "documents", list), nil
}

func masked(o object, paths []string) object {
	if len(paths) == 0 {
		return o
	}
	fields := object{}
	all, _ := o["fields"].(object)
	for _, p := range paths {
		if v, ok := all[p]; ok {
			fields[p] = v
		}
	}
	return object{"name": o["name"], "fields": fields, "createTime": o["createTime"],
		"updateTime": o["updateTime"]}
}

func scheduleCreated(f *Fake, name string, o object) error {
	if o["schedule"] == nil || o["httpTarget"] == nil && o["pubsubTarget"] == nil {
		return InvalidArgument("A job needs a schedule and a target.")
	}
	if len(strings.Fields(fmt.Sprint(o["schedule"]))) != 5 {
		return InvalidArgument("Schedule or time zone is invalid.")
	}
	if target, ok := o["httpTarget"].(object); ok {
		if token, ok := target["oauthToken"].(object); ok {
			email := fmt.Sprint(token["serviceAccountEmail"])
			if err := f.memberExists("serviceAccount:" + email); err != nil {
				return err
			}
			if m := userAccount.FindStringSubmatch("serviceAccount:" + email); m != nil &&
				!strings.HasPrefix(name, "projects/"+m[2]+"/") {
				return InvalidArgument("The service account %s is not of the job's project.", email)
			}
		}
	}
	if o["state"] == nil {
		o["state"] = "ENABLED"
	}
	if o["timeZone"] == nil {
		o["timeZone"] = "UTC"
	}
	o["userUpdateTime"] = f.now()
	return nil
}

func scheduleChanged(f *Fake, _ *call, old, o object) error {
	o["state"] = old["state"]
	return scheduleCreated(f, o["name"].(string), o)
}

func numbered(f *Fake, _ *call, _ object) string { return fmt.Sprint(1000000000 + f.next()) }

func alertCreated(f *Fake, name string, o object) error {
	conditions, _ := o["conditions"].([]any)
	documentation, _ := o["documentation"].(object)
	if text, ok := documentation["content"].(string); ok && utf8.RuneCountInString(text) > 8192 ||
		len(conditions) > 6 {
		return InvalidArgument("Field alert_policy: no more than 6 conditions and 8192 characters of documentation.")
	}
	if len(conditions) == 0 || o["combiner"] == nil || o["displayName"] == nil {
		return InvalidArgument("Field alert_policy needs display_name, combiner and at least one condition.")
	}
	project, _, _ := strings.Cut(name, "/alertPolicies/")
	channels, _ := o["notificationChannels"].([]any)
	for _, channel := range channels {
		if f.objects["monitoring/"+fmt.Sprint(channel)] == nil {
			return InvalidArgument("Field alert_policy.notification_channels had an invalid value: could not find %s in %s.", channel, project)
		}
	}
	for i, item := range conditions {
		condition := item.(object)
		if condition["conditionPrometheusQueryLanguage"] != nil && len(conditions) > 1 {
			return InvalidArgument("A policy with a PromQL condition has only this condition.")
		}
		match := condition["conditionMatchedLog"] != nil
		strategy, _ := o["alertStrategy"].(object)
		if limited := strategy["notificationRateLimit"] != nil; limited != match {
			return InvalidArgument("notification_rate_limit must be set for log match policies and for no other.")
		}
		if condition["name"] == nil {
			condition["name"] = fmt.Sprintf("%s/conditions/%d", name, i+1)
		}
	}
	if o["enabled"] == nil {
		o["enabled"] = true
	}
	return nil
}

func alertChanged(f *Fake, _ *call, _, o object) error {
	return alertCreated(f, o["name"].(string), o)
}

func channelCreated(_ *Fake, _ string, o object) error {
	if o["type"] == nil {
		return InvalidArgument("Field notification_channel.type is missing.")
	}
	if o["enabled"] == nil {
		o["enabled"] = true
	}
	return nil
}

// channelDeleted refuses while a policy notifies the channel.
func channelDeleted(f *Fake, name string, _ object) (object, error) {
	project, _, _ := strings.Cut(name, "/notificationChannels/")
	for _, policy := range f.under("monitoring/" + project + "/alertPolicies/") {
		channels, _ := policy["notificationChannels"].([]any)
		if slices.Contains(channels, any(name)) {
			return nil, FailedPrecondition("Cannot delete notification channel %s: it is used by %s.", name,
				policy["name"])
		}
	}
	return object{}, nil
}

func dashboardID(f *Fake, c *call, body object) string {
	name, _ := body["name"].(string)
	if name == "" {
		return numbered(f, c, body)
	}
	return name[strings.LastIndex(name, "/")+1:]
}

func dashboardCreated(f *Fake, _ string, o object) error {
	if o["displayName"] == nil {
		return InvalidArgument("Field dashboard.displayName is missing.")
	}
	o["etag"] = f.etag()
	return nil
}

// dashboardChanged wants the etag of the dashboard as it is.
func dashboardChanged(f *Fake, _ *call, old, o object) error {
	if o["etag"] != old["etag"] {
		return denied(http.StatusConflict, "ABORTED",
			"The etag of the dashboard is missing or not the current one.")
	}
	return dashboardCreated(f, "", o)
}

func sinkCreated(f *Fake, name string, o object) error {
	if o["destination"] == nil {
		return InvalidArgument("Field sink.destination is missing.")
	}
	kind, id, _ := strings.Cut(strings.Split(name, "/sinks/")[0], "/")
	if p := f.find(id); kind == "projects" && p != nil {
		id = fmt.Sprint(p.number)
	}
	prefix := map[string]string{"projects": "service-", "folders": "service-folder-",
		"organizations": "service-org-"}[kind]
	o["writerIdentity"] = "serviceAccount:" + prefix + id + "@gcp-sa-logging.iam.gserviceaccount.com"
	o["name"] = name[strings.LastIndex(name, "/")+1:]
	o["resourceName"] = name
	o["createTime"], o["updateTime"] = f.now(), f.now()
	return nil
}

func sinkChanged(f *Fake, c *call, _, o object) error {
	return sinkCreated(f, joinFrom(c.path, 1), o)
}

// AddEntry makes a log entry that gcloud logging read finds. The filter that is
// asked for is recorded, not applied, but for the project of logName.
func (f *Fake) AddEntry(entry map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries = append(f.entries, entry)
}

func listEntries(f *Fake, c *call) (any, error) {
	names, _ := c.body["resourceNames"].([]any)
	if len(names) == 0 {
		return nil, InvalidArgument("entries:list without resourceNames")
	}
	var list []any
	for _, name := range names {
		if err := f.gate("logging.googleapis.com", append(strings.Split(fmt.Sprint(name), "/"),
			"entries")); err != nil {
			return nil, err
		}
		for _, e := range f.entries {
			if log, _ := e["logName"].(string); log == "" || strings.HasPrefix(log, fmt.Sprint(name)+"/") {
				list = append(list, e)
			}
		}
	}
	if order, _ := c.body["orderBy"].(string); strings.HasSuffix(order, "desc") {
		slices.Reverse(list)
	}
	if size, ok := c.body["pageSize"].(float64); ok && int(size) < len(list) && size > 0 {
		list = list[:int(size)]
	}
	return object{"entries": list}, nil
}

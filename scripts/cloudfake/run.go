package cloudfake

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strings"

	run "google.golang.org/api/run/v1"
)

const runService = "run.googleapis.com"

func runRoutes() []route {
	const base = "apis/run.googleapis.com/v1/namespaces/*/"
	return []route{
		{"run", post, base + "jobs/*:run", runService, runJob},
		{"run", post, base + "executions/*:cancel", runService, cancelExecution},
		{"run", get, "v1/projects/*/locations/*/jobs/*:getIamPolicy", runService, jobPolicy},
		{"run", post, "v1/projects/*/locations/*/jobs/*:setIamPolicy", runService, jobPolicy},
	}
}

func metadataName(_ *Fake, _ *call, body object) string {
	meta, _ := body["metadata"].(object)
	name, _ := meta["name"].(string)
	return name
}

func jobCreated(f *Fake, name string, o object) error {
	return f.completeJob(name, o, object{"generation": 0})
}

func jobChanged(f *Fake, c *call, old, o object) error {
	name := joinFrom(c.path, 3)
	meta := old["metadata"].(object)
	sent, _ := o["metadata"].(object)
	if version, ok := sent["resourceVersion"]; ok && version != meta["resourceVersion"] {
		return denied(http.StatusConflict, "ABORTED",
			"Conflict for resource '%s': version '%s' was specified but current version is '%s'.", name, version,
			meta["resourceVersion"])
	}
	if err := f.completeJob(c.region+"/"+name, o, meta); err != nil {
		return err
	}
	status, _ := old["status"].(object)
	for _, keep := range []string{"latestCreatedExecution", "executionCount"} {
		if v, ok := status[keep]; ok {
			o["status"].(object)[keep] = v
		}
	}
	return nil
}

// completeJob fills in what Cloud Run fills in and refuses an account or an image
// that is not there, where the fake knows the project.
func (f *Fake) completeJob(name string, o, was object) error {
	task, err := taskSpec(o)
	if err != nil {
		return err
	}
	if account, ok := task["serviceAccountName"].(string); ok {
		if err := f.memberExists("serviceAccount:" + account); err != nil {
			return err
		}
	}
	meta := maps.Clone(o["metadata"].(object))
	meta["namespace"] = fmt.Sprint(f.find(strings.Split(name, "/")[2]).number)
	generation, _ := was["generation"].(int)
	meta["generation"] = generation + 1
	meta["resourceVersion"] = f.etag()
	meta["uid"], meta["creationTimestamp"] = was["uid"], was["creationTimestamp"]
	if meta["uid"] == nil {
		meta["uid"], meta["creationTimestamp"] = fmt.Sprintf("00000000-0000-4000-9000-%012d", f.next()), f.now()
	}
	o["metadata"] = meta
	o["status"] = object{
		"observedGeneration": generation + 1,
		"conditions":         []any{object{"type": "Ready", "status": "True", "lastTransitionTime": f.now()}},
	}
	return nil
}

func taskSpec(job object) (object, error) {
	at := any(job)
	for _, key := range []string{"spec", "template", "spec", "template", "spec"} {
		o, _ := at.(object)
		at = o[key]
	}
	task, _ := at.(object)
	containers, _ := task["containers"].([]any)
	if len(containers) == 0 {
		return nil, InvalidArgument("spec.template.spec.template.spec.containers: the job must have a container.")
	}
	return task, nil
}

func jobDeleted(f *Fake, name string, _ object) (object, error) {
	prefix, job, _ := strings.Cut(name, "/jobs/")
	for _, e := range f.under("run/" + prefix + "/executions/") {
		meta := e["metadata"].(object)
		if meta["labels"].(object)["run.googleapis.com/job"] == job {
			f.drop("run/" + prefix + "/executions/" + meta["name"].(string))
		}
	}
	return object{"kind": "Status", "status": "Success"}, nil
}

// jobPolicy is the policy of a job, which IAM names by project and location.
func jobPolicy(f *Fake, c *call) (any, error) {
	id, verb := cutVerb(c.vars[2])
	if verb == "" {
		_, verb = cutVerb(c.path[len(c.path)-1])
	}
	key := fmt.Sprintf("run/%s/namespaces/%s/jobs/%s", c.vars[1], c.vars[0], id)
	if f.objects[key] == nil {
		return nil, NotFound(joinFrom(c.path, 1))
	}
	return f.policy(key, c, verb)
}

// runJob makes an execution. It has ended when the answer is sent, well or badly
// as ExecutionResult says.
func runJob(f *Fake, c *call) (any, error) {
	prefix := c.region + "/namespaces/" + c.vars[0]
	job, ok := f.objects["run/"+prefix+"/jobs/"+c.vars[1]]
	if !ok {
		return nil, NotFound(prefix + "/jobs/" + c.vars[1])
	}
	if err := strict(c.body, reflect.TypeFor[run.RunJobRequest](), ""); err != nil {
		return nil, err
	}
	args := overriding(c.body)
	e := f.addExecution(prefix, c.vars[1], job)
	var err error
	if f.ExecutionResult != nil {
		err = f.ExecutionResult(c.vars[1], args)
	}
	f.endExecution(e, err)
	of := job["status"].(object)
	of["latestCreatedExecution"] = executionReference(e)
	n, _ := of["executionCount"].(int)
	of["executionCount"] = n + 1
	return e, nil
}

// ErrRunning is what ExecutionResult says of an execution that does not end by itself.
var ErrRunning = errors.New("still running")

// endExecution writes down how an execution ended.
func (f *Fake) endExecution(e object, err error) {
	condition := func(kind, status string) object {
		return object{"type": kind, "status": status, "lastTransitionTime": f.now()}
	}
	status, done := e["status"].(object), condition("Completed", "True")
	switch {
	case errors.Is(err, ErrRunning):
		done["status"], status["runningCount"] = "Unknown", 1
	case err != nil:
		done["status"], done["reason"], done["message"] = "False", "NonZeroExitCode", err.Error()
		status["failedCount"] = 1
	default:
		status["succeededCount"] = 1
	}
	if done["status"] != "Unknown" {
		status["completionTime"] = f.now()
		delete(status, "runningCount")
	}
	status["conditions"] = []any{done, condition("ResourcesAvailable", "True"), condition("Started", "True")}
}

func executionReference(e object) object {
	meta, status := e["metadata"].(object), e["status"].(object)
	ref := object{"name": meta["name"], "creationTimestamp": meta["creationTimestamp"],
		"completionStatus": "EXECUTION_RUNNING"}
	if at, ok := status["completionTime"]; ok {
		ref["completionTimestamp"], ref["completionStatus"] = at, "EXECUTION_SUCCEEDED"
		if status["succeededCount"] == nil {
			ref["completionStatus"] = "EXECUTION_FAILED"
		}
	}
	return ref
}

// cancelExecution ends an execution that is running.
func cancelExecution(f *Fake, c *call) (any, error) {
	name := c.region + "/namespaces/" + c.vars[0] + "/executions/" + c.vars[1]
	e, ok := f.objects["run/"+name]
	if !ok {
		return nil, NotFound(name)
	}
	if e["status"].(object)["completionTime"] != nil {
		return nil, FailedPrecondition("Execution %s has ended.", c.vars[1])
	}
	f.finish(e, errors.New("cancelled"))
	e["status"].(object)["conditions"].([]any)[0].(object)["reason"] = "Cancelled"
	return e, nil
}

// FinishExecution ends a running execution, well or with an error, as if its
// container had.
func (f *Fake) FinishExecution(project, region, execution string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finish(f.objects["run/"+region+"/namespaces/"+project+"/executions/"+execution], err)
}

func (f *Fake) finish(e object, err error) {
	f.endExecution(e, err)
	meta := e["metadata"].(object)
	labels := meta["labels"].(object)
	p := f.find(fmt.Sprint(meta["namespace"]))
	key := fmt.Sprintf("run/%s/namespaces/%s/jobs/%s", labels["cloud.googleapis.com/location"], p.id,
		labels["run.googleapis.com/job"])
	job, ok := f.objects[key]
	if !ok {
		return
	}
	if ref, _ := job["status"].(object)["latestCreatedExecution"].(object); ref["name"] == meta["name"] {
		job["status"].(object)["latestCreatedExecution"] = executionReference(e)
	}
}

func overriding(body object) []string {
	overrides, _ := body["overrides"].(object)
	containers, _ := overrides["containerOverrides"].([]any)
	var args []string
	for _, item := range containers {
		list, _ := item.(object)["args"].([]any)
		for _, a := range list {
			args = append(args, fmt.Sprint(a))
		}
	}
	return args
}

func (f *Fake) addExecution(prefix, job string, of object) object {
	meta := of["metadata"].(object)
	name := fmt.Sprintf("%s-%05d", job, f.next())
	region, _, _ := strings.Cut(prefix, "/")
	template := of["spec"].(object)["template"].(object)
	e := object{
		"apiVersion": "run.googleapis.com/v1", "kind": "Execution",
		"metadata": object{
			"name": name, "namespace": meta["namespace"], "uid": fmt.Sprintf("00000000-0000-4000-a000-%012d",
				f.next()),
			"creationTimestamp": f.now(), "generation": 1,
			"labels": object{"run.googleapis.com/job": job, "run.googleapis.com/jobUid": meta["uid"],
				"cloud.googleapis.com/location": region},
			"annotations": object{},
		},
		"spec": template["spec"],
		"status": object{"observedGeneration": 1, "startTime": f.now(),
			"logUri": "https://console.cloud.google.com/logs/" + name},
	}
	f.put("run/"+prefix+"/executions/"+name, e)
	return e
}

func otherJobs(c *call, e object) bool {
	key, job, ok := strings.Cut(c.query.Get("labelSelector"), "=")
	if !ok {
		return false
	}
	key = strings.TrimSpace(key)
	return e["metadata"].(object)["labels"].(object)[key] != strings.TrimSpace(strings.TrimPrefix(job, "="))
}

// AddExecution is an execution of a job that happened before the test: err is how
// it ended.
func (f *Fake) AddExecution(project, region, job string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	result := f.ExecutionResult
	defer func() { f.ExecutionResult = result }()
	f.ExecutionResult = func(string, []string) error { return err }
	_, _ = runJob(f, &call{region: region, vars: []string{project, job}})
}

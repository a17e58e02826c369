package scripts_test

import (
	"regexp"
	"strings"
	"testing"

	"gke-credential-rotator/scripts/cloudfake"
)

// said fails where a script ended otherwise or did not say all of these.
func said(t *testing.T, r result, status int, words ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("status %d, want %d\n%s%s", r.status, status, r.stdout, r.stderr)
	}
	for _, w := range words {
		if !strings.Contains(r.stdout+r.stderr, w) {
			t.Errorf("it does not say %q:\n%s%s", w, r.stdout, r.stderr)
		}
	}
}

func fault(path string, e *cloudfake.Error) cloudfake.Fault {
	return cloudfake.Fault{Path: regexp.MustCompile(path), Error: e}
}

func denied(permission string) *cloudfake.Error {
	return cloudfake.PermissionDenied(permission, "projects/"+platform)
}

// TestSetupRefuses: what Google refuses, and what is said about it. Each names
// what to do.
func TestSetupRefuses(t *testing.T) {
	t.Parallel()
	post := func(path string, e *cloudfake.Error) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) {
			f := fault(path, e)
			f.Method = "POST"
			w.Refuse(f)
		}
	}
	every := func(path string, e *cloudfake.Error) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) { w.Refuse(fault(path, e)) }
	}
	for _, c := range []struct {
		name   string
		spoil  func(*testing.T, *world)
		status int
		words  []string
	}{
		{"no-login", func(_ *testing.T, w *world) {
			for i, kv := range w.env {
				if strings.HasPrefix(kv, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=") {
					w.env[i] = "CLOUDSDK_AUTH_DISABLE_CREDENTIALS=false"
				}
			}
		}, 2, []string{"nobody is logged in", "do: gcloud auth login"}},
		{"no-project", func(t *testing.T, w *world) {
			w.settings(t, "dev", "PROJECT=acme-nowhere")
		}, 2, []string{"may not do this in project acme-nowhere", "--role=roles/browser",
			"put your own into deploy/env/dev.env"}},
		{"permission", every("^serviceusage .*services$", denied("serviceusage.services.list")), 2, []string{
			"'serviceusage.services.list'", "project " + platform,
			"gcloud projects add-iam-policy-binding " + platform +
				" --member=user:YOU@EXAMPLE.COM --role=roles/serviceusage.serviceUsageAdmin --condition=None",
		}},
		{"permission-to-change", post("^iam .*serviceAccounts$", denied("iam.serviceAccounts.create")), 1, []string{
			"gcloud iam service-accounts create rotator-dev ", "--role=roles/iam.serviceAccountAdmin",
			"scripts/setup dev goes on from here",
		}},
		{"api-off", func(_ *testing.T, w *world) {
			w.Refuse(fault("^iam ", cloudfake.ServiceDisabled("iam.googleapis.com", 100000000001)))
		}, 1, []string{"the API iam.googleapis.com is off in project " + platform,
			"do: gcloud services enable iam.googleapis.com --project=" + platform}},
		{"quota", post("^serviceusage ", cloudfake.QuotaExceeded("serviceusage.googleapis.com/mutate_requests",
			"projects/100000000001")), 2, []string{
			"a quota is used up: ", "mutate_requests", "do: wait a minute and run it again",
		}},
		{"name-taken", post("^iam .*serviceAccounts$", cloudfake.AlreadyExists("rotator-dev")), 1, []string{
			"the name is taken", "'rotator-dev' already exists", "run it again",
		}},
		{"billing", post("^serviceusage ",
			cloudfake.FailedPrecondition("Billing account for project '100000000001' is not found. Billing must be enabled for activation of service(s) 'run.googleapis.com' to proceed.")), 2, []string{
			"project " + platform + " has no billing account", "do: gcloud billing projects link " + platform,
		}},
		{"constraint", post("^iam .*serviceAccounts$",
			cloudfake.FailedPrecondition("Service account creation is not allowed on this project. Violated constraint: constraints/iam.disableServiceAccountCreation")), 1, []string{
			"an organisation policy forbids it: constraints/iam.disableServiceAccountCreation",
			"do: ask who owns the organisation's policies",
		}},
		{"other-words", post("^serviceusage ", cloudfake.InvalidArgument("The moon is in the wrong quarter.")), 2,
			[]string{"The moon is in the wrong quarter."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := small(t)
			c.spoil(t, w)
			said(t, w.run(t, "scripts/setup", "dev"), c.status, c.words...)
			for _, m := range w.Mutations() {
				if m.Status < 300 && c.status == 2 {
					t.Errorf("status 2 says that nothing was changed, and yet: %s", m)
				}
			}
		})
	}
}

// TestSetupDeletedRole: a role that was deleted is taken back; where it cannot be
// seen, what to do is said.
func TestSetupDeletedRole(t *testing.T) {
	t.Parallel()
	w := grown(t)
	w.ok(t, "gcloud", "iam", "roles", "delete", "gkeCredentialRotatorObserve", "--project="+targetA)
	w.Refuse(cloudfake.Fault{Method: "GET", Path: regexp.MustCompile("roles/gkeCredentialRotatorObserve$"),
		Error: cloudfake.NotFound("role")})
	w.Forget()
	said(t, w.run(t, "scripts/setup", "dev"), 2, "was deleted a while ago",
		"do: gcloud iam roles undelete gkeCredentialRotatorObserve --project="+targetA, "roles/iam.roleAdmin")
	w.Heal()
	w.Forget()
	w.ok(t, "scripts/setup", "dev")
	m := w.Mutations()
	if len(m) != 1 || !strings.HasSuffix(m[0].Path, "roles/gkeCredentialRotatorObserve:undelete") {
		t.Errorf("want one undelete, got\n%s", cloudfake.Text(m))
	}
}

// TestSetupDatabaseElsewhere: a database cannot be moved, so nothing is done.
func TestSetupDatabaseElsewhere(t *testing.T) {
	t.Parallel()
	w := small(t)
	w.Enable(platform, "firestore.googleapis.com")
	w.ok(t, "gcloud", "firestore", "databases", "create", "--database=rotator-dev", "--project="+platform,
		"--location=nam5")
	w.Forget()
	said(t, w.run(t, "scripts/setup", "dev"), 2, "database rotator-dev in project "+platform+" is in nam5",
		"deploy/env/dev.env wants eur3", "set DATABASE_LOCATION=nam5")
	w.unchanging(t)
}

// TestSetupOverlap: acting where another environment's projects would be reached
// is refused before anything is asked of Google that changes something.
func TestSetupOverlap(t *testing.T) {
	t.Parallel()
	w := small(t, "ROTATOR_MODE=act")
	w.settings(t, "prod", "ROTATOR_PROJECTS=acme-bank-prod, "+targetA)
	said(t, w.run(t, "scripts/setup", "dev", "--yes"), 2,
		"project "+targetA+": deploy/env/dev.env (projects) and deploy/env/prod.env", "nothing was changed",
		"do: leave each project in one file")

	w.settings(t, "prod", "ROTATOR_PROJECTS="+targetB)
	w.settings(t, "staging", "ROTATOR_PROJECTS="+builds)
	w.settings(t, "dev", "GRANT=folder:200000000001", "ORGANIZATION=300000000001")
	said(t, w.run(t, "scripts/setup", "dev", "--yes"), 2,
		"project "+targetB+": deploy/env/dev.env (folder:200000000001) and deploy/env/prod.env",
		"project "+builds+": deploy/env/dev.env (folder:200000000001) and deploy/env/staging.env")

	// Another folder reaches neither; then only a person may say yes.
	w.settings(t, "dev", "GRANT=folder:200000000009")
	said(t, w.run(t, "scripts/setup", "dev"), 2, "folders/200000000009")
	w.settings(t, "dev", "GRANT=projects")
	said(t, w.run(t, "scripts/setup", "dev"), 2, "for the first time, in:", "projects "+targetA,
		"asked on a terminal", "add --yes")
	w.unchanging(t)
}

// TestSetupActAndBack: the mode of the file moves the job's role in the targets;
// other settings move what is made from them; and nothing else.
func TestSetupActAndBack(t *testing.T) {
	t.Parallel()
	w := grown(t)
	const account = "serviceAccount:rotator-dev@" + platform + ".iam.gserviceaccount.com"
	who := func(role string) string {
		return strings.Join(w.members("cloudresourcemanager projects/"+targetA, "projects/"+targetA+"/roles/"+role),
			" ")
	}
	alert := ""
	for _, name := range w.Names() {
		if policy, ok := strings.CutPrefix(name, "monitoring "); ok && strings.Contains(policy, "/alertPolicies/") {
			alert = policy
		}
	}

	// A new account or role is not known everywhere at once.
	late := cloudfake.Fault{Path: regexp.MustCompile("projects/" + targetA + ":setIamPolicy$"), Times: 2,
		Error: cloudfake.InvalidArgument("Service account rotator-dev@%s.iam.gserviceaccount.com does not exist.",
			platform)}
	w.Refuse(late)
	w.settings(t, "dev", "ROTATOR_MODE=act")
	w.Forget()
	w.ok(t, "scripts/setup", "dev", "--yes")
	if who("gkeCredentialRotatorAct") != account || who("gkeCredentialRotatorObserve") != "" {
		t.Errorf("act: %q has act, %q has observe", who("gkeCredentialRotatorAct"),
			who("gkeCredentialRotatorObserve"))
	}
	// Act's role, two refusals, a binding made and one taken away.
	if m := w.Mutations(); len(m) != 5 {
		t.Errorf("act: %d requests\n%s", len(m), cloudfake.Text(m))
	}

	// An alert that somebody switched off is switched on; one that says something
	// else than the settings is changed, and so is the dashboard.
	w.settings(t, "dev", "ROTATOR_MODE=observe", "RUNBOOK=https://git.acme.com/elsewhere")
	w.Edit("monitoring", alert, func(o map[string]any) { o["enabled"] = false })
	w.Forget()
	w.ok(t, "scripts/setup", "dev")
	if who("gkeCredentialRotatorAct") != "" || who("gkeCredentialRotatorObserve") != account {
		t.Errorf("observe: %q has act, %q has observe", who("gkeCredentialRotatorAct"),
			who("gkeCredentialRotatorObserve"))
	}
	if m := w.Mutations(); len(m) != 4 {
		t.Errorf("observe: %d requests\n%s", len(m), cloudfake.Text(m))
	}
	now := w.Resource("monitoring", alert)
	channels, _ := now["notificationChannels"].([]any)
	if now["enabled"] != true || len(channels) != 2 || !strings.Contains(cloudfake.Text(w.Mutations()),
		"https://git.acme.com/elsewhere#alert-run-failed") {
		t.Errorf("the alert is now %v", now)
	}
}

// TestSetupFolder goes from bindings in projects to one on a folder: one role in
// the organisation, one binding, one sink for all that is below it.
func TestSetupFolder(t *testing.T) {
	t.Parallel()
	w := grown(t)
	w.settings(t, "dev", "GRANT=folder:200000000001", "ORGANIZATION=300000000001")
	w.Forget()
	w.ok(t, "scripts/setup", "dev")
	text := cloudfake.Text(w.Mutations())
	for _, part := range []string{
		"POST iam organizations/300000000001/roles ",
		"POST cloudresourcemanager folders/200000000001:setIamPolicy ",
		"POST logging folders/200000000001/sinks?uniqueWriterIdentity=True ",
		`"includeChildren":true`,
		"POST cloudresourcemanager projects/" + platform + ":setIamPolicy ", // the sink may write here
	} {
		if strings.Count(text, part) != 1 {
			t.Errorf("%d times %q in\n%s", strings.Count(text, part), part, text)
		}
	}
	if n := len(w.Mutations()); n != 4 {
		t.Errorf("%d changes\n%s", n, text)
	}
	const role = "organizations/300000000001/roles/gkeCredentialRotatorObserve"
	if got := w.members("cloudresourcemanager folders/200000000001", role); len(got) != 1 {
		t.Errorf("on the folder %s is bound to %q", role, got)
	}
	w.Forget()
	w.ok(t, "scripts/setup", "dev")
	w.unchanging(t)
}

// members are who has a role on a resource, "API NAME".
func (w *world) members(resource, role string) []string {
	var found []string
	for _, name := range w.Names() {
		if rest, ok := strings.CutPrefix(name, resource+" "+role+" "); ok {
			found = append(found, rest)
		}
	}
	return found
}

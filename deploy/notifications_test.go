package deploy_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	run "google.golang.org/api/run/v1"
	"sigs.k8s.io/yaml"

	"gke-credential-rotator/policy/record"
)

const notificationsFile = "NOTIFICATIONS.md"

var kindsTable = regexp.MustCompile(`(?s)(<!-- kinds: [^>]*-->\n).*?(<!-- /kinds -->)`)

// TestNotificationKinds: the table of what is told is the program's own.
func TestNotificationKinds(t *testing.T) {
	text, err := os.ReadFile(notificationsFile)
	if err != nil {
		t.Fatal(err)
	}
	rows := "| kind | what it tells | once for each | in observe |\n| --- | --- | --- | --- |\n"
	for _, k := range record.NoticeKinds {
		observe := "yes"
		if k.Acting {
			observe = "no"
		}
		rows += fmt.Sprintf("| `%s` | %s | %s | %s |\n", k.Kind, k.Tells, k.Once, observe)
	}
	next := kindsTable.ReplaceAllString(string(text), "${1}"+rows+"${2}")
	if next == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s does not say what policy.NoticeKinds says: go test ./deploy -run NotificationKinds -update",
			notificationsFile)
	}
	if err := os.WriteFile(notificationsFile, []byte(next), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNotificationSecrets: the job takes the volumes as they are written there,
// and they make the files that the settings beside them name.
func TestNotificationSecrets(t *testing.T) {
	text, err := os.ReadFile(notificationsFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	block, _, ok := strings.Cut(rest, "```")
	var task run.TaskSpec
	if err := yaml.UnmarshalStrict([]byte(block), &task); err != nil || !ok || len(task.Containers) != 1 {
		t.Fatalf("%v: %+v", err, task)
	}
	at := map[string]string{}
	for _, m := range task.Containers[0].VolumeMounts {
		at[m.Name] = m.MountPath
	}
	for _, v := range task.Volumes {
		file := at[v.Name] + "/" + v.Secret.Items[0].Path
		if !regexp.MustCompile(`=(file:)?` + file + "`").MatchString(string(text)) {
			t.Errorf("no setting names %s", file)
		}
		if !strings.Contains(string(text), "secrets create "+v.Secret.SecretName+" ") {
			t.Errorf("nothing makes %s", v.Secret.SecretName)
		}
	}
}

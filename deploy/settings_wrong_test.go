package deploy_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// load reads a settings file as every script does, and says how that ended.
func load(t *testing.T, root, settings string) (status int, said string) {
	t.Helper()
	need(t, "bash")
	writeEnv(t, root, "test", settings)
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(root, "scripts/deploy"), "test",
		"r.example/i/i"+digest, "--dry-run")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

const goodSettings = `# a comment
PROJECT=acme-platform

REGION=europe-west1
DATABASE_LOCATION=eur3
BUILD_PROJECT=acme-build
BUILD_REGION=us-central1
RUNBOOK=https://git.acme.example/RUNBOOK.md
ROTATOR_PROJECTS=acme-shop
`

// Each line is wrong in itself; it replaces the good line of its name, or is added.
var wrongSettings = []struct{ line, says string }{
	{"PROJECT=", "PROJECT=: write a project id"},
	{"PROJECT=Acme Platform", "PROJECT=Acme Platform: write a project id"},
	{"PROJECT=acme-platform ", "line 2: the value of PROJECT begins or ends with a blank"},
	{`PROJECT="acme-platform"`, "line 2: the quotes would be part of PROJECT; take them away"},
	{"REGION=europe-west1-b", "REGION=europe-west1-b: write a region, e.g. europe-west1"},
	{"REGION=$(touch pwned)", "REGION=$(touch pwned): write a region"},
	{"SCHEDULER_REGION=eur3", "SCHEDULER_REGION=eur3: write a region"},
	{"BUILD_REGION=global", "BUILD_REGION=global: write a region"},
	{"ORGANIZATION=acme.example", "ORGANIZATION=acme.example: write the number of an organisation, or nothing"},
	{"GRANT=folder:acme", "GRANT=folder:acme: write projects, folder:NUMBER or organization:NUMBER"},
	{"GRANT=folder:123", "a role for a folder or an organisation lives in an organisation; set ORGANIZATION"},
	{"SOURCE=github.com/acme/rotator",
		"SOURCE=github.com/acme/rotator: write projects/P/locations/R/connections/C/repositories/N"},
	{"NOTIFY=oncall@acme.example", "NOTIFY=oncall@acme.example: write email:ADDRESS"},
	{"RUNBOOK=deploy/RUNBOOK.md", "RUNBOOK=deploy/RUNBOOK.md: write an address"},
	{"MEMORY=512", "MEMORY=512: write a size, e.g. 512Mi"},
	{"REPORT_BUCKET=gs://acme-reports",
		"REPORT_BUCKET=gs://acme-reports: write the name of a bucket, without gs://, or nothing"},
	{"ROTATOR_REPORT=/tmp/report.html", "ROTATOR_REPORT follows from REPORT_BUCKET"},
	{"CPU=0.5", "CPU=0.5: write 1, 2, 4, 6 or 8"},
	{"TASK_TIMEOUT=55m", "TASK_TIMEOUT=55m: write a number from 1"},
	{"TASK_TIMEOUT=3000", "TASK_TIMEOUT=3000 is not above ROTATOR_DEADLINE=50m (3000 seconds)"},
	{"ROTATOR_DEADLINE=1h30m", "TASK_TIMEOUT=3300 is not above ROTATOR_DEADLINE=1h30m (5400 seconds)"},
	{"MAX_RETRIES=11", "MAX_RETRIES=11: write a number from 0 to 10"},
	{"SILENT_HOURS=0", "SILENT_HOURS=0: write a number from 1"},
	{"ROTATOR_PROJECTS=", "ROTATOR_PROJECTS is missing"},
	{"ROTATOR_MODE=Act", "ROTATOR_MODE=Act: write observe or act"},
	{"ROTATOR_ENV=test", "ROTATOR_ENV follows from the file's name and PROJECT; take the line out"},
	{"ROTATOR_STATE=file:x", "ROTATOR_STATE follows from the file's name and PROJECT; take the line out"},
	{"ROTATOR_SELECTOR='a=b'", "the quotes would be part of ROTATOR_SELECTOR"},
	{"ROTATOR_SELECTOR=a\x01b", "the value of ROTATOR_SELECTOR holds a control character"},
	{"PROJEKT=acme", "there is no setting PROJEKT (policy settings begin with ROTATOR_)"},
	{"PATH=/tmp", "there is no setting PATH"},
	{"export REGION=europe-west1", `"export REGION=europe-west1" is not NAME=value`},
	{"ROTATOR_SOAK: 72h", `"ROTATOR_SOAK: 72h" is not NAME=value`},
}

func TestWrongSettingsOfAnEnvironment(t *testing.T) {
	root := copyProject(t)
	if status, said := load(t, root, goodSettings); status != 0 || said != "" {
		t.Fatalf("good settings: status %d, %s", status, said)
	}
	for _, c := range wrongSettings {
		settings := replaced(goodSettings, c.line)
		status, said := load(t, root, settings)
		if status != 2 || !strings.Contains(said, c.says) {
			t.Errorf("%q: status %d, and not %q but\n%s", c.line, status, c.says, said)
		}
		if n := strings.Count(said, "\n"); n != 2 {
			t.Errorf("%q: %d lines for one mistake:\n%s", c.line, n, said)
		}
	}
	if _, err := os.Stat("pwned"); err == nil {
		t.Error("a settings file was run as a program")
	}
}

// replaced puts a line in the place of the good line of its name, or at the end.
func replaced(settings, line string) string {
	name, _, _ := strings.Cut(line, "=")
	lines := strings.Split(strings.TrimSuffix(settings, "\n"), "\n")
	for i := range lines {
		if strings.HasPrefix(lines[i], name+"=") {
			lines[i] = line
			return strings.Join(lines, "\n") + "\n"
		}
	}
	return settings + line + "\n"
}

func TestWrongSettingsAllAtOnce(t *testing.T) {
	root := copyProject(t)
	status, said := load(t, root, "REGION=here\nREGION=europe-west1\nCPU=3\nnonsense\nROTATOR_MODE=rotate")
	for _, part := range []string{
		"deploy/env/test.env:", "line 2: REGION is there twice", "CPU=3: write",
		`line 4: "nonsense" is not NAME=value`, "ROTATOR_MODE=rotate: write",
		"PROJECT is missing", "DATABASE_LOCATION is missing", "BUILD_PROJECT is missing", "BUILD_REGION is missing",
		"RUNBOOK is missing", "ROTATOR_PROJECTS is missing",
	} {
		if !strings.Contains(said, part) {
			t.Errorf("nobody says %q in\n%s", part, said)
		}
	}
	if status != 2 {
		t.Errorf("status %d", status)
	}
}

package deploy_test

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestImageContents(t *testing.T) {
	i := image(t)
	// A container of its own: in the other one runs leave files behind.
	_, root, err := i.mount()
	if err != nil {
		t.Fatal(err)
	}
	base, all := filesOf(t, i.base), filesOf(t, root)
	added := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(base, name) })
	if !slices.Equal(added, []string{"/rotator"}) {
		t.Errorf("the image adds %v to its base, want only /rotator", added)
	}
	info, err := os.Stat(filepath.Join(root, "rotator"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o755 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("/rotator is %v of user %d, want -rwxr-xr-x of 0: it must not be able to change itself",
			info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
	}
	t.Logf("built in %.1f s; the binary, which is all that the image adds to its base, has %.1f MB; the image in a registry, with the stand-in for its base, %.1f MB",
		i.took.Seconds(), float64(info.Size())/1e6, float64(i.compressed(t))/1e6)
}

func TestImageConfig(t *testing.T) {
	i := image(t)
	if i.config.User != "65532:65532" {
		t.Errorf("user %q, want the numbers 65532:65532", i.config.User)
	}
	if !slices.Equal(i.config.Entrypoint, []string{"/rotator"}) || len(i.config.Cmd) > 0 {
		t.Errorf("entrypoint %q, command %q; want /rotator itself, without a shell", i.config.Entrypoint,
			i.config.Cmd)
	}
	if len(i.config.ExposedPorts) > 0 || i.config.Healthcheck != nil {
		t.Errorf("a job listens to nobody: ports %v, health check %v", i.config.ExposedPorts, i.config.Healthcheck)
	}
	if i.platform != "linux/amd64" {
		t.Errorf("platform %s, want what Cloud Run runs: linux/amd64", i.platform)
	}
	for _, e := range i.config.Env {
		if strings.HasPrefix(e, "GO") {
			t.Errorf("the build's own %s is in the image", e)
		}
	}
	want := map[string]string{
		"title": "gke-credential-rotator", "licenses": "Apache-2.0", "revision": commit, "version": commit,
		"source": "https://github.com/acme/gke-credential-rotator",
	}
	for name, value := range want {
		if got := i.config.Labels["org.opencontainers.image."+name]; got != value {
			t.Errorf("label %s = %q, want %q", name, got, value)
		}
	}
	created, err := time.Parse(time.RFC3339, i.config.Labels["org.opencontainers.image.created"])
	if err != nil || created.After(present()) || present().Sub(created) > time.Hour {
		t.Errorf("label created: %v, %v; want the time of the build", created, err)
	}
}

func TestImageStart(t *testing.T) {
	image(t)
	var took []time.Duration
	for range 20 {
		begun := present()
		stdout, stderr, code := imageRun(t, nil, "--version")
		took = append(took, present().Sub(begun))
		if want := "rotator version " + commit[:12] + "\n"; stdout != want || stderr != "" || code != 0 {
			t.Fatalf("--version: %q, %q, exit status %d; want %q", stdout, stderr, code, want)
		}
	}
	slices.Sort(took)
	t.Logf("from exec to exit of --version, 20 times: fastest %v, median %v, slowest %v", took[0], took[10],
		took[19])
}

// TestImageVersion: a version that somebody gives stands before the commit.
func TestImageVersion(t *testing.T) {
	i := image(t)
	for _, tt := range []struct{ args, want string }{
		{"--build-arg VERSION=v1.2.3 --build-arg REVISION=" + commit, "v1.2.3+" + commit[:12]},
		{"--build-arg VERSION=v1.2.3", "v1.2.3"},
		{"", "(devel)"},
	} {
		if got := i.versionOf(t, strings.Fields(tt.args)...); got != "rotator version "+tt.want+"\n" {
			t.Errorf("docker build %s: %q, want %s", tt.args, got, tt.want)
		}
	}
}

// TestImageZones: a setting that names a zone works although the image has no
// zone files.
func TestImageZones(t *testing.T) {
	i := image(t)
	if _, err := os.Stat(filepath.Join(i.root, "usr/share/zoneinfo")); err == nil {
		t.Fatal("the stand-in has zone files: nothing can be seen here")
	}
	env := []string{"ROTATOR_ENV=trial", "ROTATOR_PROJECTS=acme-shop-prod",
		"ROTATOR_STATE=firestore://acme-rotator/rotator-trial",
		"ROTATOR_COMPLETE_WINDOW=Mon-Thu 09:00-15:00 America/St_Johns"}
	stdout, stderr, code := imageRun(t, env, "validate")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "America/St_Johns") {
		t.Errorf("exit status %d\n%s%s", code, stdout, stderr)
	}
	if _, stderr, code = imageRun(t, append(env, "ROTATOR_WINDOW=Mon 09:00-15:00 Europe/Atlantis"),
		"validate"); code != 2 {
		t.Errorf("a zone that is none: exit status %d, want 2\n%s", code, stderr)
	}
}

// served runs the image's own simulated GKE and gives the settings that lead
// there.
func served(t *testing.T) []string {
	t.Helper()
	cmd := image(t).command(t, nil, "simulate", "--serve", "127.0.0.1:0", "--speed", "0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	var settings []string
	for scanner := bufio.NewScanner(out); settings == nil && scanner.Scan(); {
		if _, exports, is := strings.Cut(scanner.Text(), "export "); is {
			settings = strings.Fields(exports)
		}
	}
	if settings == nil {
		t.Fatal("simulate --serve does not say with which settings it is reached")
	}
	return settings
}

// TestImagePlan: a plan from the image over a served GKE, and a run that leaves
// its store: what the image's user wrote belongs to the image's user.
func TestImagePlan(t *testing.T) {
	i := image(t)
	env := append(served(t), "ROTATOR_STATE=file:/tmp/store.db")
	begun := present()
	stdout, stderr, code := imageRun(t, env, "plan")
	took := present().Sub(begun)
	if code != 0 {
		t.Fatalf("plan: exit status %d\n%s%s", code, stdout, stderr)
	}
	t.Logf("plan, in %v:\n%s%s", took, stdout, stderr)
	for _, project := range strings.Split(projectsOf(t, env), ",") {
		if !strings.Contains(stdout, project) {
			t.Errorf("the plan knows nothing of project %s", project)
		}
	}
	args := []string{"run", "--isolation", "chroot"}
	for _, e := range env {
		args = append(args, "--env", e)
	}
	if _, err := i.buildah(append(args, i.container, "--", "/rotator", "run")...); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(i.root, "tmp/store.db"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 65532 {
		t.Errorf("buildah ran the image as user %d, want 65532", owner)
	}
}

func projectsOf(t *testing.T, env []string) string {
	t.Helper()
	for _, e := range env {
		if projects, is := strings.CutPrefix(e, "ROTATOR_PROJECTS="); is {
			return projects
		}
	}
	t.Fatal("no projects")
	return ""
}

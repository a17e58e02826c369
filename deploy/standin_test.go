package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The image is built for real, from the Dockerfile as it is, by the image step
// of cloudbuild.yaml as it is. Only the base images are stand-ins, since no
// registry is within reach: they prove the Dockerfile, not the bases.

const (
	commit     = "0123456789abcdef0123456789abcdef01234567"
	repository = "europe-west1-docker.pkg.dev/acme-rotator-build/rotator"
)

// builtImage is the image, unpacked.
type builtImage struct {
	store  string // buildah's flags for the storage of these tests alone
	tree   string // what was uploaded
	root   string // the image's files
	base   string // the files of the stand-in that it is based on
	took   time.Duration
	config struct {
		User         string
		Entrypoint   []string
		Cmd          []string
		Env          []string
		Labels       map[string]string
		ExposedPorts map[string]any
		Healthcheck  any
	}
	platform  string
	container string   // a container of the image
	docker    []string // the environment with a docker
}

// image builds the image, once for all tests.
func image(t testing.TB) *builtImage {
	t.Helper()
	need(t, "buildah", "busybox", "gcloud")
	if os.Geteuid() != 0 {
		missing(t, "building an image without an engine needs root")
	}
	i, err := builtOnce()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

var builtOnce = sync.OnceValues(func() (*builtImage, error) {
	dir, err := os.MkdirTemp("", "rotator-image-")
	if err != nil {
		return nil, err
	}
	i := &builtImage{tree: filepath.Join(dir, "tree"), base: filepath.Join(dir, "base")}
	// vfs: works inside of a container, too, and the layers are small.
	i.store = fmt.Sprintf("--storage-driver vfs --root %[1]s/storage --runroot %[1]s/run", dir)
	atEnd(func() {
		_, _ = i.buildah("rm", "--all")
		_ = os.RemoveAll(dir)
	})
	if err := uploaded(i.tree); err != nil {
		return nil, err
	}
	if err := i.standIns(dir); err != nil {
		return nil, err
	}
	begun := present()
	build, err := readBuild("../cloudbuild.yaml")
	if err != nil {
		return nil, err
	}
	i.docker = i.builder(dir)
	out, err := build.run("image", i.tree, buildSubstitutions(), i.docker...)
	if err != nil {
		return nil, fmt.Errorf("the image step: %w\n%s", err, out)
	}
	i.took = present().Sub(begun)
	return i, i.unpack()
})

func (i *builtImage) buildah(args ...string) (string, error) {
	cmd := exec.Command("buildah", append(strings.Fields(i.store), args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("buildah %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// standIns makes the two base images from what is on this machine: a shell and
// a place for Go, and no more than certificates and a user.
func (i *builtImage) standIns(dir string) error {
	const certificates = "/etc/ssl/certs/ca-certificates.crt"
	golang := filepath.Join(dir, "golang")
	for _, root := range []string{golang, i.base} {
		if err := copyFile(certificates, filepath.Join(root, certificates)); err != nil {
			return err
		}
		passwd := "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
		if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd), 0o644); err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(root, "tmp"), 0o755); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(root, "tmp"), 0o777|os.ModeSticky); err != nil {
			return err
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	if err := copyFile(busybox, filepath.Join(golang, "bin/busybox")); err != nil {
		return err
	}
	for _, applet := range []string{"sh", "printf"} {
		if err := os.Symlink("busybox", filepath.Join(golang, "bin", applet)); err != nil {
			return err
		}
	}
	if err := i.standIn("gcr.io/distroless/static-debian13:nonroot", i.base); err != nil {
		return err
	}
	return i.standIn("docker.io/library/golang:1.26.8", golang,
		"--env", "PATH=/usr/local/go/bin:/bin", "--env", "GOPATH=/go", "--env", "GOTOOLCHAIN=local")
}

// standIn makes one stand-in of a directory.
func (i *builtImage) standIn(name, dir string, config ...string) error {
	container, err := i.buildah("from", "scratch")
	if err != nil {
		return err
	}
	if _, err := i.buildah("copy", "--quiet", container, dir, "/"); err != nil {
		return err
	}
	if _, err := i.buildah(append(append([]string{"config"}, config...), container)...); err != nil {
		return err
	}
	_, err = i.buildah("commit", "--quiet", "--rm", container, name)
	return err
}

// builder is the environment of the docker builder: a docker that hands its
// build to buildah, with this machine's Go and its caches in the stand-in.
func (i *builtImage) builder(dir string) []string {
	bin := filepath.Join(dir, "bin")
	shim := fmt.Sprintf(`#!/usr/bin/env bash
set -euo pipefail
[[ $1 == build ]] && shift
exec buildah %s bud --isolation chroot --pull-never --quiet \
  --volume %s:/usr/local/go:ro --volume %s:/go/pkg/mod --volume %s:/root/.cache/go-build "$@"
`, i.store, goEnv("GOROOT"), goEnv("GOMODCACHE"), goEnv("GOCACHE"))
	registries := filepath.Join(dir, "registries.conf")
	if err := errors.Join(
		os.MkdirAll(bin, 0o755),
		os.WriteFile(filepath.Join(bin, "docker"), []byte(shim), 0o755),
		os.WriteFile(registries, []byte("unqualified-search-registries = [\"docker.io\"]\n"), 0o644),
	); err != nil {
		panic(err)
	}
	return []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir, "CONTAINERS_REGISTRIES_CONF=" +
		registries}
}

func goEnv(name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(out))
}

// unpack mounts the image and reads what it says about itself.
func (i *builtImage) unpack() error {
	name := repository + "/rotator:" + commit
	var err error
	if i.container, i.root, err = i.mount(); err != nil {
		return err
	}
	text, err := i.buildah("inspect", "--type", "image", name)
	if err != nil {
		return err
	}
	var about struct {
		OCIv1 struct {
			Config           json.RawMessage
			OS, Architecture string
		}
	}
	if err := json.Unmarshal([]byte(text), &about); err != nil {
		return err
	}
	i.platform = about.OCIv1.OS + "/" + about.OCIv1.Architecture
	return json.Unmarshal(about.OCIv1.Config, &i.config)
}

// mount makes a container of the image and mounts its files.
func (i *builtImage) mount() (container, root string, err error) {
	if container, err = i.buildah("from", "--pull-never", repository+"/rotator:"+commit); err != nil {
		return "", "", err
	}
	root, err = i.buildah("mount", container)
	return container, root, err
}

// command is a run of the image: its entrypoint, inside of its files, as its
// user, with no environment but the given one.
func (i *builtImage) command(t testing.TB, env []string, args ...string) *exec.Cmd {
	t.Helper()
	var user, group uint32
	if _, err := fmt.Sscanf(i.config.User, "%d:%d", &user, &group); err != nil {
		t.Fatalf("user %q: %v", i.config.User, err)
	}
	argv := append(append([]string{}, i.config.Entrypoint...), args...)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: i.root,
		Credential: &syscall.Credential{Uid: user, Gid: group}}
	return cmd
}

// imageRun runs the image to its end and gives what it printed and its exit
// status.
func imageRun(t testing.TB, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := image(t).command(t, env, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// compressed is the size of the image as a registry stores it.
func (i *builtImage) compressed(t testing.TB) (size int64) {
	t.Helper()
	dir := t.TempDir()
	if _, err := i.buildah("push", "--quiet", repository+"/rotator:"+commit, "oci:"+dir); err != nil {
		t.Fatal(err)
	}
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs/sha256"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		info, err := blob.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// versionOf builds the image once more, with these arguments and what the first
// build left in the caches, and asks it for its version.
func (i *builtImage) versionOf(t testing.TB, args ...string) string {
	t.Helper()
	docker := exec.Command("docker", slices.Concat([]string{"build", "--build-arg", "GO_IMAGE=golang:1.26.8"},
		args, []string{"--tag", "other", "."})...)
	docker.Path = strings.TrimPrefix(strings.Split(i.docker[0], ":")[0], "PATH=") + "/docker"
	docker.Dir, docker.Env = i.tree, i.docker
	if out, err := docker.CombinedOutput(); err != nil {
		t.Fatalf("docker build: %v\n%s", err, out)
	}
	container, err := i.buildah("from", "--pull-never", "localhost/other")
	if err != nil {
		t.Fatal(err)
	}
	out, err := i.buildah("run", "--isolation", "chroot", container, "--", "/rotator", "--version")
	if err != nil {
		t.Fatal(err)
	}
	return out + "\n"
}

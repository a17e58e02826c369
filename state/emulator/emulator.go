// Package emulator starts Google's emulators for tests, Firestore's and
// Pub/Sub's, without gcloud's wrapper, which leaves its children behind.
package emulator

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The variables by which Google's clients find an emulator. Where one is set
// already, as in a process that a test started, that emulator is used.
const (
	EnvHost   = "FIRESTORE_EMULATOR_HOST"
	EnvPubSub = "PUBSUB_EMULATOR_HOST"
)

// program is one emulator: where gcloud has it, how it is started, and what it
// says when it is ready.
type program struct {
	env, component, jar string
	main                []string // between java's own options and the port's
	ready               string
}

var (
	firestore = program{
		env: EnvHost, component: "cloud-firestore-emulator",
		jar: "cloud-firestore-emulator/cloud-firestore-emulator.jar",
		main: []string{"com.google.cloud.datastore.emulator.firestore.CloudFirestore", "start",
			"--database-mode=firestore-native"}, ready: "now running",
	}
	pubsub = program{
		env: EnvPubSub, component: "pubsub-emulator", jar: "pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
		main: []string{"com.google.cloud.pubsub.testing.v1.Main"}, ready: "Server started",
	}
)

// Each is started once: it is ready in a second, but shared.
var (
	startFirestore = sync.OnceValues(firestore.run)
	startPubSub    = sync.OnceValues(pubsub.run)
)

// errNoProgram says that this machine cannot run the emulator.
var errNoProgram = errors.New("the emulator is not on this machine")

// Start gives HOST:PORT of a Firestore emulator that lives as long as the test's
// process, also if that is killed. Set [EnvHost] to it before a client is made.
// Where java or gcloud's emulator is missing the test is skipped, and fails
// with CI=true. A named database that was never used is empty: take one for
// each test.
func Start(t testing.TB) (host string) {
	t.Helper()
	return orSkip(t, startFirestore)
}

// PubSub gives HOST:PORT of a Pub/Sub emulator, likewise. A project that was
// never used has no topics.
func PubSub(t testing.TB) (host string) {
	t.Helper()
	return orSkip(t, startPubSub)
}

func orSkip(t testing.TB, start func() (string, error)) string {
	t.Helper()
	host, err := start()
	switch {
	case errors.Is(err, errNoProgram) && os.Getenv("CI") != "true":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return host
}

func (p program) run() (host string, err error) {
	if host = os.Getenv(p.env); host != "" {
		return host, nil
	}
	java, jar, err := p.find()
	if err != nil {
		return "", err
	}
	for range 3 { // somebody may take the port between our look and java's
		if host, err = freePort(); err != nil {
			return "", err
		}
		if err = p.launch(java, jar, host); err == nil {
			return host, nil
		}
	}
	return "", err
}

// find finds java, and the jar in gcloud's own folder.
func (p program) find() (java, jar string, err error) {
	if java, err = exec.LookPath("java"); err != nil {
		return "", "", fmt.Errorf("%w: no java: %w", errNoProgram, err)
	}
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		return "", "", fmt.Errorf("%w: no gcloud: %w", errNoProgram, err)
	}
	if gcloud, err = filepath.EvalSymlinks(gcloud); err != nil {
		return "", "", fmt.Errorf("%w: %w", errNoProgram, err)
	}
	jars, err := filepath.Glob(filepath.Join(filepath.Dir(gcloud), "..", "platform", p.jar))
	if err != nil || len(jars) == 0 {
		return "", "", fmt.Errorf("%w: gcloud has no component %s", errNoProgram, p.component)
	}
	return java, jars[len(jars)-1], nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port for the emulator: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// guard starts the emulator and stops it when its own input ends. That is when
// the process that holds the other end is gone, however it went.
const guard = `"$@" </dev/null & exec >/dev/null 2>&1; read -r _; kill $!; wait`

// launch starts the emulator and waits until it answers.
func (p program) launch(java, jar, host string) error {
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		return err
	}
	args := append([]string{"-c", guard, "sh", java, "-Xmx768m", "-Duser.language=en", "-cp", jar}, p.main...)
	cmd := exec.Command("sh", append(args, "--host=127.0.0.1", "--port="+port)...) //nolint:gosec // a test's own command line
	// never closed by us: see guard
	hold, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the emulator: %w", err)
	}
	lines, said := bufio.NewScanner(out), []string{}
	for lines.Scan() {
		if strings.Contains(lines.Text(), p.ready) {
			go func() {
				_, _ = io.Copy(io.Discard, out) // or it would wait for a reader
				_ = cmd.Wait()
			}()
			return nil
		}
		said = append(said, lines.Text())
	}
	_ = hold.Close()
	return fmt.Errorf("the emulator ended: %w: %s", cmd.Wait(), strings.Join(said, " / "))
}

// Package emulator starts Google's Firestore emulator for tests, without
// gcloud's wrapper, which leaves its children behind.
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

// EnvHost is the variable by which Google's clients find an emulator. Where it
// is set already, as in a process that a test started, that one is used.
const EnvHost = "FIRESTORE_EMULATOR_HOST"

// start is called once: the emulator is ready in half a second, but shared.
var start = sync.OnceValues(run)

// errNoProgram says that this machine cannot run the emulator.
var errNoProgram = errors.New("the Firestore emulator is not on this machine")

// Start gives HOST:PORT of an emulator that lives as long as the test's
// process, also if that is killed. Set [EnvHost] to it before a client is made.
// Where java or gcloud's emulator is missing the test is skipped, and fails
// with CI=true. A named database that was never used is empty: take one for
// each test.
func Start(t testing.TB) (host string) {
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

func run() (host string, err error) {
	if host = os.Getenv(EnvHost); host != "" {
		return host, nil
	}
	java, jar, err := programs()
	if err != nil {
		return "", err
	}
	for range 3 { // somebody may take the port between our look and java's
		if host, err = freePort(); err != nil {
			return "", err
		}
		if err = launch(java, jar, host); err == nil {
			return host, nil
		}
	}
	return "", err
}

// programs finds java, and the jar in gcloud's own folder.
func programs() (java, jar string, err error) {
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
	jar = filepath.Join(filepath.Dir(gcloud), "..", "platform", "cloud-firestore-emulator", "cloud-firestore-emulator.jar")
	if _, err := os.Stat(jar); err != nil {
		return "", "", fmt.Errorf("%w: gcloud has no component cloud-firestore-emulator: %w", errNoProgram, err)
	}
	return java, jar, nil
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
func launch(java, jar, host string) error {
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		return err
	}
	cmd := exec.Command("sh", "-c", guard, "sh", java, "-Xmx768m", "-Duser.language=en", "-cp", jar, //nolint:gosec // a test's own command line
		"com.google.cloud.datastore.emulator.firestore.CloudFirestore", "start", "--host=127.0.0.1", "--port="+port, "--database-mode=firestore-native")
	hold, err := cmd.StdinPipe() // never closed by us: see guard
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
		if strings.Contains(lines.Text(), "now running") {
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

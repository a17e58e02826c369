package real

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/encoding/protojson"

	"gke-credential-rotator/gke/gkesim"
)

// program is the built program, run as processes of their own.
type program struct {
	binary, dir string
	environ     []string            // the settings, besides what every process needs
	as          *syscall.Credential // nil: the test's own user
}

// workshop is the folder of the built program; "": nobody asked for it.
var workshop string

// built is the program, made once for all tests.
var built = sync.OnceValues(func() (binary string, err error) {
	if workshop, err = os.MkdirTemp("", "rotator-test-"); err != nil {
		return "", err
	}
	if err := os.Chmod(workshop, 0o755); err != nil { // for tests that run it as somebody else
		return "", err
	}
	binary = filepath.Join(workshop, "rotator")
	if out, err := exec.Command("go", "build", "-o", binary, "../..").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
})

// TestMain takes away what was built when all tests are done.
func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(workshop)
	os.Exit(code)
}

func build(t testing.TB) *program {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return &program{binary: binary, dir: t.TempDir()}
}

// with is the program with more settings; later ones win.
func (p *program) with(settings ...string) *program {
	return &program{p.binary, p.dir, slices.Concat(p.environ, settings), p.as}
}

// process is one that was started.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

func (p *program) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.binary, args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "NO_COLOR=1"}, p.environ...)
	return cmd
}

func (p *program) start(t testing.TB, args ...string) *process {
	t.Helper()
	ps := &process{cmd: p.command(t.Context(), args...)}
	ps.cmd.Stdout, ps.cmd.Stderr = &ps.stdout, &ps.stderr
	if err := ps.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return ps
}

// wait waits for the end and gives the exit status; -1: a signal ended it.
func (ps *process) wait(t testing.TB) int {
	t.Helper()
	err := ps.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ps.cmd.ProcessState.ExitCode()
}

// run runs the program to its end, which must be exit status 0.
func (p *program) run(t testing.TB, args ...string) (stdout, stderr string) {
	t.Helper()
	ps := p.start(t, args...)
	if code := ps.wait(t); code != 0 {
		t.Fatalf("rotator %s: exit status %d\n%s", strings.Join(args, " "), code, ps.stderr.String())
	}
	return ps.stdout.String(), ps.stderr.String()
}

// simulator is "rotator simulate --serve" as a process, standing still at a
// time until it is told to go on.
type simulator struct {
	address string
}

func (p *program) simulator(t testing.TB, from time.Time, fleet []*containerpb.Cluster) simulator {
	t.Helper()
	var list []json.RawMessage
	for _, c := range fleet {
		text, err := protojson.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "fleet.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := p.command(context.WithoutCancel(t.Context()), "simulate", "--serve", "127.0.0.1:0", "--speed", "0",
		"--fleet", file, "--from", from.Format(time.RFC3339))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // killed or told to stop: it is gone
	})
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, lines) }() // until it ends
	found := regexp.MustCompile(`http://([0-9.:]+)`).FindStringSubmatch(first)
	if err != nil || found == nil {
		t.Fatalf("the simulator said %q: %v", first, err)
	}
	return simulator{found[1]}
}

// clock puts the simulated time to now.
func (s simulator) clock(t testing.TB, now time.Time) {
	t.Helper()
	res, err := http.Post("http://"+s.address+"/sim/clock", "application/json",
		strings.NewReader(`{"now":"`+now.Format(time.RFC3339)+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		t.Fatalf("the clock: %s", text)
	}
}

// journal gives every changing request that reached the simulated GKE.
func (s simulator) journal(t testing.TB) []gkesim.Entry {
	t.Helper()
	res, err := http.Get("http://" + s.address + "/sim/journal")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var entries []gkesim.Entry
	if err := json.NewDecoder(res.Body).Decode(&entries); err != nil {
		t.Fatal(err)
	}
	return entries
}

// delay stands between the program and the simulated GKE and holds back
// answers: the request has taken effect, and the program does not know yet.
type delay struct {
	*between

	mu     sync.Mutex
	method string        // whose answers are held back
	held   chan struct{} // gets one for each answer that is
	free   chan struct{} // closed to let them go
}

// holding holds back the answers to that method from now on.
func (d *delay) holding(method string) (held <-chan struct{}, release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.method, d.held, d.free = method, make(chan struct{}, 100), make(chan struct{})
	free := d.free
	return d.held, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.method = ""
		close(free)
	}
}

func (d *delay) pass(x *exchange) bool {
	d.mu.Lock()
	hold := d.method != "" && x.method == d.method && x.answer != ""
	held, free := d.held, d.free
	d.mu.Unlock()
	if hold {
		held <- struct{}{}
		<-free
	}
	return true
}

func (s simulator) delayed(t testing.TB) *delay {
	t.Helper()
	d := &delay{}
	d.between = standBetween(t, s.address, d.pass)
	return d
}

// await waits for one held answer.
func await(t testing.TB, held <-chan struct{}) {
	t.Helper()
	select {
	case <-held:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was sent within 30 s")
	}
}

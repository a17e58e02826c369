package state_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/option"
	"google.golang.org/grpc"

	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/emulator"
)

// The variables that tell a process of this test what it is.
const (
	envRole  = "ROTATOR_TEST_ROLE"
	envStore = "ROTATOR_TEST_STORE"
	envName  = "ROTATOR_TEST_NAME"
)

// So many processes write so often.
const racers, rounds = 4, 15

// TestProcess is the body of the processes that the tests below start.
func TestProcess(t *testing.T) {
	switch os.Getenv(envRole) {
	case "":
		t.Skip("the other tests start it")
	case "contend":
		contend(t, named(t, os.Getenv(envStore)), os.Getenv(envName))
	case "start":
		one := option.WithGRPCDialOption(grpc.WithUnaryInterceptor(saying))
		if _, err := named(t, os.Getenv(envStore), one).Write(context.Background(),
			starting("c", "dead", record.FleetDoc{})); err != nil {
			t.Error(err)
		}
	case "hold":
		_ = open(t, os.Getenv(envStore)).InWrite(func() {
			_, _ = os.Stdout.WriteString("holding\n")
			select {} // until killed
		})
	}
}

// saying says when a request leaves and when its answer is there, and never
// gives the answer on.
func saying(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker,
	opts ...grpc.CallOption) error {
	_, _ = os.Stdout.WriteString("sending\n")
	err := invoke(ctx, method, req, reply, cc, opts...)
	_, _ = fmt.Fprintf(os.Stdout, "answered %v\n", err)
	select {} // until killed
}

// named opens the store of that name.
func named(t *testing.T, name string, opts ...option.ClientOption) state.Store {
	t.Helper()
	if database, ok := strings.CutPrefix(name, "firestore:"); ok {
		return openFirestore(t, database, opts...)
	}
	return open(t, name)
}

// starting is what a start writes: the rotation, and its slot.
func starting(cluster, attempt string, doc record.FleetDoc) state.Change {
	r := newRotation(cluster, attempt)
	slots := map[string]record.Slot{r.Cluster.String(): {Attempt: attempt}}
	for k, v := range doc.Slots {
		slots[k] = v
	}
	doc.Slots = slots
	return state.Change{Rotation: &r, Fleet: &doc}
}

// contend starts rotations against others who do the same, and says how often
// it was too late. At first it waits until all have read the same.
func contend(t *testing.T, s state.Store, name string) {
	conflicts := 0
	for i := 0; i < rounds; {
		b, err := s.Contents(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && conflicts == 0 {
			_, _ = os.Stdout.WriteString("read\n")
			_, _ = os.Stdin.Read(make([]byte, 1))
		}
		attempt := fmt.Sprintf("%s-%d", name, i)
		switch _, err := s.Write(context.Background(), starting("c-"+attempt, attempt, b.Fleet)); {
		case err == nil:
			i++
		case errors.Is(err, state.ErrConflict):
			conflicts++
		default:
			t.Fatal(err)
		}
	}
	_, _ = os.Stdout.WriteString("conflicts=" + strconv.Itoa(conflicts) + "\n")
}

// process starts this test's program in a role.
func process(t *testing.T, role, store, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProcess$")
	cmd.Env = append(os.Environ(), envRole+"="+role, envStore+"="+store, envName+"="+name)
	if strings.HasPrefix(store, "firestore:") {
		cmd.Env = append(cmd.Env, emulator.EnvHost+"="+emulator.Start(t))
	}
	return cmd
}

// TestProcessesAtOnce: of all that was written nothing is lost, and every
// process was told when it was too late.
func TestProcessesAtOnce(t *testing.T) {
	for kind, store := range map[string]string{"file": filepath.Join(t.TempDir(), "store.db"),
		"firestore": "firestore:" + freshDatabase()} {
		t.Run(kind, func(t *testing.T) {
			if kind == "firestore" {
				emulator.Start(t)
			}
			conflicts := raceFor(t, store)
			b, err := named(t, store).Contents(context.Background())
			if err != nil || len(b.Rotations) != racers*rounds || len(b.Fleet.Slots) != racers*rounds {
				t.Errorf("%d rotations and %d slots are left of %d, error %v", len(b.Rotations), len(b.Fleet.Slots),
					racers*rounds, err)
			}
			if conflicts < racers-1 { // all began with the same version
				t.Errorf("%d processes were told of %d conflicts", racers, conflicts)
			}
			t.Logf("%d processes, %d writes, %d conflicts", racers, racers*rounds, conflicts)
		})
	}
}

// raceFor lets processes contend for the store and gives the conflicts they
// were told of.
func raceFor(t *testing.T, store string) (conflicts int) {
	t.Helper()
	type racer struct {
		cmd *exec.Cmd
		in  io.WriteCloser
		out *bufio.Scanner
	}
	var all []racer
	for i := range racers {
		cmd := process(t, "contend", store, fmt.Sprintf("p%d", i))
		in, bad := cmd.StdinPipe()
		out, worse := cmd.StdoutPipe()
		if err := errors.Join(bad, worse, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		all = append(all, racer{cmd, in, bufio.NewScanner(out)})
	}
	for _, r := range all {
		if !r.out.Scan() || r.out.Text() != "read" {
			t.Fatalf("a process said %q", r.out.Text())
		}
	}
	for _, r := range all {
		if _, err := r.in.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range all {
		said, done := "", false
		for r.out.Scan() {
			said += r.out.Text() + "\n"
			if c, ok := strings.CutPrefix(r.out.Text(), "conflicts="); ok {
				n, err := strconv.Atoi(c)
				conflicts, done = conflicts+n, err == nil
			}
		}
		if err := r.cmd.Wait(); err != nil || !done {
			t.Fatalf("%v: %s", err, said)
		}
	}
	return conflicts
}

// TestKilledInCommit: of a process that is killed when its commit is on its way,
// or answered, all is written or nothing, and nothing is locked.
func TestKilledInCommit(t *testing.T) {
	emulator.Start(t)
	for _, at := range []string{"sending", "answered <nil>"} {
		for try := range 4 {
			database := freshDatabase()
			cmd := process(t, "start", "firestore:"+database, "")
			killWhen(t, cmd, at)
			s := openFirestore(t, database)
			// Less than the 60 s for which a transaction that had read would
			// keep its locks, more than this machine ever needs.
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			for {
				b, err := s.Contents(ctx)
				if err != nil {
					t.Fatalf("%s, %d: %v", at, try, err)
				}
				_, begun := b.Rotations[newRotation("c", "").Cluster]
				if _, slot := b.Fleet.Slots["p/l/c"]; slot && !begun || at != "sending" && !begun {
					t.Fatalf("%s, %d: half of it is left: %+v", at, try, b)
				}
				_, err = s.Write(ctx, starting("d", "alive", b.Fleet))
				if err == nil {
					t.Logf("killed when %s, try %d: written %v", at, try, begun)
					break
				}
				if !errors.Is(err, state.ErrConflict) { // it may arrive after our look
					t.Fatalf("%s, %d: %v", at, try, err)
				}
			}
		}
	}
}

// killWhen starts the process and kills it when it has said the line.
func killWhen(t *testing.T, cmd *exec.Cmd, line string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, lines := "", bufio.NewScanner(out)
	for said != line && lines.Scan() {
		said = lines.Text()
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	if said != line {
		t.Fatalf("it ended with %q before it said %q", said, line)
	}
}

// TestKilledWithFile: a killed process leaves the file to the next.
func TestKilledWithFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	killWhen(t, process(t, "hold", path, ""), "holding")
	if _, err := open(t, path).Write(context.Background(), starting("c", "one", record.FleetDoc{})); err != nil {
		t.Error(err)
	}
}

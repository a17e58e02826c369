package emulator_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/state/emulator"
)

// TestStart: one emulator for all who ask, and none is left when the process
// that asked is gone, even killed.
func TestStart(t *testing.T) {
	host := emulator.Start(t)
	if again := emulator.Start(t); again != host {
		t.Errorf("a second emulator at %s beside %s", again, host)
	}
	if os.Getenv("ROTATOR_TEST_EMULATOR") != "" {
		_, _ = os.Stdout.WriteString("host=" + host + "\n")
		select {} // until killed
	}
	child := exec.Command(os.Args[0], "-test.run=^TestStart$")
	child.Env = []string{"ROTATOR_TEST_EMULATOR=1", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, err := out.Read(line)
	theirs, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "host=")
	if err != nil || !ok || theirs == host {
		t.Fatalf("the child said %q, %v", line[:n], err)
	}
	dial := func() error {
		c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", theirs)
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	if err := dial(); err != nil {
		t.Errorf("it does not answer: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	wait := time.NewTicker(50 * time.Millisecond) //nolint:forbidigo // the emulator's end comes in real time
	defer wait.Stop()
	for range 200 {
		if dial() != nil {
			return
		}
		<-wait.C
	}
	t.Error("10 s after its process was killed the emulator still answers")
}

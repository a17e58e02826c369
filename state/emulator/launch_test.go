package emulator

import (
	"errors"
	"net"
	"strings"
	"testing"
)

// TestTakenPort: the emulator's own words come back, and nothing waits.
func TestTakenPort(t *testing.T) {
	java, jar, err := firestore.find()
	if errors.Is(err, errNoProgram) {
		t.Skip(err) // TestStart fails where it must be there
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := firestore.launch(java, jar, l.Addr().String()); err == nil ||
		!strings.Contains(err.Error(), "the emulator ended") {
		t.Errorf("on a taken port: %v", err)
	}
}

// TestMissing: without the programs it is said which one is missing.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, p := range []program{firestore, pubsub} {
		if _, _, err := p.find(); !errors.Is(err, errNoProgram) || !strings.Contains(err.Error(), "java") {
			t.Errorf("without java: %v", err)
		}
	}
}

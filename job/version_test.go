package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVersion builds as the Dockerfile does, with and without a stamp.
func TestVersion(t *testing.T) {
	for _, tt := range []struct{ name, ldflags, want string }{
		{"stamped", "-X main.stampedVersion=v1.2.3+0123456789ab", "rotator version v1.2.3+0123456789ab\n"},
		{"not stamped", "", "rotator version (devel)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), "rotator")
			if out, err := exec.Command("go", "build", "-buildvcs=false", "-ldflags", tt.ldflags, "-o", binary,
				".").CombinedOutput(); err != nil {
				t.Fatalf("go build: %v\n%s", err, out)
			}
			out, err := exec.Command(binary, "--version").CombinedOutput()
			if err != nil || string(out) != tt.want {
				t.Errorf("rotator --version: %q, %v; want %q", out, err, strings.TrimSpace(tt.want))
			}
		})
	}
}

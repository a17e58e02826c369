package terminal

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"gke-credential-rotator/policy/reason"
)

// TestCommandsCanBePasted: a name with a shell's own characters is one word of
// the commands that are shown, and starts nothing else.
func TestCommandsCanBePasted(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("bash is not installed")
		}
		t.Skip("bash is not installed")
	}
	for _, name := range []string{"shop/l/plain~2", "shop/l/$(echo owned)", "shop/l/`echo owned`",
		"shop/l/a;echo owned", "shop/l/it's & so", "shop/l/a b", "shop/l/a\nb", "shop/l/x>y"} {
		text := strings.ReplaceAll(next(reason.ForeignRotation, name, "prod"), hard, " ")
		line, _, ok := strings.Cut(text, " lets this tool manage it")
		if !ok {
			t.Fatalf("%q: the advice is %q", name, text)
		}
		out, err := exec.Command("bash", "-c", "rotator() { printf '%s|' \"$@\"; }; "+line).CombinedOutput()
		if want := "adopt|" + name + "|--by|NAME|--reason|WHY|"; err != nil || string(out) != want {
			t.Errorf("%q is pasted as %q: it gives %q, error %v, want %q", name, line, out, err, want)
		}
	}
}

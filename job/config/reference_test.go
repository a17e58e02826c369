package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what deploy/CONFIG.md should say")

// TestConfigReference: deploy/CONFIG.md is made of the comments and tags in
// settings.go and is not stale. go test ./job/config -run Reference -update writes it.
func TestConfigReference(t *testing.T) {
	const path = "../../deploy/CONFIG.md"
	want := configReference(t)
	if *update {
		if err := os.MkdirAll("../../deploy", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: run go test ./job/config -run Reference -update", path)
	}
}

const configIntro = `# Settings

Made from ` + "`job/config/settings.go`" + `; do not edit. Every setting is an environment variable.
` + "`rotator validate`" + ` checks them, all at once, and shows what follows from them.

- A name that begins with ` + "`ROTATOR_`" + ` and is not in this table is an error: a misspelt
  setting would otherwise keep its default in silence.
- Durations are Go's (` + "`90m`, `72h`" + `), with days and weeks in front: ` + "`180d`, `2w`, `1d12h`" + `.
- Windows are ` + "`DAYS HH:MM-HH:MM [ZONE]`" + `, several joined by ` + "`;`" + `. A window belongs to the day
  it begins on and may cross midnight. The zone is an IANA name; without one it is UTC.
- Selectors are Kubernetes label selectors over the cluster's GKE resource labels.
- What a running rotation obeys is always the policy of the present run.

`

// configReference writes the reference.
func configReference(t *testing.T) string {
	comments, headings := settingComments(t)
	var table, text strings.Builder
	table.WriteString("| setting | default | in short |\n| --- | --- | --- |\n")
	for _, f := range rowsOf(&Settings{}) {
		comment := comments[f.field.Name]
		if comment == "" || f.form() == "" {
			t.Errorf("%s needs a comment and a form", f.field.Name)
		}
		def := "(required)"
		if f.Default != "" {
			def = "`" + f.Default + "`"
		}
		short, _, _ := strings.Cut(comment, ". ")
		fmt.Fprintf(&table, "| [`%s%s`](#%s) | %s | %s. |\n", Prefix, f.Name, strings.ToLower(Prefix+f.Name), def,
			strings.TrimSuffix(short, "."))
		if h := headings[f.field.Name]; h != "" {
			fmt.Fprintf(&text, "\n## %s\n", h)
		}
		fmt.Fprintf(&text, "\n### %s%s\n\n%s\n\n- Default: %s\n- Form: %s\n", Prefix, f.Name,
			strings.ReplaceAll(comment, "WARNING:", "**Warning:**"), def, f.form())
	}
	return configIntro + table.String() + text.String()
}

// settingComments reads the fields' comments, and the headings before them.
func settingComments(t *testing.T) (comments, headings map[string]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "settings.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments, headings = map[string]string{}, map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		from := s.Pos()
		for _, f := range s.Fields.List {
			comments[f.Names[0].Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			for _, c := range file.Comments {
				if c.Pos() > from && c.End() < f.Pos() && c != f.Doc {
					headings[f.Names[0].Name] = strings.Trim(c.Text(), "- \n")
				}
			}
			from = f.End()
		}
		return false
	})
	return comments, headings
}

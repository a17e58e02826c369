package corpus_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// targets are all fuzz targets: a new one takes its line here, and one that is
// lost is missed.
var targets = []string{
	"gke/FuzzCluster", "gke/FuzzRefusals",
	"gke/gkesim/FuzzFilter", "gke/gkesim/FuzzFleet", "gke/gkesim/FuzzREST", "gke/gkesim/FuzzSim",
	"gke/maintenance/FuzzMaintenance",
	"job/FuzzLog", "job/FuzzSimulate", "job/config/FuzzEnvironment", "job/config/FuzzSettings",
	"job/view/terminal/FuzzClean",
	"policy/FuzzLabels",
	"policy/fleet/FuzzBundle", "policy/fleet/FuzzDuration", "policy/fleet/FuzzRef", "policy/fleet/FuzzSelector",
	"policy/fleet/FuzzWaves",
	"policy/window/FuzzFreezes", "policy/window/FuzzParseWeekly", "policy/window/FuzzRecurring",
	"state/FuzzDocument", "state/FuzzFirestoreDocument",
}

// TestNoCorpusIsEmpty: every target counts its seeds by [corpus.Corpus.AtLeast],
// which fails where there are too few, each time the tests are run.
func TestNoCorpusIsEmpty(t *testing.T) {
	var found []string
	fset := token.NewFileSet()
	err := filepath.WalkDir("../../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") {
				continue
			}
			name := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../../") + "/" + fn.Name.Name
			found = append(found, name)
			if n, counted := least(fn); !counted || n < 5 {
				t.Errorf("%s does not ask its corpus for at least five generated seeds", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if !slices.Equal(found, targets) {
		t.Errorf("the fuzz targets are\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(targets, "\n"))
	}
}

// least finds AtLeast(N, ...) in the function.
func least(fn *ast.FuncDecl) (n int, counted bool) {
	ast.Inspect(fn, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "AtLeast" && len(call.Args) == 2 {
			if lit, ok := call.Args[0].(*ast.BasicLit); ok {
				counted = true
				for _, digit := range lit.Value {
					n = n*10 + int(digit-'0')
				}
			}
		}
		return true
	})
	return n, counted
}

// Package corpus gives fuzz targets their seeds: generated ones, and recorded
// data of real clusters, which is read in place and never copied. It counts
// both, for a target whose corpus is empty finds nothing and looks well.
package corpus

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Corpus is the seeds of one fuzz target.
type Corpus struct {
	f                   *testing.F
	generated, recorded int
	absent              bool // there is no recorded data on this machine
}

// Of begins the corpus of a target.
func Of(f *testing.F) *Corpus { return &Corpus{f: f} }

// Add adds a generated seed.
func (c *Corpus) Add(args ...any) {
	c.generated++
	c.f.Add(args...)
}

// AddRecorded adds a seed that was made of recorded data.
func (c *Corpus) AddRecorded(args ...any) {
	c.recorded++
	c.f.Add(args...)
}

// Recorded shows every recording below a folder of ../shared/fixtures. Where the
// recordings are absent the target works on its generated seeds, and says so.
func (c *Corpus) Recorded(folder string, use func(file string, text []byte)) {
	c.f.Helper()
	root, err := fixtures()
	if err != nil {
		c.f.Fatal(err)
	}
	if root == "" {
		c.absent = true
		c.f.Logf("no recorded data: ../shared/fixtures/%s is absent, so the generated seeds alone are played",
			folder)
		return
	}
	err = filepath.WalkDir(filepath.Join(root, folder), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // a recording beside the project, in a test
		if err == nil {
			use(filepath.Base(path), text)
		}
		return err
	})
	if err != nil {
		c.f.Fatal(err)
	}
}

// AtLeast fails the target when it has fewer seeds than that. recorded asks
// nothing where there are no recordings.
func (c *Corpus) AtLeast(generated, recorded int) {
	c.f.Helper()
	c.f.Logf("%d generated seeds, %d recorded", c.generated, c.recorded)
	if c.generated < generated || (c.recorded < recorded && !c.absent) {
		c.f.Fatalf("the corpus has %d generated and %d recorded seeds, want at least %d and %d", c.generated,
			c.recorded, generated, recorded)
	}
}

// fixtures finds ../shared/fixtures from the project's root; "" when absent.
func fixtures() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("look for recorded data: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "shared", "fixtures")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", nil
		}
	}
}

// slowest is the longest that one input may take. Inputs take milliseconds;
// this is for a loop without an end, on a machine that does much else.
const slowest = time.Minute

// Watch ends the process when what it watches takes too long, so that the
// input is kept as a finding. Call what it gives when done.
func Watch(input any) (done func()) {
	timer := time.AfterFunc(slowest, func() {
		panic(fmt.Sprintf("this input takes longer than %s: %.500q", slowest, fmt.Sprint(input)))
	})
	return func() { timer.Stop() }
}

// longestSaid is the most that a message about wrong input may add to the input
// that it repeats.
const longestSaid = 400

// OneShortLine reports whether a message is fit for a log: one line, and not longer
// than what it is about allows.
func OneShortLine(message, about string) bool {
	return message != "" && !strings.ContainsAny(message, "\n\r") && utf8.ValidString(message) &&
		len(message) <= longestSaid+8*len(about)
}

// Package html makes one self-contained HTML page about a fleet, for people
// who forward it: what must be done now, what is under way and until when, why
// the rest waits, and what was done. It needs no script and loads nothing; it
// reads no clock, asks nobody and decides nothing.
package html

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's template and its style sheet
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"strings"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// Page is what a report is made of. Only Policy and Result must be given.
type Page struct {
	Command  string         // what made the page: run, plan, simulate or forecast
	Mode     string         // observe or act; "" is left out
	Version  string         // the program's; "" is left out
	Zone     *time.Location // what times are shown in; nil is UTC
	Policy   *rules.Policy
	Settings []view.Setting  // all settings in force, for the page's end
	Result   pass.Result     // what was seen and decided and, by a run, carried out
	Finished []record.Record // rotations that have ended, in any order
	Played   *sim.Story      // what a simulation played until Result; nil: nothing was
	Forecast *sim.Forecast   // what is to come after Result; nil: nobody asked
	Notes    []string        // sentences about what the forecast rests on
}

//go:embed page.html
var pageText string

//go:embed page.css
var styleText string

// The indentation of the files is for us, not for the page.
var (
	style = unindented(styleText)
	page  = template.Must(template.New("page").Parse(unindented(pageText)))
)

// blankLines are what parts that are left out leave behind.
var blankLines = regexp.MustCompile(`\n\s*\n`)

func unindented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// contentPolicy lets the browser load nothing and run nothing: it may apply the
// page's own style sheet, known by its hash.
func contentPolicy() string {
	hash := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'none'"
}

// Write writes the page: whole or, when it cannot be made, not at all.
func Write(w io.Writer, p Page) error {
	var b bytes.Buffer
	if err := page.Execute(&b, newContent(p)); err != nil {
		return fmt.Errorf("make the report: %w", err)
	}
	if _, err := w.Write(blankLines.ReplaceAll(b.Bytes(), []byte("\n"))); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

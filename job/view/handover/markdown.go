package handover

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteMarkdown writes the pack for a ticket, a mail or a chat. Values stand in
// code spans and commands in fences, where Markdown reads nothing into them.
// Times are UTC.
func WriteMarkdown(w io.Writer, p Pack) error {
	var b bytes.Buffer
	when := func(t time.Time) string { return t.UTC().Format("Mon 2006-01-02 15:04 UTC") }
	fmt.Fprintf(&b, "# Hand-over %s\n\nAs of %s.\n\n", p.Title, when(p.Facts.At))
	for _, f := range p.Lines(when) {
		fmt.Fprintf(&b, "- **%s**: %s\n", f.Label, f.Text)
	}
	bullets(&b, "Now", p.Now)
	bullets(&b, "What you will notice", p.Impact)
	sections(&b, "Clients to update", p.Clients)
	bullets(&b, "What happens to forgotten ones", p.Forgotten)
	sections(&b, "To delay or approve", p.Levers)
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the hand-over: %w", err)
	}
	return nil
}

func bullets(b *bytes.Buffer, title string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	for _, item := range items {
		fmt.Fprintf(b, "- %s\n", item)
	}
}

func sections(b *bytes.Buffer, title string, steps []Step) {
	if len(steps) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n", title)
	for i, st := range steps {
		fmt.Fprintf(b, "\n### %d. %s\n\n%s\n", i+1, st.Title, st.Why)
		for _, c := range st.Commands {
			fence := fenceFor(c.Run)
			fmt.Fprintf(b, "\n%s:\n\n%sbash\n%s\n%s\n", strings.ToUpper(c.Does[:1])+c.Does[1:], fence, c.Run, fence)
		}
	}
}

// fenceFor is a fence that the text cannot close.
func fenceFor(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence
}

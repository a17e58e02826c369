// Package words makes text fit for where it goes: one harmless line, so many
// columns wide. Names, labels and messages that come from outside pass through
// it on their way to people.
package words

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Hard is a space at which no line is broken.
const Hard = "\u00a0"

// HarmlessJSON escapes the same characters in JSON, also where JSON does not ask
// for it. Line ends stay.
func HarmlessJSON(text []byte) []byte {
	if bytes.IndexFunc(text, func(r rune) bool { return r != '\n' && Harmful(r) }) < 0 {
		return text
	}
	var out []byte
	for _, r := range string(text) {
		switch {
		case r == '\n' || !Harmful(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			a, b := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, a, b)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// WriteJSON writes a value for programs; what names it in an error, and form sets
// the form, nil for one line.
func WriteJSON(w io.Writer, what string, value any, form func(*json.Encoder)) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	if form != nil {
		form(e)
	}
	err := e.Encode(value)
	if err == nil {
		_, err = w.Write(HarmlessJSON(text.Bytes()))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

// Harmless makes text from outside one line that is harmless on a terminal:
// control characters, invisible ones and those that turn the direction of
// writing are written out.
func Harmless(s string) string {
	if strings.IndexFunc(s, Harmful) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\n' || r == '\t' || r == '\r' || r == '\u00a0':
			b.WriteByte(' ')
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r < 0x80 && Harmful(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case Harmful(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// OneLine is Harmless, with blanks folded.
func OneLine(s string) string { return strings.Join(strings.Fields(Harmless(s)), " ") }

// Harmful says whether the character does more on a terminal than take a column:
// it steers, or it is not seen. Among the latter are some that Unicode has set
// aside and not named yet.
func Harmful(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && !unicode.IsLetter(r) || r == '\u00a0' ||
		r == unicode.ReplacementChar
}

// terminal is how wide characters are, the same whatever the locale says.
var terminal = runewidth.Condition{StrictEmojiNeutral: true}

// Cells is how many columns the text takes: two for a wide character as 日, none
// for what is written over another.
func Cells(s string) int { return terminal.StringWidth(s) }

// Cut keeps the beginning of a text that is too wide.
func Cut(s string, width int) string { return terminal.Truncate(s, max(width, 1), "…") }

// CutLeft keeps its end.
func CutLeft(s string, width int) string {
	if over := Cells(s) - max(width, 1); over > 0 {
		return terminal.TruncateLeft(s, over+1, "…")
	}
	return s
}

// Pad fills the text up with spaces.
func Pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-Cells(s), 0))
}

// Wrap breaks text at spaces into lines of at most width; a word that is
// longer is broken, unless it is a command. There is at least one line.
func Wrap(text string, width int) []string {
	width = max(width, 10)
	var lines []string
	line, used := "", 0
	flush := func() {
		if used > 0 {
			lines = append(lines, line)
			line, used = "", 0
		}
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' }) {
		n := Cells(word)
		if used > 0 && used+1+n > width {
			flush()
		}
		for n > width && !strings.Contains(word, Hard) {
			flush()
			head := terminal.Truncate(word, width, "")
			lines, word = append(lines, head), word[len(head):]
			n = Cells(word)
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	flush()
	if len(lines) == 0 {
		lines = []string{""}
	}
	return lines
}

package words

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A tilde is a home folder where a word or a value begins.
var needsQuotes = regexp.MustCompile(`[^A-Za-z0-9/._:=~-]|^~|[:=]~`)

// Quote writes text as one word of bash, and as nothing else: people paste
// commands, and the names in them are other people's. Characters that would do
// something on a terminal are written as escapes, so what is shown is what is run.
func Quote(text string) string {
	switch {
	case text == "":
		return "''"
	case !needsQuotes.MatchString(text):
		return text
	case Harmless(text) == text:
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\'' || r == '\\':
			b.WriteString(`\` + string(r))
		case Harmless(string(r)) != string(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + "'"
}

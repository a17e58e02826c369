package terminal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/job/words"
)

// movesTerminals are characters that a terminal obeys, or that make text read
// otherwise than it is: listed here one range at a time, not by the classes that
// the code under test uses.
var movesTerminals = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x00, Hi: 0x1f, Stride: 1}, {Lo: 0x7f, Hi: 0x9f, Stride: 1},
		{Lo: 0xad, Hi: 0xad, Stride: 1}, {Lo: 0x61c, Hi: 0x61c, Stride: 1}, {Lo: 0x200b, Hi: 0x200f, Stride: 1},
		{Lo: 0x2028, Hi: 0x202e, Stride: 1}, {Lo: 0x2060, Hi: 0x206f, Stride: 1},
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0xe0001, Hi: 0xe007f, Stride: 1}},
}

// FuzzClean: text from outside becomes one line that moves no terminal, on every
// page, and harmless text stays as it is; in JSON it reads back as what it was.
func FuzzClean(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"", "plain", "ä ö ü 日本", "\x1b[2J\x1b]0;title\x07", "\u009b31m", "a\nb\tc\rd",
		"\u202egnp.exe", "\u2066x\u2069", "\u200b\ufeff", "\xff\xfe", "\x7f", "a\u00a0b", "\U000e0041", "\u2028",
		"nul\x00"} {
		c.Add(s)
	}
	c.AtLeast(15, 0)
	f.Fuzz(func(t *testing.T, text string) {
		defer corpus.Watch(text)()
		got := words.Harmless(text)
		if strings.IndexFunc(got, func(r rune) bool { return unicode.Is(movesTerminals, r) }) >= 0 ||
			!utf8.ValidString(got) {
			t.Errorf("%q became %q", text, got)
		}
		if again := words.Harmless(got); again != got {
			t.Errorf("%q became %q and then %q", text, got, again)
		}
		if !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) &&
			got != text {
			t.Errorf("%q is harmless and became %q", text, got)
		}
		for _, l := range wrap(got, 20) {
			if strings.Contains(l, "\n") {
				t.Errorf("%q is wrapped to %q", text, l)
			}
		}
		raw, err := json.Marshal([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		var want, read []string
		escaped := words.HarmlessJSON(append(raw, '\n'))
		if err := json.Unmarshal(escaped, &read); err != nil || json.Unmarshal(raw, &want) != nil ||
			read[0] != want[0] {
			t.Errorf("%q is escaped to %s and reads %q, error %v", text, escaped, read, err)
		}
		if bytes.IndexFunc(escaped, func(r rune) bool { return r != '\n' && unicode.Is(movesTerminals, r) }) >= 0 {
			t.Errorf("%q is escaped to %q", text, escaped)
		}
	})
}

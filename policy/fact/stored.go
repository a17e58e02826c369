package fact

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// element is a time in a stored text.
type element struct {
	Time time.Time `json:"time"`
}

// MarshalJSON writes a text without a time as a string, and one with times as a
// list of strings and times. Names stay as words, and tails are not marked: who
// stores a text is only going to show it.
func (t Text) MarshalJSON() ([]byte, error) {
	list := []any{}
	words := ""
	for _, p := range t {
		if p.kind != instant {
			words += p.words
			continue
		}
		if words != "" {
			list = append(list, words)
		}
		list, words = append(list, element{time.Unix(p.at, 0).UTC()}), ""
	}
	switch {
	case len(list) == 0:
		return json.Marshal(words)
	case words != "":
		list = append(list, words)
	}
	return json.Marshal(list)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Text) UnmarshalJSON(text []byte) error {
	*t = nil
	var list []json.RawMessage
	if len(text) == 0 || text[0] != '[' {
		list = []json.RawMessage{text}
	} else if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("a text: %w", err)
	}
	for _, one := range list {
		var words string
		if json.Unmarshal(one, &words) == nil {
			*t = t.and(part{words: words})
			continue
		}
		var at element
		if err := json.Unmarshal(one, &at); err != nil {
			return fmt.Errorf("a part of a text is neither words nor a time: %w", err)
		}
		*t = append(*t, part{kind: instant, at: at.Time.Unix()})
	}
	return nil
}

// Plain is the text as words alone, its times in UTC: for programs.
func (t Text) Plain() Text { return Say(t.String()) }

// Clip keeps a text within n bytes of JSON, counted as [Text.String] writes it. A
// time takes a little more where it is stored; there are few.
func (t Text) Clip(n int) Text {
	if whole := t.String(); Clip(whole, n) == whole {
		return t
	}
	var out Text
	for _, p := range t {
		said := Text{p}.String()
		fits := Clip(said, n)
		if fits != said {
			return out.and(part{words: fits, tail: p.tail})
		}
		out = append(out, p)
		n -= inJSON(said)
	}
	return out
}

// Clip keeps a text within n bytes of JSON.
func Clip(s string, n int) string {
	const most = 6 // bytes that JSON takes for one: \u003c
	if len(s)*most <= n || inJSON(s) <= n {
		return s
	}
	s = strings.ToValidUTF8(s, "")
	took := 0
	for i, r := range s {
		if took += inJSON(string(r)); took > n {
			return s[:i]
		}
	}
	return s
}

// inJSON is how many bytes the text takes in a document.
func inJSON(s string) int {
	text, _ := json.Marshal(s) // a string: it cannot fail
	return len(text) - len(`""`)
}

package record

import (
	"encoding/json"
	"strings"
)

// clip keeps a message within what a document allows.
func Clip(s string) string { return ClipTo(s, MaxMessage) }

// clipTo keeps a text within n bytes of JSON.
func ClipTo(s string, n int) string {
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

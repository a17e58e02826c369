package words

import (
	"fmt"
	"slices"
	"strings"
)

// Distance counts the letters to change, add or drop between two names
// (Levenshtein). Names longer than any that people type count as far apart.
func Distance(a, b string) int {
	const longest = 300
	if len(a) > longest || len(b) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// Nearest gives the word that is at most a third away, or "".
func Nearest(to string, known []string) string {
	best, found := len(to)/3+1, ""
	for _, w := range known {
		if d := Distance(to, w); d < best {
			best, found = d, w
		}
	}
	return found
}

// DidYouMean is the nearest word as a question in parentheses, or "".
func DidYouMean(to string, known []string) string {
	near := Nearest(strings.ToLower(to), known)
	return If(near != "", " (did you mean "+near+"?)")
}

// OneOf says whether the text is one of the choices, and which was meant.
func OneOf(text string, choices ...string) error {
	if slices.Contains(choices, text) {
		return nil
	}
	return fmt.Errorf("%q is not one of the choices%s", text, DidYouMean(text, choices))
}

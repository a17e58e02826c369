package words

import (
	"slices"
	"strings"
	"testing"
)

// TestCells: a text is as wide as terminals write it, and is folded and cut there.
func TestCells(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "plain": 5, "日本": 4, "ｱ": 1, "e\u0301": 1, "· → █ ░ ✓ …": 11, Hard: 1, "שלום": 4, "👍": 2,
	} {
		if got := Cells(text); got != want {
			t.Errorf("%q takes %d columns, not %d", text, got, want)
		}
	}
	for _, l := range Wrap("一二三四五六七八九十 and 日本", 11) {
		if Cells(l) > 11 {
			t.Errorf("%q is wider than 11", l)
		}
	}
	if got := strings.Join(Wrap("一二三四五六七八九十", 11), "|"); got != "一二三四五|六七八九十" {
		t.Errorf("folded as %q", got)
	}
	if got := []string{Cut("日本語", 4), CutLeft("日本語", 5), Cut("abc", 3), CutLeft("abc", 2),
		Pad("日本", 5) + "|"}; !slices.Equal(got, []string{"日…", "…本語", "abc", "…c", "日本 |"}) {
		t.Errorf("%q", got)
	}
}

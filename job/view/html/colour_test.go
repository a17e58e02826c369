package html

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// colours are the values of the style sheet's variables in one scheme.
func colours(t *testing.T, css string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
		out[m[1]] = m[2]
	}
	return out
}

// luminance is WCAG's, of #rrggbb.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast: WCAG AA, 4.5 for words and 3 for shapes, in both schemes.
func TestContrast(t *testing.T) {
	light, rest, ok := strings.Cut(styleText, "@media screen and (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("there is no dark scheme")
	}
	dark, _, _ := strings.Cut(rest, "*, *::before")
	for scheme, css := range map[string]string{"light": light, "dark": dark} {
		c := colours(t, css)
		check := func(fore, back string, least float64) {
			if c[fore] == "" || c[back] == "" {
				t.Errorf("%s: %s or %s has no colour", scheme, fore, back)
				return
			}
			if got := contrast(t, c[fore], c[back]); got < least {
				t.Errorf("%s: %s on %s has %.2f, less than %.1f", scheme, fore, back, got, least)
			}
		}
		for _, back := range []string{"paper", "card", "well"} {
			check("ink", back, 7)
			check("soft", back, 4.5)
			check("link", back, 4.5)
		}
		for _, state := range []string{"people", "doing", "flight", "waiting", "rotated", "idle"} {
			check(state, "paper", 4.5)
			check(state, "card", 4.5)
			check(state, state+"-wash", 4.5)
			check("ink", state+"-wash", 4.5)
		}
		if len(c) != 20 {
			t.Errorf("%s has %d colours: is each of them checked?", scheme, len(c))
		}
	}
	if got := fmt.Sprintf("%.2f", contrast(t, "#767676", "#ffffff")); got != "4.54" {
		t.Errorf("the formula gives %s for grey on white, not 4.54", got)
	}
}

package fleet

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that also reads days and weeks: 180d, 2w, 1d12h.
type Duration time.Duration

var durationPart = regexp.MustCompile(`^(\d+)([dw])`)

// UnmarshalText reads a duration. "off", "none" and "" are zero.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes it with the largest units that fit.
func (d Duration) MarshalText() ([]byte, error) { return []byte(Days(time.Duration(d))), nil }

// longest is a hundred years: more is a slip, and sums stay in range.
const longest = 36500 * 24 * time.Hour

// ParseDuration reads Go's durations with d (24 h) and w (7 d) in front, as in
// 180d, 2w or 1d12h. "off", "none" and "" are zero; nothing is negative.
func ParseDuration(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	if text == "" || text == "off" || text == "none" || text == "0" {
		return 0, nil
	}
	var sum time.Duration
	rest := text
	for m := durationPart.FindStringSubmatch(rest); m != nil; m = durationPart.FindStringSubmatch(rest) {
		n, err := strconv.Atoi(m[1])
		unit := 24 * time.Hour
		if m[2] == "w" {
			unit *= 7
		}
		if err != nil || n > int((longest-sum)/unit) {
			return 0, fmt.Errorf("%q is more than a hundred years", text)
		}
		sum += time.Duration(n) * unit
		rest = rest[len(m[0]):]
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q is not a duration: write e.g. 90m, 72h, 180d or 2w", text)
		}
		if d > longest-sum {
			return 0, fmt.Errorf("%q is more than a hundred years", text)
		}
		sum += d
	}
	return sum, nil
}

// Days writes a duration with days, hours and minutes, as 3d4h or 45m, so that
// [ParseDuration] reads it back.
func Days(d time.Duration) string {
	if d < 0 {
		return "-" + Days(-max(d, -math.MaxInt64))
	}
	if d == 0 {
		return "0"
	}
	text := ""
	for _, unit := range []struct {
		is   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.is; n > 0 {
			text += fmt.Sprintf("%d%s", n, unit.name)
		}
		d %= unit.is
	}
	if d > 0 {
		text += d.String()
	}
	return text
}

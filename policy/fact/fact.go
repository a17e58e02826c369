// Package fact holds what the rules say: sentences whose facts keep their type
// until somebody shows them. A page puts its times into its zone, a log keeps
// UTC, and the words of people are nobody's to change: nothing that shows a
// text reads English back.
package fact

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Text is what the rules say, in parts; nil is nothing.
type Text []part

// part is a piece of a text: words, a time, or a name.
type part struct {
	words string
	kind  kind
	// tail numbers what is said beyond the thing itself: 0 is the thing, 1 the
	// first that follows it.
	tail uint8
	at   int64 // of an instant: seconds since 1970, for a fleet has many texts
}

type kind uint8

const (
	plain   kind = iota // words, of ours or as somebody else said them
	instant             // a time
	setting             // the name of a setting
	cluster             // the name of a cluster
)

// Say makes a text of words: a sentence of ours without facts, or what somebody
// else said.
func Say(words string) Text {
	if words == "" {
		return nil
	}
	return Text{{words: words}}
}

// Sayf makes a text by a format of verbs without flags. A time stays a time and a
// text keeps its facts; all else becomes words: what people, labels and GKE say,
// and names, are shown as they stand.
func Sayf(form string, args ...any) Text { return Text(nil).sayf(0, form, args...) }

// Set is a setting and its value, NAME=VALUE.
func Set(name string, value any) Text {
	return Text{{words: name, kind: setting}}.sayf(0, "=%v", value)
}

// Cluster is the name of a cluster.
func Cluster(name string) Text { return Text{{words: name, kind: cluster}} }

// Tailf adds what is said beyond the thing itself: until when, and what follows
// from it. See [Text.Head] and [Text.Without].
func (t Text) Tailf(form string, args ...any) Text {
	last := uint8(0)
	if n := len(t); n > 0 {
		last = t[n-1].tail
	}
	return t.sayf(last+1, form, args...)
}

// Join makes one text of those that say something.
func Join(texts ...Text) Text {
	var out Text
	for _, t := range texts {
		switch {
		case len(t) == 0:
		case len(out) == 0:
			out = t
		default:
			out = out.Tailf("; %v", t)
		}
	}
	return out
}

// sayf adds words and facts, all of them to one tail.
func (t Text) sayf(tail uint8, form string, args ...any) Text {
	if false {
		_ = fmt.Sprintf(form, args...) // so that vet compares form and facts
	}
	most := len(t) + 1
	for _, arg := range args {
		switch arg := arg.(type) {
		case time.Time:
			most += 2
		case Text:
			most += len(arg) + 1
		}
	}
	out := append(make(Text, 0, most), t...)
	for form != "" {
		at := strings.IndexByte(form, '%')
		if at < 0 {
			at = len(form)
		}
		out = out.and(part{words: form[:at], tail: tail})
		if form = form[at:]; form == "" {
			break
		}
		verb := form[:2]
		form = form[2:]
		if verb == "%%" {
			out = out.and(part{words: "%", tail: tail})
			continue
		}
		switch arg := args[0].(type) {
		case string:
			if verb == "%q" {
				arg = strconv.Quote(arg)
			}
			out = out.and(part{words: arg, tail: tail})
		case time.Time:
			out = out.and(part{kind: instant, at: arg.Unix(), tail: tail})
		case Text:
			for _, p := range arg {
				p.tail = tail
				out = out.and(p)
			}
		default:
			out = out.and(part{words: fmt.Sprintf(verb, arg), tail: tail})
		}
		args = args[1:]
	}
	return out
}

// and adds a part to a text that nobody else has; words beside words are one.
func (t Text) and(p part) Text {
	n := len(t)
	switch {
	case p.kind == plain && p.words == "":
		return t
	case n > 0 && p.kind == plain && t[n-1].kind == plain && p.tail == t[n-1].tail:
		t[n-1].words += p.words
		return t
	}
	return append(t, p)
}

// Head is the thing itself, without its tails.
func (t Text) Head() Text {
	if i := slices.IndexFunc(t, func(p part) bool { return p.tail > 0 }); i >= 0 {
		return t[:i:i]
	}
	return t
}

// Without drops the tail that ends with this time: for where the time stands
// beside the text.
func (t Text) Without(at time.Time) Text {
	n := len(t) - 1
	if n < 0 || t[n].kind != instant || t[n].tail == 0 || t[n].at != at.Unix() {
		return t
	}
	i := slices.IndexFunc(t, func(p part) bool { return p.tail == t[n].tail })
	return t[:i:i]
}

// Settings are the names of the settings that the text names, each once.
func (t Text) Settings() []string { return t.named(setting) }

// Clusters are the names of the clusters that the text names, each once.
func (t Text) Clusters() []string { return t.named(cluster) }

func (t Text) named(k kind) []string {
	var names []string
	for _, p := range t {
		if p.kind == k && !slices.Contains(names, p.words) {
			names = append(names, p.words)
		}
	}
	return names
}

// String is the text in UTC, for logs and programs.
func (t Text) String() string {
	return t.Show(func(words string) string { return words }, Stamp)
}

// Stamp writes a time in UTC, as all that is no page does.
func Stamp(t time.Time) string { return t.UTC().Format("Mon 2006-01-02 15:04") }

// Day writes the day of a time in UTC.
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Some names the first few and counts the rest.
func Some(names []string) string { return SomeOf(names, len(names)) }

// SomeOf names the first few of so many, and counts the rest.
func SomeOf(first []string, count int) string {
	if count <= Few {
		return strings.Join(first, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(first[:Few], ", "), count-Few)
}

// Few is how many names a message has room for.
const Few = 3

// Show writes the text with words and times as a page shows them.
func (t Text) Show(words func(string) string, at func(time.Time) string) string {
	if len(t) == 1 && t[0].kind != instant {
		return words(t[0].words)
	}
	var b strings.Builder
	for _, p := range t {
		if p.kind == instant {
			b.WriteString(at(time.Unix(p.at, 0).UTC()))
		} else {
			b.WriteString(words(p.words))
		}
	}
	return b.String()
}

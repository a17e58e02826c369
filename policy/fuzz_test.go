package policy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/policy"
)

// longestSaid is the most that a message about wrong input may add to the input
// that it repeats.
const longestSaid = 400

// oneShortLine says whether a message is fit for a log: one line, and not longer
// than what it is about allows.
func oneShortLine(message, about string) bool {
	return message != "" && !strings.ContainsAny(message, "\n\r") && utf8.ValidString(message) && len(message) <= longestSaid+8*len(about)
}

// FuzzBundle: whatever a cluster shows as its CA becomes one or two
// certificates, or a problem in a few words that repeats no content; never one
// certificate where there are two.
func FuzzBundle(f *testing.F) {
	c := corpus.Of(f)
	one := armour("CERTIFICATE", certificate(f, 1, time.Unix(1e9, 0), time.Unix(2e9, 0)))
	two := armour("CERTIFICATE", certificate(f, 2, time.Unix(1.1e9, 0), time.Unix(2.1e9, 0)))
	for _, s := range []string{"", "x", one, one + two, two + one, one + one, one + two[:90], one[:90] + two, one[:len(one)-30] + two, "words\n" + one,
		one + armour("PRIVATE KEY", []byte("secret")), armour("CERTIFICATE", []byte("no DER")), strings.ReplaceAll(one, "\n", "\r\n"), "-----BEGIN " + strings.Repeat("A", 3000) + "-----\n-----END " + strings.Repeat("A", 3000) + "-----\n"} {
		c.Add(s)
	}
	c.Recorded("certs", func(_ string, text []byte) {
		var f struct{ ClusterCaCertificate string }
		if json.Unmarshal(text, &f) == nil && f.ClusterCaCertificate != "" {
			c.AddRecorded(f.ClusterCaCertificate)
		}
	})
	c.AtLeast(14, 40)
	f.Fuzz(func(t *testing.T, text string) {
		defer corpus.Watch(text)()
		for _, in := range []string{text, b64(text)} {
			b := policy.ParseBundle(in)
			checkBundle(t, in, b)
			if again := policy.ParseBundle(" " + in + "\n"); again.Problem != b.Problem || !slices.Equal(again.CAs, b.CAs) {
				t.Errorf("%q: white space around it changes %+v to %+v", in, b, again)
			}
		}
		if b := policy.ParseBundle(b64(text)); len(b.CAs) > 0 && len(b.CAs) < distinct(text) {
			t.Errorf("%q: %d certificates were read of %d", text, len(b.CAs), distinct(text))
		}
	})
}

func checkBundle(t *testing.T, in string, b policy.Bundle) {
	t.Helper()
	if b.Problem == "" && (len(b.CAs) < 1 || len(b.CAs) > 2) {
		t.Errorf("%q: %d certificates and no problem", in, len(b.CAs))
	}
	if b.Problem != "" && !oneShortLine(b.Problem, "") {
		t.Errorf("%q: the problem is not one short line: %q", in, b.Problem)
	}
	for i, ca := range b.CAs {
		if len(ca.Fingerprint) != 64 || !b.Has(ca.Fingerprint) || (i > 0 && (ca.Issued.Before(b.CAs[i-1].Issued) || ca.Fingerprint == b.CAs[i-1].Fingerprint)) {
			t.Errorf("%q: %+v is out of order, there twice or without a fingerprint", in, b.CAs)
		}
	}
}

// distinct counts, naively, the different bodies between certificate armour.
func distinct(text string) int {
	seen := map[string]bool{}
	for {
		_, rest, ok := strings.Cut(text, "-----BEGIN CERTIFICATE-----\n")
		body, after, closed := strings.Cut(rest, "\n-----END CERTIFICATE-----")
		if !ok || !closed {
			return len(seen)
		}
		seen[strings.Join(strings.Fields(body), "")] = true
		text = after
	}
}

// FuzzSelector: a selector is written as it is read, means the same again, and
// each of its terms and all of them together agree.
func FuzzSelector(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"env=prod,tier in (a,b),!x", "a notin (,)", "((", "a!=", "all", "", " all ", "a==b", "a=b=c", "a in (b", "a,b,c", "!", ",", "a in (b),c notin (d,e)", "ä=ö", "a\x00=b", "(a,b)"} {
		c.Add(s, "env=prod;tier=a;x=")
	}
	c.Recorded("clusters", func(_ string, text []byte) {
		var f struct{ ResourceLabels map[string]string }
		if json.Unmarshal(text, &f) == nil && len(f.ResourceLabels) > 0 {
			var labels, terms []string
			for k, v := range f.ResourceLabels {
				labels, terms = append(labels, k+"="+v), append(terms, k+"="+v)
			}
			slices.Sort(labels)
			slices.Sort(terms)
			c.AddRecorded(strings.Join(terms, ","), strings.Join(labels, ";"))
		}
	})
	c.AtLeast(15, 5)
	f.Fuzz(func(t *testing.T, text, labelText string) {
		defer corpus.Watch(text)()
		labels := map[string]string{}
		for _, l := range strings.Split(labelText, ";") {
			k, v, _ := strings.Cut(l, "=")
			labels[k] = v
		}
		s, err := policy.ParseSelector(text)
		if err != nil {
			if !strings.Contains(err.Error(), "write e.g.") || s.String() != "all" || !oneShortLine(err.Error(), text) {
				t.Errorf("%q: %v with %q", text, err, s)
			}
			return
		}
		again, err := policy.ParseSelector(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q written as %q reads as %q, error %v", text, s, again, err)
		}
		if !strings.ContainsAny(text, "()") && !strings.Contains(text, "all") { // then commas part terms, and all of them must match
			and := true
			for _, part := range strings.Split(s.String(), ",") {
				one, err := policy.ParseSelector(part)
				and = and && err == nil && one.Matches(labels)
			}
			if s.Matches(labels) != and {
				t.Errorf("%q on %v: %t, its terms say %t", text, labels, s.Matches(labels), and)
			}
		}
		if s.Matches(labels) != again.Matches(labels) || s.Matches(nil) != again.Matches(map[string]string{}) {
			t.Errorf("%q and %q differ on %v", text, s, labels)
		}
	})
}

// FuzzWaves: waves are written as they are read, have names that differ, and
// what is refused leaves nothing half read.
func FuzzWaves(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"", "one", "none", "env=dev > env=staging > env=prod", ">", "env=dev >", "env=dev > all", "env=dev > env=dev", "rest > env=dev",
		"a in (b,c)>!d", "env=dev > (", "a > a ", strings.Repeat("a>", 200) + "b", "one > two", "none > env=dev"} {
		c.Add(s)
	}
	c.AtLeast(14, 0)
	f.Fuzz(func(t *testing.T, text string) {
		defer corpus.Watch(text)()
		w := policy.Waves{{Name: "before"}}
		if err := w.UnmarshalText([]byte(text)); err != nil {
			if len(w) > 1 || (len(w) == 1 && w[0].Name != "before") || !oneShortLine(err.Error(), text) {
				t.Errorf("%q: %v, and %v was taken", text, err, w)
			}
			return
		}
		written, err := w.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again policy.Waves
		if err := again.UnmarshalText(written); err != nil || len(again) != len(w) {
			t.Fatalf("%q is written as %q and reads as %v, error %v", text, written, again, err)
		}
		seen := map[string]bool{"": true, policy.LastWave: true}
		for i, wave := range w {
			if seen[wave.Name] || again[i].Name != wave.Name || wave.Selector.String() != wave.Name {
				t.Errorf("%q: wave %d is named %q in %v and %v", text, i, wave.Name, w, again)
			}
			seen[wave.Name] = true
		}
	})
}

// FuzzDuration: within its bounds, and written so that it reads as the same.
func FuzzDuration(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"180d", "2w3d4h", "1d500ms", "36500d", "36501d", "-1h", "1.5h", "off", "none", "0", "1h1d", "99999999999999999999d", "0.000000001ns", "1d\x00", "9223372036854775807ns"} {
		c.Add(s)
	}
	c.AtLeast(14, 0)
	f.Fuzz(func(t *testing.T, text string) {
		defer corpus.Watch(text)()
		d, err := policy.ParseDuration(text)
		if err != nil {
			helps := strings.Contains(err.Error(), "write e.g.") || strings.Contains(err.Error(), "hundred years")
			if d != 0 || !oneShortLine(err.Error(), text) || !helps {
				t.Errorf("%q: %v with %v", text, err, d)
			}
			return
		}
		if d < 0 || d > 36500*24*time.Hour {
			t.Errorf("%q is %v", text, d)
		}
		if again, err := policy.ParseDuration(policy.Days(d)); err != nil || again != d {
			t.Errorf("%q is written as %q and reads as %v, error %v", text, policy.Days(d), again, err)
		}
	})
}

// FuzzRef: a name that is taken breaks no path and no line, and both its forms
// and the document's own read as the same cluster.
func FuzzRef(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"p/l/c", "projects/p/zones/l/clusters/c", "p/l/c~2", "p/../c", "//", "p/l/..", "__p/l/c__", "p/l/\x1b[2J", "p/l/c\n", "p/-/c", "example.com:p/l/c", "p/l/\u202ec", "p/l/\u009b31m", strings.Repeat("p", 201) + "/l/c"} {
		c.Add(s)
	}
	c.Recorded("clusters", func(_ string, text []byte) {
		var f struct{ Name, Location, SelfLink string }
		if json.Unmarshal(text, &f) == nil && f.SelfLink != "" {
			_, path, _ := strings.Cut(f.SelfLink, "/v1/")
			c.AddRecorded(path)
			c.AddRecorded("project-1/" + f.Location + "/" + f.Name)
		}
	})
	c.AtLeast(14, 50)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := policy.ParseRef(text)
		if err != nil {
			if !r.IsZero() || !strings.Contains(err.Error(), "does not name a cluster") || !oneShortLine(err.Error(), text) {
				t.Errorf("%q: %v with %v", text, err, r)
			}
			return
		}
		for _, form := range []string{r.String(), r.Path()} {
			if again, err := policy.ParseRef(form); err != nil || again != r {
				t.Errorf("%q written as %q reads as %v, error %v", text, form, again, err)
			}
		}
		for _, part := range []string{r.Project, r.Location, r.Name} {
			if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "/\x00\n\r\x1b") || !utf8.ValidString(part) || len(part) > 200 {
				t.Errorf("%q: the part %q would break a path, a line or an id", text, part)
			}
		}
		if written, err := json.Marshal(r); err == nil {
			var again policy.Ref
			if err := json.Unmarshal(written, &again); err != nil || again != r {
				t.Errorf("%q is stored as %s and reads as %v, error %v", text, written, again, err)
			}
		}
	})
}

// FuzzLabels: no label that begins as a hold does is overlooked, unless its day
// is over; what is told of it is one short line; and only the one value that is
// told approves.
func FuzzLabels(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range [][2]string{
		{"rotator-hold", ""}, {"rotator-hold", "launch"}, {"rotator-hold-until", "2026-12-24"}, {"rotator-hold-until", "2020-01-01"},
		{"rotator-hold-until", "tomorrow"}, {"rotator_hold_until", "2026-12-24"}, {"rotator-hold-until", "2026-12-24\n"}, {"rotator-holdx", "\x1b[31m"},
		{"rotator-approve", "yes"}, {"rotator-approve", "complete-attempt-1"}, {"rotator-approve", "start-cafe01-2026-11-30"}, {"rotator-hold", strings.Repeat("ü", 900)}, {"env", "prod"},
	} {
		c.Add(s[0], s[1])
	}
	c.AtLeast(13, 0)
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	cluster := policy.Cluster{Bundle: policy.Bundle{CAs: []policy.CA{{Fingerprint: "cafe01", Expires: now.AddDate(0, 0, 100)}}}, Status: policy.Running}
	p := &policy.Policy{RotateBeforeExpiry: 180 * 24 * time.Hour, Approval: policy.ApproveStart, Steer: policy.SteerBoth, MaxFailed: 1, MaxActive: 1, Every: time.Hour, NodeTime: 10 * time.Minute}
	f.Fuzz(func(t *testing.T, key, value string) {
		defer corpus.Watch(key + value)()
		cluster.Labels = map[string]string{key: value}
		said := p.LabelHold(cluster, now)
		day, err := time.Parse(time.DateOnly, value)
		over := key == "rotator-hold-until" && err == nil && !now.Before(day.AddDate(0, 0, 1))
		if holds := strings.HasPrefix(key, "rotator-hold") && !over; holds && said == "" || !strings.HasPrefix(key, "rotator") && said != "" {
			t.Errorf("%q=%q: told %q", key, value, said)
		}
		if said != "" && (!oneShortLine(said, "") || len(said) > policy.MaxMessage) {
			t.Errorf("%q=%q is told in too many words: %q", key, value, said)
		}
		for _, d := range policy.Plan(p, policy.Fleet{Clusters: []policy.Cluster{cluster}}, "run", now) {
			for _, v := range d.Gates {
				near := strings.HasPrefix(value, "start-cafe01-2026-1")
				if v.Gate == "approval" && v.Open && (key != "rotator-approve" || !near) {
					t.Errorf("%q=%q approves", key, value)
				}
				if strings.ContainsFunc(v.Message, unicode.IsControl) {
					t.Errorf("%q=%q: gate %s says %q", key, value, v.Gate, v.Message)
				}
			}
		}
	})
}

package fleet_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/policy/fleet"
)

// FuzzBundle: whatever a cluster shows as its CA becomes one or two
// certificates, or a problem in a few words that repeats no content; never one
// certificate where there are two.
func FuzzBundle(f *testing.F) {
	c := corpus.Of(f)
	one := armour("CERTIFICATE", certificate(f, 1, time.Unix(1e9, 0), time.Unix(2e9, 0)))
	two := armour("CERTIFICATE", certificate(f, 2, time.Unix(1.1e9, 0), time.Unix(2.1e9, 0)))
	for _, s := range []string{"", "x", one, one + two, two + one, one + one, one + two[:90], one[:90] + two,
		one[:len(one)-30] + two, "words\n" + one,
		one + armour("PRIVATE KEY", []byte("secret")), armour("CERTIFICATE", []byte("no DER")),
		strings.ReplaceAll(one, "\n", "\r\n"), "-----BEGIN " + strings.Repeat("A", 3000) + "-----\n-----END " +
			strings.Repeat("A", 3000) + "-----\n"} {
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
			b := fleet.ParseBundle(in)
			checkBundle(t, in, b)
			if again := fleet.ParseBundle(" " + in + "\n"); again.Problem != b.Problem ||
				!slices.Equal(again.CAs, b.CAs) {
				t.Errorf("%q: white space around it changes %+v to %+v", in, b, again)
			}
		}
		if b := fleet.ParseBundle(b64(text)); len(b.CAs) > 0 && len(b.CAs) < distinct(text) {
			t.Errorf("%q: %d certificates were read of %d", text, len(b.CAs), distinct(text))
		}
	})
}

func checkBundle(t *testing.T, in string, b fleet.Bundle) {
	t.Helper()
	if b.Problem == "" && (len(b.CAs) < 1 || len(b.CAs) > 2) {
		t.Errorf("%q: %d certificates and no problem", in, len(b.CAs))
	}
	if b.Problem != "" && !corpus.OneShortLine(b.Problem, "") {
		t.Errorf("%q: the problem is not one short line: %q", in, b.Problem)
	}
	for i, ca := range b.CAs {
		if len(ca.Fingerprint) != 64 || !b.Has(ca.Fingerprint) ||
			(i > 0 && (ca.Issued.Before(b.CAs[i-1].Issued) || ca.Fingerprint == b.CAs[i-1].Fingerprint)) {
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
	for _, s := range []string{"env=prod,tier in (a,b),!x", "a notin (,)", "((", "a!=", "all", "", " all ",
		"a==b", "a=b=c", "a in (b", "a,b,c", "!", ",", "a in (b),c notin (d,e)", "ä=ö", "a\x00=b", "(a,b)"} {
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
		s, err := fleet.ParseSelector(text)
		if err != nil {
			if !strings.Contains(err.Error(), "write e.g.") || s.String() != "all" ||
				!corpus.OneShortLine(err.Error(), text) {
				t.Errorf("%q: %v with %q", text, err, s)
			}
			return
		}
		again, err := fleet.ParseSelector(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q written as %q reads as %q, error %v", text, s, again, err)
		}
		// then commas part terms, and all of them must match
		if !strings.ContainsAny(text, "()") && !strings.Contains(text, "all") {
			and := true
			for _, part := range strings.Split(s.String(), ",") {
				one, err := fleet.ParseSelector(part)
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
	for _, s := range []string{"", "one", "none", "env=dev > env=staging > env=prod", ">", "env=dev >",
		"env=dev > all", "env=dev > env=dev", "rest > env=dev",
		"a in (b,c)>!d", "env=dev > (", "a > a ", strings.Repeat("a>", 200) + "b", "one > two", "none > env=dev"} {
		c.Add(s)
	}
	c.AtLeast(14, 0)
	f.Fuzz(func(t *testing.T, text string) {
		defer corpus.Watch(text)()
		w := fleet.Waves{{Name: "before"}}
		if err := w.UnmarshalText([]byte(text)); err != nil {
			if len(w) > 1 || (len(w) == 1 && w[0].Name != "before") || !corpus.OneShortLine(err.Error(), text) {
				t.Errorf("%q: %v, and %v was taken", text, err, w)
			}
			return
		}
		written, err := w.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again fleet.Waves
		if err := again.UnmarshalText(written); err != nil || len(again) != len(w) {
			t.Fatalf("%q is written as %q and reads as %v, error %v", text, written, again, err)
		}
		seen := map[string]bool{"": true, fleet.LastWave: true}
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
	for _, s := range []string{"180d", "2w3d4h", "1d500ms", "36500d", "36501d", "-1h", "1.5h", "off", "none",
		"0", "1h1d", "99999999999999999999d", "0.000000001ns", "1d\x00", "9223372036854775807ns"} {
		c.Add(s)
	}
	c.AtLeast(14, 0)
	f.Fuzz(func(t *testing.T, text string) {
		defer corpus.Watch(text)()
		d, err := fleet.ParseDuration(text)
		if err != nil {
			helps := strings.Contains(err.Error(), "write e.g.") || strings.Contains(err.Error(), "hundred years")
			if d != 0 || !corpus.OneShortLine(err.Error(), text) || !helps {
				t.Errorf("%q: %v with %v", text, err, d)
			}
			return
		}
		if d < 0 || d > 36500*24*time.Hour {
			t.Errorf("%q is %v", text, d)
		}
		if again, err := fleet.ParseDuration(fleet.Days(d)); err != nil || again != d {
			t.Errorf("%q is written as %q and reads as %v, error %v", text, fleet.Days(d), again, err)
		}
	})
}

// FuzzRef: a name that is taken breaks no path and no line, and both its forms
// and the document's own read as the same cluster.
func FuzzRef(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"p/l/c", "projects/p/zones/l/clusters/c", "p/l/c~2", "p/../c", "//", "p/l/..",
		"__p/l/c__", "p/l/\x1b[2J", "p/l/c\n", "p/-/c", "example.com:p/l/c", "p/l/\u202ec", "p/l/\u009b31m",
		strings.Repeat("p", 201) + "/l/c"} {
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
		r, err := fleet.ParseRef(text)
		if err != nil {
			if !r.IsZero() || !strings.Contains(err.Error(), "does not name a cluster") ||
				!corpus.OneShortLine(err.Error(), text) {
				t.Errorf("%q: %v with %v", text, err, r)
			}
			return
		}
		for _, form := range []string{r.String(), r.Path()} {
			if again, err := fleet.ParseRef(form); err != nil || again != r {
				t.Errorf("%q written as %q reads as %v, error %v", text, form, again, err)
			}
		}
		for _, part := range []string{r.Project, r.Location, r.Name} {
			if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "/\x00\n\r\x1b") ||
				!utf8.ValidString(part) || len(part) > 200 {
				t.Errorf("%q: the part %q would break a path, a line or an id", text, part)
			}
		}
		if written, err := json.Marshal(r); err == nil {
			var again fleet.Ref
			if err := json.Unmarshal(written, &again); err != nil || again != r {
				t.Errorf("%q is stored as %s and reads as %v, error %v", text, written, again, err)
			}
		}
	})
}

package html

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
)

// parsed is a page as a browser reads it.
func parsed(t testing.TB, text string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// all are the elements with that tag, in the order of the page.
func all(doc *html.Node, tag string) []*html.Node {
	var out []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && (tag == "" || n.Data == tag) {
			out = append(out, n)
		}
	}
	return out
}

// textOf is what the element says, with single spaces.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.DataAtom != atom.Style {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(b.String(), "\u00a0", " ")), " ")
}

// TestEveryDecisionIsOnThePage: each cluster has a row, with the reason behind
// it; what needs action also says what to do; what has ended has its proof.
func TestEveryDecisionIsOnThePage(t *testing.T) {
	for name, p := range pages(t) {
		doc := parsed(t, texts(t)[name])
		rows := map[string]string{}
		todo := ""
		for _, s := range all(doc, "section") {
			switch id := attr(s, "id"); {
			case strings.HasPrefix(id, "g-"):
				for _, tr := range all(s, "tr") {
					if th := all(tr, "th"); len(th) == 1 {
						rows[textOf(th[0])] = id + " " + textOf(tr)
					}
				}
			case id == "people":
				todo = textOf(s)
			}
		}
		if len(rows) != len(p.Result.Decisions) {
			t.Errorf("%s: %d rows for %d decisions", name, len(rows), len(p.Result.Decisions))
		}
		for _, d := range p.Result.Decisions {
			key := strings.Join(strings.Fields(words.Harmless(d.Cluster.Ref.Name)+" "+whoIs(d.Cluster.Ref).Place), " ")
			row, ok := rows[key]
			switch {
			case !ok:
				t.Errorf("%s: no row of %q", name, key)
			case d.Action == policy.Wait && d.Phase == "" && !strings.Contains(row, string(d.Reason)):
				t.Errorf("%s: the row of %s does not say %s: %s", name, key, d.Reason, row)
			case d.Action == policy.NeedsAction &&
				(!strings.Contains(todo, key) || !strings.Contains(todo, string(d.Reason))):
				t.Errorf("%s: nobody is told what to do about %s (%s)", name, key, d.Reason)
			}
		}
		proofs := ""
		for _, s := range all(doc, "section") {
			if attr(s, "id") == "evidence" {
				proofs = textOf(s)
			}
		}
		for _, rec := range p.Finished {
			for _, f := range []fleet.Fingerprint{rec.Rotation.Baseline.CA.Fingerprint, rec.Rotation.New.Fingerprint} {
				if !strings.Contains(proofs, string(f)) {
					t.Errorf("%s: no proof of %s with %s", name, rec.Rotation.Cluster, f)
				}
			}
		}
	}
}

// TestSentence: the first line says how the fleet is.
func TestSentence(t *testing.T) {
	observed := generated(20)
	observed.Result.Fleet.Unread = []fleet.Unread{{Project: "a", Location: "l"}, {Project: "a"}, {Project: "b"}}
	all := texts(t)
	all["unread"] = written(t, observed)
	for name, want := range map[string]string{
		"sample": "1 cluster needs action, 3 are in flight and the next start is Tue 01 Dec 00:00.",
		"end":    "1 cluster needs action.",
		"empty":  "No cluster was seen.",
		"idle":   "All 5 clusters are in order; the next is due 2051-01-20.",
		"unread": "2 clusters need action, 2 are in flight, the next start is Sat 28 Nov 02:00 and 2 projects did not answer.",
	} {
		h1 := parsed(t, all[name]).Descendants()
		for n := range h1 {
			if n.Data == "h1" && textOf(n) != want {
				t.Errorf("%s: %q, not %q", name, textOf(n), want)
			}
		}
	}
}

// TestStructure: a page is a document, and it neither loads nor runs anything.
func TestStructure(t *testing.T) {
	for name, text := range texts(t) {
		t.Run(name, func(t *testing.T) {
			doc := parsed(t, text)
			ids := map[string]bool{}
			level, h1 := 0, 0
			for _, n := range all(doc, "") {
				if id := attr(n, "id"); id != "" {
					if ids[id] {
						t.Errorf("two elements are called %s", id)
					}
					ids[id] = true
				}
				if len(n.Data) == 2 && n.Data[0] == 'h' && n.Data != "hr" {
					now := int(n.Data[1] - '0')
					if now > level+1 {
						t.Errorf("%s %q follows a heading of level %d", n.Data, textOf(n), level)
					}
					if level = now; now == 1 {
						h1++
					}
				}
				harmlessElement(t, n)
			}
			if h1 != 1 {
				t.Errorf("%d first headings", h1)
			}
			for _, n := range all(doc, "") {
				if to := attr(n, "aria-labelledby"); to != "" && !ids[to] {
					t.Errorf("%s is named by %s, which is not there", n.Data, to)
				}
				if to, ok := strings.CutPrefix(attr(n, "href"), "#"); ok && !ids[to] {
					t.Errorf("a link leads to %s, which is not there", to)
				}
			}
			for _, tag := range []string{"header", "nav", "main", "footer", "title"} {
				if len(all(doc, tag)) != 1 {
					t.Errorf("%d elements %s", len(all(doc, tag)), tag)
				}
			}
			named(t, doc)
			checkTables(t, doc)
		})
	}
}

// allowed are the page's elements: none of them can load or run anything but
// style, whose hash is in the policy.
var allowed = strings.Fields(`html head meta title style body a svg defs pattern rect line circle path text header p span h1 h2 h3 ul li b nav main
	section div dl dt dd code details summary time bdi table caption thead tbody tr th td figure figcaption footer`)

func harmlessElement(t *testing.T, n *html.Node) {
	t.Helper()
	if !slices.Contains(allowed, n.Data) {
		t.Errorf("a page has no <%s>", n.Data)
	}
	for _, a := range n.Attr {
		outside := (a.Key == "href" || a.Key == "src") && !strings.HasPrefix(a.Val, "#")
		if outside || a.Key == "style" || strings.HasPrefix(a.Key, "on") {
			t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
		}
	}
	if n.Data == "style" && n.FirstChild.Data != style {
		t.Error("the style sheet is not the one whose hash is in the policy")
	}
}

// named: every landmark, and every picture that is not decoration, has a name.
func named(t *testing.T, doc *html.Node) {
	t.Helper()
	for _, n := range all(doc, "") {
		name := attr(n, "aria-label") + attr(n, "aria-labelledby")
		switch {
		case (n.Data == "section" || n.Data == "nav") && name == "":
			t.Errorf("a %s without a name: %.60s", n.Data, textOf(n))
		case n.Data == "svg" && (attr(n, "role") == "img") != (attr(n, "aria-label") != ""):
			t.Error("a picture without words")
		case n.Data == "svg" && attr(n, "role") != "img" && attr(n, "aria-hidden") != "true":
			t.Error("a picture that is neither said nor hidden")
		}
	}
}

// checkTables: each has a caption, each header says what it is the header of,
// and on a phone each cell has its label or speaks for itself.
func checkTables(t *testing.T, doc *html.Node) {
	t.Helper()
	for _, table := range all(doc, "table") {
		if c := all(table, "caption"); len(c) != 1 || textOf(c[0]) == "" {
			t.Error("a table without a caption")
		}
		columns := 0
		for _, th := range all(table, "th") {
			switch attr(th, "scope") {
			case "col":
				columns++
			case "row":
			default:
				t.Errorf("a header without a scope: %s", textOf(th))
			}
		}
		for _, tr := range all(table, "tr") {
			if n := len(all(tr, "th")) + len(all(tr, "td")); n != columns {
				t.Errorf("a row of %d in a table of %d: %s", n, columns, textOf(tr))
			}
		}
	}
}

// TestHostile: whatever a name says, it is text.
func TestHostile(t *testing.T) {
	text := texts(t)["hostile"]
	for _, bad := range []string{"<script", "<img", "onerror=alert(2)>\"", "\u202e", "\x1b", "ZgotmplZ", "{{"} {
		if strings.Contains(strings.ReplaceAll(text, "{{.Env}}", ""), bad) {
			t.Errorf("%q is on the page", bad)
		}
	}
	for _, want := range []string{"&lt;script&gt;alert(1)", `\u202egnp`, "שלום-עולם"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	command := regexp.MustCompile(`rotator handover [^<]*`).FindString(text)
	if !strings.HasPrefix(command, "rotator handover $&#39;") {
		t.Errorf("a shell would not take the name for one word: %s", command)
	}
}

// TestPolicyOfContent: the browser is told to load and run nothing.
func TestPolicyOfContent(t *testing.T) {
	doc := parsed(t, texts(t)["hostile"])
	got := ""
	for _, m := range all(doc, "meta") {
		if strings.EqualFold(attr(m, "http-equiv"), "Content-Security-Policy") {
			got = attr(m, "content")
		}
	}
	want := regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; form-action 'none'$`)
	if !want.MatchString(got) {
		t.Errorf("the policy is %q", got)
	}
}

// TestRunShowsWhatWasDone: after a run the page tells what is, not what was
// planned; after a plan, what would be.
func TestRunShowsWhatWasDone(t *testing.T) {
	at := generated(20)
	sends := func(p Page) string {
		for _, s := range all(parsed(t, written(t, p)), "section") {
			if attr(s, "id") == "g-doing" {
				return textOf(s)
			}
		}
		return ""
	}
	for i := range at.Result.Fleet.Clusters {
		at.Result.Fleet.Clusters[i].Maintenance = cluster(fleet.Ref{}, 0).Maintenance
	}
	at.Result.Decisions = policy.Plan(at.Policy, at.Result.Fleet, "plan", now)
	if text := sends(at); !strings.Contains(text, "Would be done now 6") {
		t.Errorf("the plan would start: %q", text)
	}
	at.Command = "run"
	for _, d := range at.Result.Decisions {
		if d.Action == policy.Start {
			at.Result.Done = append(at.Result.Done, done(d))
		}
	}
	at.Result.Done[0].Skipped = "another run was faster"
	if text := sends(at); !strings.Contains(text, "Not carried out 1") ||
		!strings.Contains(text, "another run was faster") {
		t.Errorf("the run left: %q", text)
	}
}

// TestNoSecretAddress: of an address in the settings only the host is shown.
func TestNoSecretAddress(t *testing.T) {
	p := generated(1)
	p.Settings = []view.Setting{{Name: "NOTIFY_WEBHOOK",
		Value: "https://ann:secret@hooks.example.com/services/T0/B0/secret?x=y"},
		{Name: "WAVES", Value: "env=a/b > env=c"}}
	text := written(t, p)
	if strings.Contains(text, "secret") || !strings.Contains(text, "https://hooks.example.com/…") ||
		!strings.Contains(text, "env=a/b &gt; env=c") {
		t.Error("the address is shown whole, or another value is not")
	}
}

// TestWriterFails: an error of the writer is told.
func TestWriterFails(t *testing.T) {
	if err := Write(broken{}, generated(1)); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

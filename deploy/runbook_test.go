package deploy_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	jobwords "gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/rules"
)

var update = flag.Bool("update", false, "write the parts of RUNBOOK.md that are made from the program")

const runbookFile = "RUNBOOK.md"

func runbook(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(runbookFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is the text under a heading of its level, up to the next of that
// level or above.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no %q", runbookFile, heading)
	}
	level := strings.Count(strings.Fields(heading)[0], "#")
	end := regexp.MustCompile(fmt.Sprintf(`(?m)^#{1,%d} `, level)).FindStringIndex(rest)
	if end == nil {
		return rest
	}
	return rest[:end[0]]
}

// TestRunbookAlerts: each alert has its entry, each entry its alert, and each
// says what happens if nothing is done and what to run.
func TestRunbookAlerts(t *testing.T) {
	text := runbook(t)
	stems := sortedKeys(alerts(t))
	var entries []string
	for _, m := range regexp.MustCompile(`(?m)^### Alert (\S+)$`).FindAllStringSubmatch(text, -1) {
		entries = append(entries, m[1])
		entry := section(t, text, "### Alert "+m[1])
		for _, part := range []string{"**If nothing is done:** ", "**Run:**", "\n```\n"} {
			if !strings.Contains(entry, part) {
				t.Errorf("alert %s: the entry has no %q", m[1], part)
			}
		}
	}
	slices.Sort(entries)
	if !slices.Equal(entries, stems) {
		t.Errorf("entries %q\nalerts  %q", entries, stems)
	}
	_, _, found := strings.Cut(text, "\n## ")
	if first, _, _ := strings.Cut(text, "\n## Alerts\n"); !found ||
		!strings.Contains(first, "\n## The first five minutes\n") {
		t.Error("it does not begin with the first five minutes")
	}
}

// TestRunbookEvents: each event has its row, each row its event, and no cell
// is empty.
func TestRunbookEvents(t *testing.T) {
	checkTable(t, section(t, runbook(t), "## Events"), eventsInSource(t))
}

// TestRunbookRefusals: likewise what GKE meant by refusing; where that is a
// reason as well, it stands there.
func TestRunbookRefusals(t *testing.T) {
	want := slices.DeleteFunc(refusals(), func(r string) bool { return reason.Code(r).Info().Sentence != "" })
	checkTable(t, section(t, runbook(t), "### What GKE meant by refusing"), slices.Sorted(slices.Values(want)))
}

func checkTable(t *testing.T, text string, want []string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(text) {
		cells := cellsOf(line)
		if len(cells) == 0 || !strings.HasPrefix(cells[0], "`") {
			continue
		}
		got = append(got, strings.Trim(cells[0], "`"))
		if len(cells) != 4 || slices.Contains(cells, "") {
			t.Errorf("four cells with something in them, not: %s", line)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("rows %q\nwant %q", got, want)
	}
}

// cellsOf splits a row of a table; none: it is no row.
func cellsOf(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

var reasonTable = regexp.MustCompile(`(?s)<!-- reasons: ([^>]*?) -->\n(.*?)<!-- /reasons -->`)

// TestRunbookReasons: each reason stands in one table, in the program's own
// words. go test ./deploy -run RunbookReasons -update writes them; the last
// cell, where there is one, is written by hand.
func TestRunbookReasons(t *testing.T) {
	text := runbook(t)
	var got []string
	next := reasonTable.ReplaceAllStringFunc(text, func(part string) string {
		m := reasonTable.FindStringSubmatch(part)
		codes := strings.Fields(m[1])
		got = append(got, codes...)
		return "<!-- reasons: " + m[1] + " -->\n" + reasonRows(t, codes, m[2]) + "<!-- /reasons -->"
	})
	var want []string
	for _, r := range reason.All() {
		want = append(want, string(r))
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Fatalf("reasons %q\nwant    %q", got, want)
	}
	if next == text {
		return
	}
	if !*update {
		t.Fatalf("%s does not say what its reasons say: go test ./deploy -run RunbookReasons -update", runbookFile)
	}
	if err := os.WriteFile(runbookFile, []byte(next), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reasonRows writes a table anew and keeps the cells that are written by hand.
func reasonRows(t *testing.T, codes []string, old string) string {
	t.Helper()
	byHand := map[string]string{}
	for line := range strings.Lines(old) {
		if cells := cellsOf(line); len(cells) == 4 && strings.Contains(cells[0], "`") {
			byHand[codeIn(cells[0])] = cells[3]
		}
	}
	rows := "| reason | what it means | what to run |\n| --- | --- | --- |\n"
	if len(byHand) > 0 {
		rows = "| reason | what it means | what to run | if nothing is done |\n| --- | --- | --- | --- |\n"
	}
	for _, code := range codes {
		advice := reason.Code(code).Info()
		if advice.Sentence == "" {
			t.Errorf("the program has no reason %q", code)
		}
		rows += fmt.Sprintf("| <a id=\"reason-%s\"></a>`%s` | %s | %s |", code, code, advice.Sentence,
			remedy(advice))
		if len(byHand) > 0 {
			if byHand[code] == "" {
				t.Errorf("reason %s: what happens if nothing is done?", code)
			}
			rows += " " + byHand[code] + " |"
		}
		rows += "\n"
	}
	return rows
}

func codeIn(cell string) string {
	_, rest, _ := strings.Cut(cell, "`")
	return strings.TrimSuffix(rest, "`")
}

// remedy is a reason's next step as a command of scripts/.
func remedy(a reason.Info) string {
	if a.Next == "" {
		return map[string]string{
			"": "–", "GKE": "– GKE ends it", "the next runs": "– the next runs end it",
			"people": "No command of ours ends it.",
		}[a.WaitsOn.String()]
	}
	var text strings.Builder
	for _, part := range jobwords.Advice(a.Next, "", "prod") {
		typed := strings.Replace(part.Text, "--by NAME", "--by YOU", 1)
		command, ours := strings.CutPrefix(typed, "rotator ")
		switch {
		case part.Command && ours:
			typed = "`scripts/run-now prod " + command + "`"
		case part.Command && strings.HasPrefix(typed, "scripts/"):
			typed = "`" + typed + "`"
		}
		text.WriteString(typed)
	}
	return text.String()
}

// TestRunbookDates: the dates of GKE's and ours that the page tells people are
// those that the program reckons with.
func TestRunbookDates(t *testing.T) {
	text := strings.Join(strings.Fields(runbook(t)), " ")
	for _, date := range []struct {
		is, told time.Duration
		words    string
	}{
		{rules.AutoCompleteAfter, 7 * day, "seven days after a rotation's start, whoever started it"},
		{rules.LastResortBefore, 30 * day, "30 days before the CA expires | it starts a rotation"},
		{rules.DegradedBefore, 7 * day, "seven days before | the cluster becomes DEGRADED"},
		{rules.DeadlineBefore, 31 * day, "later than 31 days before its expiry"},
		{rules.UnreadableLost, 14 * day, "After 14 days a rotation's record closes as `lost`"},
		{rules.StartApprovalLasts, 14 * day, "A yes to a start is good for 14 days"},
	} {
		if date.is != date.told || !strings.Contains(text, date.words) {
			t.Errorf("%q must stand there, and the program says %s", date.words, fleet.Days(date.is))
		}
	}
}

// TestRunbookLinks: every link within the page leads somewhere.
func TestRunbookLinks(t *testing.T) {
	text := runbook(t)
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors[strings.ReplaceAll(name, " ", "-")] = true
	}
	links := regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(text, -1)
	for _, m := range links {
		if !anchors[m[1]] {
			t.Errorf("there is no #%s", m[1])
		}
	}
	for stem := range alerts(t) {
		if !anchors["alert-"+stem] {
			t.Errorf("the notification of %s leads nowhere", stem)
		}
	}
}

package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/record"
)

// message is what Slack's incoming webhooks take, and what Mattermost and others made after them take as
// well. Nothing in it is markup but what is escaped: names and messages come from outside.
type message struct {
	Text        string `json:"text"`
	Markdown    bool   `json:"mrkdwn"`
	UnfurlLinks bool   `json:"unfurl_links"`
	UnfurlMedia bool   `json:"unfurl_media"`
}

// slackText is the longest text that is sent; Slack cuts at 40,000 letters.
const slackText = 3000

// escape is all that Slack asks for: without it a name could mention a channel.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slack is the notice in a few lines: what happened, the facts, what to do.
func slack(env string, n record.Notice) string {
	about := n.Kind.About()
	where := cmp.Or(n.Subject(), "the fleet")
	lines := []string{fmt.Sprintf("[%s] %s: %s", env, n.Kind, where), about.Tells}
	if len(n.Message) > 0 {
		lines = append(lines, n.Message.String())
	}
	for _, fact := range facts(n) {
		lines = append(lines, "• "+fact)
	}
	if next := next(env, n); next != "" {
		lines = append(lines, "Next: "+next)
	}
	for i, line := range lines {
		lines[i] = escape.Replace(words.OneLine(line))
	}
	text := strings.Join(lines, "\n")
	if len(text) > slackText {
		text = strings.ToValidUTF8(text[:slackText], "") + " ..."
	}
	return text
}

// facts are the hand-over as a list; the whole of it is a command away.
func facts(n record.Notice) []string {
	h := n.HandOver
	if h == nil {
		if n.Expected.IsZero() {
			return nil
		}
		return []string{"expected " + clock(n.Expected)}
	}
	var out []string
	if h.OldEndpoint != "" && h.NewEndpoint != "" && h.OldEndpoint != h.NewEndpoint {
		out = append(out, fmt.Sprintf("endpoint %s becomes %s", h.OldEndpoint, h.NewEndpoint))
	}
	if h.NewCA.Fingerprint != "" {
		out = append(out, fmt.Sprintf("new CA sha256 %s, expires %s", h.NewCA.Fingerprint,
			h.NewCA.Expires.UTC().Format(time.DateOnly)))
	}
	if left := undone(h.Pools); left > 0 {
		out = append(out, fmt.Sprintf("%d of %d node pools are still to be recreated", left, len(h.Pools)))
	}
	ours, gke := "the old credentials end not before "+clock(h.Completes), ""
	switch {
	case h.Watched:
		ours = "we only watch: GKE, or whoever started it, completes it"
	case h.Completes.IsZero():
		ours = "when we complete is not known: " + h.Waits.String()
	case h.Approval:
		ours += ", and only if somebody approves it"
	case !h.Likely.IsZero():
		ours += ", likely about " + clock(h.Likely)
	}
	if !h.GKECompletes.IsZero() {
		gke = "GKE may end them by itself from " + clock(h.GKECompletes)
	}
	if h.GKECompletes.Before(h.Completes) { // the earlier first
		ours, gke = gke, ours
	}
	out = append(out, words.Said(ours, gke)...)
	if h.Zonal {
		out = append(out, "zonal: the API server is gone for a moment at completion")
	}
	return append(out, words.Plain("all of it: `rotator handover CLUSTER`", n.Subject(), ""))
}

func undone(pools map[string]bool) int {
	return len(slices.DeleteFunc(slices.Collect(maps.Values(pools)), func(done bool) bool { return done }))
}

func clock(t time.Time) string { return t.UTC().Format("Mon 2006-01-02 15:04") + " UTC" }

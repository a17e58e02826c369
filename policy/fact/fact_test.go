package fact

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

var monday = time.Date(2026, 12, 21, 1, 0, 0, 0, time.UTC)

// shown writes a text as a page in Paris would, foreign words in brackets.
func shown(t Text) string {
	paris := time.FixedZone("Paris", 3600)
	return t.Show(func(s string) string { return strings.ReplaceAll(s, "\x1b", "?") },
		func(at time.Time) string { return at.In(paris).Format("02 Jan 15:04") })
}

func TestShow(t *testing.T) {
	held := Sayf("held by %s: %s", "ann", "desk opens Mon 2026-12-21 02:00\x1b").Tailf(", until %v", monday)
	for _, tt := range []struct {
		text                 Text
		utc, page, head, cut string
	}{
		{nil, "", "", "", ""},
		{Say(""), "", "", "", ""},
		{Say("100% of it"), "100% of it", "100% of it", "100% of it", "100% of it"},
		{held, "held by ann: desk opens Mon 2026-12-21 02:00\x1b, until Mon 2026-12-21 01:00",
			"held by ann: desk opens Mon 2026-12-21 02:00?, until 21 Dec 02:00",
			"held by ann: desk opens Mon 2026-12-21 02:00\x1b", "held by ann: desk opens Mon 2026-12-21 02:00\x1b"},
		{Sayf("window %v", Set("WINDOW", "Sat")).Tailf(" opens %v", monday),
			"window WINDOW=Sat opens Mon 2026-12-21 01:00", "window WINDOW=Sat opens 21 Dec 02:00",
			"window WINDOW=Sat", "window WINDOW=Sat"},
		{Sayf("exclusion %q", `a"b`).Tailf(" blocks").Tailf(" until %v", monday),
			`exclusion "a\"b" blocks until Mon 2026-12-21 01:00`, `exclusion "a\"b" blocks until 21 Dec 02:00`,
			`exclusion "a\"b"`, `exclusion "a\"b" blocks`},
		{Join(nil, held, nil, Say("b")).Head(), held.Head().String(),
			"held by ann: desk opens Mon 2026-12-21 02:00?", held.Head().String(), held.Head().String()},
		{Sayf("%d%% of %v; %v", 5, Set("SOAK", "3d"), held), "5% of SOAK=3d; " + held.String(),
			"5% of SOAK=3d; " + shown(held), "5% of SOAK=3d; " + held.String(), "5% of SOAK=3d; " + held.String()},
	} {
		if got := tt.text.String(); got != tt.utc {
			t.Errorf("%q, want %q", got, tt.utc)
		}
		if got := shown(tt.text); got != tt.page {
			t.Errorf("page: %q, want %q", got, tt.page)
		}
		if got := tt.text.Head().String(); got != tt.head {
			t.Errorf("head: %q, want %q", got, tt.head)
		}
		if got := tt.text.Without(monday).String(); got != tt.cut {
			t.Errorf("without: %q, want %q", got, tt.cut)
		}
		if got := tt.text.Without(monday.Add(time.Minute)).String(); got != tt.utc {
			t.Errorf("without another time: %q, want %q", got, tt.utc)
		}
	}
}

// TestShared: what two texts are made of is not changed by either.
func TestShared(t *testing.T) {
	base := Sayf("a %v", monday).Tailf(" b")
	one, two := base.Tailf(" one"), base.Tailf(" two")
	head := one.Head().Tailf(" three")
	if got := []string{base.String(), one.String(), two.String(), head.String()}; !reflect.DeepEqual(got,
		[]string{
			"a Mon 2026-12-21 01:00 b", "a Mon 2026-12-21 01:00 b one", "a Mon 2026-12-21 01:00 b two",
			"a Mon 2026-12-21 01:00 three",
		}) {
		t.Errorf("%q", got)
	}
}

func TestNames(t *testing.T) {
	text := Sayf("after %v by %v, %v and %v", Set("SOAK", "3d"), Cluster("a"), Cluster("b"),
		Sayf("%v, %v", Set("SOAK", "3d"), Set("FREEZES", "none")))
	if got := text.Settings(); !reflect.DeepEqual(got, []string{"SOAK", "FREEZES"}) {
		t.Errorf("settings %q", got)
	}
	if got := text.Clusters(); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Errorf("clusters %q", got)
	}
}

// TestStored: what is stored reads the same in every zone, and takes no more room
// than it may.
func TestStored(t *testing.T) {
	for _, tt := range []struct {
		text Text
		json string
	}{
		{nil, `""`},
		{Say("held by ann"), `"held by ann"`},
		{Sayf("after %v by %v", Set("SOAK", "3d"), Cluster("c")), `"after SOAK=3d by c"`},
		{Sayf("window %s", "x").Tailf(" opens %v", monday), `["window x opens ",{"time":"2026-12-21T01:00:00Z"}]`},
		{Sayf("%v%v; go", monday, monday),
			`[{"time":"2026-12-21T01:00:00Z"},{"time":"2026-12-21T01:00:00Z"},"; go"]`},
	} {
		text, err := json.Marshal(tt.text)
		if err != nil || string(text) != tt.json {
			t.Errorf("%s, %v, want %s", text, err, tt.json)
		}
		var back Text
		if err := json.Unmarshal(text, &back); err != nil || shown(back) != shown(tt.text) {
			t.Errorf("%s comes back as %q, %v", text, shown(back), err)
		}
	}
	for _, bad := range []string{`5`, `[5]`, `["a",{"time":"soon"}]`, `["a"`} {
		var text Text
		if err := json.Unmarshal([]byte(bad), &text); err == nil {
			t.Errorf("%s is read as %q", bad, text)
		}
	}
}

func TestClip(t *testing.T) {
	long := Sayf("held by %s: %s", "ann", strings.Repeat(`"ä`, 40)).Tailf(", until %v",
		monday).Tailf("; GKE goes on")
	for n := range len(long.String()) + 60 {
		got := long.Clip(n)
		if want := Clip(long.String(), n); got.String() != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if text := long.Clip(1000); !reflect.DeepEqual(text, long) {
		t.Errorf("cut without need: %v", text)
	}
}

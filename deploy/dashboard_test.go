package deploy_test

import (
	"slices"
	"strings"
	"testing"

	dashboards "google.golang.org/api/monitoring/v1"
)

// TestDashboard: the API knows every field, no tile hides another, and each
// panel of log lines shows lines that the job really writes.
func TestDashboard(t *testing.T) {
	var d dashboards.Dashboard
	decode(t, "dashboard.json", &d)
	if d.DisplayName != "rotator test" || d.Name != "" || d.Etag != "" || len(d.Labels) > 0 {
		t.Errorf("displayName %q; name, etag and labels are what scripts/setup sets: %q %q %q", d.DisplayName,
			d.Name, d.Etag, d.Labels)
	}
	checkLayout(t, d.MosaicLayout)
	events := eventsInSource(t)
	var lines []map[string]any
	for _, scene := range played(t) {
		lines = append(lines, scene.entries...)
	}
	metric := sample["JOB"] + `",location="` + sample["REGION"] + `"`
	for _, tile := range d.MosaicLayout.Tiles {
		w := tile.Widget
		switch {
		case w.LogsPanel != nil:
			checkPanel(t, w, events, lines)
		case w.XyChart != nil:
			for _, set := range w.XyChart.DataSets {
				if !strings.Contains(set.TimeSeriesQuery.PrometheusQuery, metric) {
					t.Errorf("%s: whose metric? %s", w.Title, set.TimeSeriesQuery.PrometheusQuery)
				}
			}
		case w.Scorecard != nil:
			if !strings.Contains(w.Scorecard.TimeSeriesQuery.PrometheusQuery, metric) {
				t.Errorf("%s: whose metric? %s", w.Title, w.Scorecard.TimeSeriesQuery.PrometheusQuery)
			}
		case w.Text != nil:
			if w.Text.Format != "MARKDOWN" || !strings.Contains(w.Text.Content, "]("+sample["RUNBOOK"]+")") {
				t.Errorf("%s: a text in Markdown with the runbook's address", w.Title)
			}
		default:
			t.Errorf("%s: a widget of an unknown kind", w.Title)
		}
	}
}

func checkPanel(t *testing.T, w *dashboards.Widget, events []string, lines []map[string]any) {
	t.Helper()
	filter, err := readFilter(w.LogsPanel.Filter)
	if err != nil {
		t.Errorf("%s: %v", w.Title, err)
		return
	}
	if !slices.Equal(w.LogsPanel.ResourceNames, []string{"projects/" + sample["PROJECT"]}) {
		t.Errorf("%s: reads %q", w.Title, w.LogsPanel.ResourceNames)
	}
	if !slices.ContainsFunc(lines, filter.match) {
		t.Errorf("%s: shows no line that the job writes in any scene", w.Title)
	}
	for _, c := range comparisons(filter) {
		for _, v := range c.values {
			if c.field == "jsonPayload.event" && !slices.Contains(events, v.text) {
				t.Errorf("%s: the program has no event %q", w.Title, v.text)
			}
		}
	}
}

// checkLayout: tiles lie inside the columns and not on one another.
func checkLayout(t *testing.T, l *dashboards.MosaicLayout) {
	t.Helper()
	taken := map[[2]int64]string{}
	for _, tile := range l.Tiles {
		if tile.XPos+tile.Width > l.Columns || tile.Width == 0 || tile.Height == 0 || tile.Widget.Title == "" {
			t.Errorf("%q: at %d, %d by %d, in %d columns", tile.Widget.Title, tile.XPos, tile.Width, tile.Height,
				l.Columns)
		}
		for x := tile.XPos; x < tile.XPos+tile.Width; x++ {
			for y := tile.YPos; y < tile.YPos+tile.Height; y++ {
				if other := taken[[2]int64{x, y}]; other != "" {
					t.Fatalf("%q lies on %q", tile.Widget.Title, other)
				}
				taken[[2]int64{x, y}] = tile.Widget.Title
			}
		}
	}
}

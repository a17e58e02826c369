package html

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the screenshots in docs/ anew")

// chromium gives a command of the real browser, or skips.
func chromium(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed: apt-get install -y --no-install-recommends chromium fonts-dejavu-core")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	// As root and in containers it has no sandbox; it sees our pages only.
	own := []string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--hide-scrollbars", "--no-first-run", "--user-data-dir=" + t.TempDir()}
	return exec.CommandContext(ctx, path, append(own, args...)...)
}

// measured is what the browser says about one page at one width.
type measured struct {
	Page                 string
	Width, ScrollWidth   int
	Wide                 []string // what stands out of the page, or is squeezed
	Rows, Closed, Hidden int
	Styled               bool
}

// frames is a page that shows pages in frames of given widths and writes down
// what it measures. A frame is as good as a window: its width is the viewport's.
// With paper, the rules for print hold on the screen.
const frames = `<!doctype html><meta charset="utf-8"><body><pre id="out"></pre><script>
const out = [];
async function measure(page, width, paper) {
  const f = document.createElement("iframe");
  f.style.cssText = "border:0;height:900px;width:" + width + "px";
  await new Promise(done => { f.onload = done; f.src = "/" + page; document.body.append(f); });
  const d = f.contentDocument, w = f.contentWindow;
  if (paper) for (const sheet of d.styleSheets) for (const r of sheet.cssRules)
    if (r.media && r.media.mediaText === "print") r.media.mediaText = "all";
  const scroll = d.documentElement.scrollWidth;
  const wide = [];
  for (const e of d.querySelectorAll("td, th")) {
    const box = e.getBoundingClientRect();
    if (e.textContent.trim().length > 12 && box.width > 1 && box.width < 56) wide.push("squeezed: " + e.textContent.slice(0, 40));
  }
  if (paper) for (const e of d.querySelectorAll("body *")) {
    const box = e.getBoundingClientRect();
    if (box.right > width + 1 && !e.closest("svg, .quiet, .skip")) wide.push(e.tagName + ": " + e.textContent.slice(0, 40));
  }
  let hidden = 0;
  for (const e of d.querySelectorAll("details > :not(summary)")) if (!e.checkVisibility({contentVisibilityAuto: true})) hidden++;
  out.push({page, width, scrollWidth: scroll, wide: wide.slice(0, 5), rows: d.querySelectorAll("#fleet .group[id] tbody tr").length,
    closed: d.querySelectorAll("details:not([open])").length, hidden, styled: w.getComputedStyle(d.body).marginTop === "0px"});
  f.remove();
}
(async () => {
  for (const [page, width, paper] of %s) await measure(page, width, paper);
  document.getElementById("out").textContent = JSON.stringify(out);
})();
</script>`

// measure has the browser look at pages: name, width and whether on paper.
func measure(t *testing.T, pages map[string]string, asks [][3]any) []measured {
	t.Helper()
	script, err := json.Marshal(asks)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch page, ok := pages[strings.TrimPrefix(r.URL.Path, "/")]; {
		case ok:
			fmt.Fprint(w, page)
		case r.URL.Path == "/":
			fmt.Fprintf(w, frames, script)
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	// The clock of the page runs as fast as its work allows.
	dom, err := chromium(t, "--virtual-time-budget=60000", "--dump-dom", srv.URL+"/").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(dom), `<pre id="out">`)
	text, _, _ = strings.Cut(text, "</pre>")
	var got []measured
	if err := json.Unmarshal([]byte(html.UnescapeString(text)), &got); err != nil || len(got) != len(asks) {
		t.Fatalf("the browser measured %q: %v", text, err)
	}
	return got
}

// TestInBrowser: in a real browser no page scrolls sideways, not on a small
// phone, nor with hostile names, nor on paper; the style sheet is let in by the
// page's own policy; 1,000 clusters are all there; and paper shows what is
// folded away.
func TestInBrowser(t *testing.T) {
	var asks [][3]any
	all, texts := pages(t), texts(t)
	for name := range all {
		for _, width := range []int{360, 390, 820, 1280} {
			asks = append(asks, [3]any{name, width, false})
		}
		asks = append(asks, [3]any{name, 700, true})
	}
	for i, m := range measure(t, texts, asks) {
		paper := asks[i][2] == true
		if m.ScrollWidth > m.Width || len(m.Wide) > 0 {
			t.Errorf("%s is %d wide on %d: %q", m.Page, m.ScrollWidth, m.Width, m.Wide)
		}
		if !m.Styled {
			t.Errorf("%s: the page's policy keeps its own style sheet out", m.Page)
		}
		if want := len(all[m.Page].Result.Decisions); m.Rows != want {
			t.Errorf("%s has %d rows for %d clusters", m.Page, m.Rows, want)
		}
		if (m.Hidden > 0) != (m.Closed > 0 && !paper) {
			t.Errorf("%s on paper %t: %d closed, and %d of their parts are hidden", m.Page, paper, m.Closed, m.Hidden)
		}
	}
	if n := len(texts["generated"]); n > 1_000_000 {
		t.Errorf("a page of 1,000 clusters has %d bytes", n)
	}
}

// TestScreenshots: the pictures in docs/ are there and small; -update takes them
// anew, of the sample fleet on its sixth day. They are not compared: fonts
// differ. Those in docs/ were taken with fonts-inter installed and made small by
// pngquant --quality=70-95 --ext .png --force docs/report-*.png
func TestScreenshots(t *testing.T) {
	page := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(page, []byte(written(t, samplePage(t, 6))), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, shot := range []struct {
		name          string
		width, height int
		flags         []string
	}{
		{"report-light.png", 1200, 1900, nil},
		{"report-dark.png", 1200, 1900, []string{"--blink-settings=preferredColorScheme=0"}},
		{"report-phone.png", 390, 1500, []string{"--force-device-scale-factor=2"}},
	} {
		file := filepath.Join("..", "..", "..", "docs", shot.name)
		if *update {
			take(t, page, file, shot.width, shot.height, shot.flags)
		} else if info, err := os.Stat(file); err != nil || info.Size() > 130_000 {
			t.Errorf("docs/%s is not there, or larger than what a README should load: %v", shot.name, err)
		}
	}
}

// take shows the page in a frame, for a window is never as narrow as a phone.
func take(t *testing.T, page, file string, width, height int, flags []string) {
	t.Helper()
	frame := filepath.Join(filepath.Dir(page), "frame.html")
	text := fmt.Sprintf(`<!doctype html><style>body{margin:0}iframe{border:0;display:block;width:%dpx;height:%dpx}</style><iframe src="report.html"></iframe>`, width, height)
	if err := os.WriteFile(frame, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	args := slices.Concat(flags,
		[]string{"--screenshot=" + abs, fmt.Sprintf("--window-size=%d,%d", width, height), "file://" + frame})
	if out, err := chromium(t, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"gke-credential-rotator/job/words"
)

// textHandler writes the log for people: one line, what it is about first.
// What all lines of a run share, and what the cluster's name says already, is
// left out; programs read the JSON.
type textHandler struct {
	mu    *sync.Mutex
	w     io.Writer
	attrs []slog.Attr
}

var leftOut = []string{"env", "mode", "run", "project", "location", "event", "cluster", "reason", "phase"}

// Enabled implements [slog.Handler].
func (h textHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

// Handle implements [slog.Handler].
func (h textHandler) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	get := func(key string) string {
		for _, a := range attrs {
			if a.Key == key {
				return a.Value.String()
			}
		}
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-5s %-18s", r.Time.UTC().Format("15:04:05"), r.Level, get("event"))
	about := get("cluster")
	if about == "" {
		about = strings.Trim(get("project")+"/"+get("location"), "/")
	}
	if about != "" {
		b.WriteString(" " + about + ":")
	}
	b.WriteString(" " + r.Message)
	if reason := get("reason"); reason != "" {
		b.WriteString(" [" + reason + "]")
	}
	for _, a := range attrs {
		if v := a.Value.String(); v != "" && !slices.Contains(leftOut, a.Key) {
			fmt.Fprintf(&b, " %s=%s", a.Key, quoted(v))
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, words.Harmless(b.String())+"\n")
	return err
}

// quoted keeps a value with spaces in one piece.
func quoted(v string) string {
	if strings.ContainsAny(v, " \"=") {
		return fmt.Sprintf("%q", v)
	}
	return v
}

// WithAttrs implements [slog.Handler].
func (h textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(slices.Clone(h.attrs), attrs...)
	return h
}

// WithGroup implements [slog.Handler]; a line for people has no groups.
func (h textHandler) WithGroup(string) slog.Handler { return h }

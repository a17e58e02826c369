package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"gke-credential-rotator/job/words"
)

// newLog makes the log: on Cloud Run JSON with the names that Cloud Logging lifts out of it; elsewhere text.
func newLog(w io.Writer, cloudRun bool, execution string) *slog.Logger {
	if cloudRun {
		return slog.New(logHandler{write: cloudLines(w, execution)})
	}
	return slog.New(logHandler{write: textLines(w)})
}

type writeLine func(context.Context, slog.Record, []slog.Attr) error

// logHandler gathers all that a line says, and writes it.
type logHandler struct {
	attrs []slog.Attr // of every line
	write writeLine
}

// Enabled implements [slog.Handler].
func (h logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

// Handle implements [slog.Handler].
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs, a); return true })
	return h.write(ctx, r, attrs)
}

// WithAttrs implements [slog.Handler].
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = slices.Concat(h.attrs, attrs)
	return h
}

// WithGroup implements [slog.Handler]; our lines have no groups.
func (h logHandler) WithGroup(string) slog.Handler { return h }

// labelled are the attributes that also become labels, which Cloud Logging indexes.
var labelled = []string{"event", "env", "mode", "cluster", "project", "location", "phase", "reason"}

// cloudLines writes JSON, with labels and the execution that all lines of a run share.
func cloudLines(w io.Writer, execution string) writeLine {
	lines := slog.NewJSONHandler(harmless{w}, &slog.HandlerOptions{ReplaceAttr: cloudNames})
	return func(ctx context.Context, r slog.Record, attrs []slog.Attr) error {
		line := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		line.AddAttrs(attrs...)
		labels := map[string]string{}
		for _, a := range attrs {
			if a.Value.Kind() == slog.KindString && a.Value.String() != "" && slices.Contains(labelled, a.Key) {
				labels[a.Key] = a.Value.String()
			}
		}
		if len(labels) > 0 {
			line.AddAttrs(slog.Any("logging.googleapis.com/labels", labels))
		}
		if execution != "" {
			line.AddAttrs(slog.Any("logging.googleapis.com/operation",
				map[string]string{"id": execution, "producer": "rotator"}))
		}
		return lines.Handle(ctx, line)
	}
}

// cloudNames gives slog's own fields the names that Cloud Logging knows.
func cloudNames(groups []string, a slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0:
	case a.Key == slog.LevelKey:
		return slog.String("severity", strings.Replace(a.Value.String(), "WARN", "WARNING", 1))
	case a.Key == slog.MessageKey:
		a.Key = "message"
	}
	return a
}

// harmless is a writer of whole lines of JSON in which nothing moves a terminal: people read logs there too.
type harmless struct{ w io.Writer }

// Write implements [io.Writer].
func (h harmless) Write(text []byte) (int, error) {
	if _, err := h.w.Write(words.HarmlessJSON(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// leftOut of lines for people is what all lines of a run share, and what is told already; programs read JSON.
var leftOut = []string{"env", "mode", "run", "project", "location", "event", "cluster", "reason", "phase"}

// textLines writes one line for people, what it is about first.
func textLines(w io.Writer) writeLine {
	var mu sync.Mutex
	return func(_ context.Context, r slog.Record, attrs []slog.Attr) error {
		get := func(key string) string {
			if i := slices.IndexFunc(attrs, func(a slog.Attr) bool { return a.Key == key }); i >= 0 {
				return attrs[i].Value.String()
			}
			return ""
		}
		about := get("cluster")
		if about == "" {
			about = strings.Trim(get("project")+"/"+get("location"), "/")
		}
		if about != "" {
			about = " " + about + ":"
		}
		at := r.Time.UTC().Format("15:04:05")
		line := fmt.Sprintf("%s %-5s %-18s%s %s", at, r.Level, get("event"), about, r.Message)
		if reason := get("reason"); reason != "" {
			line += " [" + reason + "]"
		}
		for _, a := range attrs {
			if v := shown(a.Value); v != "" && !slices.Contains(leftOut, a.Key) {
				line += " " + a.Key + "=" + quoted(v)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		_, err := io.WriteString(w, words.Harmless(line)+"\n")
		return err
	}
}

// shown is a value as people read it.
func shown(v slog.Value) string {
	if v.Kind() == slog.KindTime {
		return v.Time().UTC().Format(time.RFC3339)
	}
	return v.String()
}

// quoted keeps a value with spaces in one piece.
func quoted(v string) string {
	if strings.ContainsAny(v, " \"=") {
		return fmt.Sprintf("%q", v)
	}
	return v
}

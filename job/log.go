package main

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"gke-credential-rotator/job/words"
)

// newLog makes the log: on Cloud Run one JSON object a line, with the names
// that Cloud Logging lifts out of it; elsewhere text.
func newLog(w io.Writer, cloudRun bool, execution string) *slog.Logger {
	if !cloudRun {
		return slog.New(textHandler{mu: &sync.Mutex{}, w: w})
	}
	h := slog.NewJSONHandler(harmless{w}, &slog.HandlerOptions{ReplaceAttr: cloudNames})
	return slog.New(cloudHandler{Handler: h, execution: execution})
}

// cloudNames gives slog's own fields the names that Cloud Logging knows.
func cloudNames(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		level, _ := a.Value.Any().(slog.Level)
		return slog.String("severity", severityOf(level))
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}

func severityOf(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "ERROR"
	case l >= slog.LevelWarn:
		return "WARNING"
	case l >= slog.LevelInfo:
		return "INFO"
	}
	return "DEBUG"
}

// labelled are the attributes that also become labels, which Cloud Logging
// indexes.
var labelled = []string{"event", "env", "mode", "cluster", "project", "location", "phase", "reason"}

// cloudHandler adds labels, and the execution that all lines of a run share.
type cloudHandler struct {
	slog.Handler
	execution string
	labels    map[string]string
}

// Handle implements [slog.Handler].
func (h cloudHandler) Handle(ctx context.Context, r slog.Record) error {
	labels := maps.Clone(h.labels)
	r.Attrs(func(a slog.Attr) bool {
		labels = withLabel(labels, a)
		return true
	})
	r = r.Clone()
	if len(labels) > 0 {
		r.AddAttrs(slog.Any("logging.googleapis.com/labels", labels))
	}
	if h.execution != "" {
		r.AddAttrs(slog.Any("logging.googleapis.com/operation", map[string]string{"id": h.execution, "producer": "rotator"}))
	}
	return h.Handler.Handle(ctx, r)
}

func withLabel(labels map[string]string, a slog.Attr) map[string]string {
	if a.Value.Kind() != slog.KindString || a.Value.String() == "" || !slices.Contains(labelled, a.Key) {
		return labels
	}
	if labels == nil {
		labels = map[string]string{}
	}
	labels[a.Key] = a.Value.String()
	return labels
}

// WithAttrs implements [slog.Handler].
func (h cloudHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.labels = maps.Clone(h.labels)
	for _, a := range attrs {
		h.labels = withLabel(h.labels, a)
	}
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

// harmless is a writer of whole lines of JSON in which nothing moves a terminal:
// people read logs there too.
type harmless struct{ w io.Writer }

// Write implements [io.Writer].
func (h harmless) Write(text []byte) (int, error) {
	if _, err := h.w.Write(words.HarmlessJSON(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

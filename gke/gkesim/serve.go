package gkesim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"gke-credential-rotator/policy/window"
)

// Clock drives a served world: simulated seconds pass Speed times as fast as
// real ones.
type Clock struct {
	mu    sync.Mutex
	speed float64
	real  func() time.Time
	// At the real time since, the simulated time was at.
	since, at time.Time
}

// NewClock starts at the simulated time from. real gives the real time; speed
// 0 stands still.
func NewClock(from time.Time, speed float64, realNow func() time.Time) *Clock {
	return &Clock{speed: speed, real: realNow, since: realNow(), at: from}
}

// Now is the simulated time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	return c.at.Add(time.Duration(float64(c.real().Sub(c.since)) * c.speed))
}

// Set puts the simulated time to t. It never goes back.
func (c *Clock) Set(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); t.Before(now) {
		return fmt.Errorf("%s is before the clock's %s: simulated time never goes back", t.Format(time.RFC3339),
			now.Format(time.RFC3339))
	}
	if t.After(window.Forever) {
		return fmt.Errorf("%s is after %s, where calendars end", t.Format(time.RFC3339),
			window.Forever.Format(time.RFC3339))
	}
	c.at, c.since = t, c.real()
	return nil
}

// Served is the simulated GKE on one port: gRPC, REST, and /sim for those who
// steer it. Use it as an HTTP handler on a server that speaks unencrypted
// HTTP/2, and close it afterwards.
type Served struct {
	w     *World
	clock *Clock
	grpc  *grpc.Server
	rest  *rest
	sim   *http.ServeMux
	stop  func()
}

// Serve makes the handler.
func (w *World) Serve(clock *Clock) (*Served, error) {
	s := &Served{w: w, clock: clock, grpc: w.NewServer(), sim: http.NewServeMux()}
	conn, stop, err := w.loopback()
	if err != nil {
		return nil, err
	}
	s.stop = stop
	if s.rest, err = newREST(conn, "google.container.v1.ClusterManager",
		"google.cloud.recommender.v1.Recommender"); err != nil {
		stop()
		return nil, err
	}
	s.sim.HandleFunc("GET /sim/clock", s.getClock)
	s.sim.HandleFunc("POST /sim/clock", s.setClock)
	s.sim.HandleFunc("GET /sim/journal", func(rw http.ResponseWriter, _ *http.Request) {
		writeJSON(rw, http.StatusOK, w.Journal())
	})
	s.sim.HandleFunc("GET /sim/downtimes", func(rw http.ResponseWriter, _ *http.Request) {
		writeJSON(rw, http.StatusOK, w.Downtimes())
	})
	s.sim.HandleFunc("GET /sim/faults", s.getFaults)
	s.sim.HandleFunc("POST /sim/faults", s.setFaults)
	return s, nil
}

// Close ends what the handler holds.
func (s *Served) Close() {
	s.grpc.Stop()
	s.stop()
}

// ServeHTTP lets simulated time pass, then answers.
func (s *Served) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	now := s.clock.Now()
	s.w.Advance(now)
	rw.Header().Set("Date", now.UTC().Format(http.TimeFormat)) // and not the machine's
	switch {
	case strings.HasPrefix(req.Header.Get("Content-Type"), "application/grpc"):
		s.grpc.ServeHTTP(rw, req)
	case strings.HasPrefix(req.URL.Path, "/sim/"):
		s.sim.ServeHTTP(rw, req)
	default:
		s.rest.ServeHTTP(rw, req)
	}
}

func (s *Served) getClock(rw http.ResponseWriter, _ *http.Request) {
	writeJSON(rw, http.StatusOK, map[string]any{"now": s.clock.Now().UTC().Format(time.RFC3339)})
}

// setClock reads {"advance":"6h"} or {"now":"RFC3339"}.
func (s *Served) setClock(rw http.ResponseWriter, req *http.Request) {
	var body struct{ Advance, Now string }
	err := readJSON(rw, req, &body)
	to := s.clock.Now()
	switch {
	case err != nil:
	case (body.Advance == "") == (body.Now == ""):
		err = fmt.Errorf("want one of advance and now")
	case body.Advance != "":
		var by time.Duration
		if by, err = time.ParseDuration(body.Advance); err == nil {
			to = to.Add(by)
		}
	default:
		to, err = time.Parse(time.RFC3339, body.Now)
	}
	if err == nil {
		err = s.clock.Set(to)
	}
	if err != nil {
		refuseJSON(rw, err, `{"advance":"6h"} or {"now":"2026-11-28T02:00:00Z"}`)
		return
	}
	s.w.Advance(to)
	s.getClock(rw, req)
}

func (s *Served) getFaults(rw http.ResponseWriter, _ *http.Request) {
	s.w.mu.Lock()
	faults := s.w.faults.Faults
	s.w.mu.Unlock()
	writeJSON(rw, http.StatusOK, map[string]any{"faults": faults, "suffered": s.w.Suffered()})
}

// setFaults reads what [Faults] describes.
func (s *Served) setFaults(rw http.ResponseWriter, req *http.Request) {
	var f Faults
	err := readJSON(rw, req, &f)
	if err == nil {
		err = s.w.Suffer(f)
	}
	if err != nil {
		refuseJSON(rw, err, `e.g. {"words":["flaky"],"rate":0.1}, or {} to end all`)
		return
	}
	s.getFaults(rw, req)
}

func readJSON(rw http.ResponseWriter, req *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(rw, req.Body, maxBody))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func refuseJSON(rw http.ResponseWriter, err error, form string) {
	writeJSON(rw, http.StatusBadRequest, map[string]any{"error": fmt.Sprintf("%v; send %s", err, form)})
}

func writeJSON(rw http.ResponseWriter, code int, v any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(code)
	e := json.NewEncoder(rw)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // a client that went away is its own business
}

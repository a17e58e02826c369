package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/config"
)

// shutdownTimeout is how long open requests get when serving ends.
const shutdownTimeout = 5 * time.Second

// pastable are the projects that may stand in ROTATOR_PROJECTS, and so in a line
// that people paste into a shell. Recorded fleets hold odd names.
func pastable(projects []string) []string {
	return slices.DeleteFunc(projects, func(p string) bool { return !config.SimulatedProject.MatchString(p) })
}

// serve serves only the simulated GKE, for any client, until the context ends.
// It listens on this machine alone: whoever reaches it may do anything to it.
func (a *app) serve(ctx context.Context, addr string, w *gkesim.World, speed float64) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return wrong("--serve %s: %v; write e.g. 127.0.0.1:8080", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return wrong("--serve %s: the simulated GKE has no authentication and is served on this machine alone; write e.g. 127.0.0.1:8080", addr)
	}
	clock := gkesim.NewClock(w.Now(), speed, time.Now)
	handler, err := w.Serve(clock)
	if err != nil {
		return err
	}
	defer handler.Close()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return wrong("--serve %s: %v", addr, err)
	}
	fmt.Fprintf(a.stdout, `Simulated GKE on http://%[1]s from %[2]s, %[3]g simulated seconds a second. gRPC and REST.
  rotator   export ROTATOR_ENV=trial ROTATOR_GKE_ENDPOINT=%[1]s ROTATOR_RECOMMENDER_ENDPOINT=%[1]s ROTATOR_PROJECTS=%[4]s
            rotator plan --at "$(curl -s http://%[1]s/sim/clock | grep -o '20[^"]*')"
  gcloud    CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER=http://%[1]s/ CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true gcloud container clusters list --project PROJECT
  clock     curl -d '{"advance":"6h"}' http://%[1]s/sim/clock
  faults    curl -d '{"words":["flaky"]}' http://%[1]s/sim/faults
  journal   curl http://%[1]s/sim/journal
`, listener.Addr(), w.Now().Format(time.RFC3339), speed, strings.Join(pastable(w.Projects()), ","))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // what a gRPC client without TLS speaks
	server := &http.Server{Handler: handler, Protocols: protocols, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err = server.Shutdown(end)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Package notify brings notices to people's own systems: CloudEvents by a webhook
// or by Pub/Sub, and short texts for Slack. It decides nothing: what is told,
// and when, is policy's, and each try of a delivery is one run's.
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// TypePrefix begins the type of every CloudEvent; the kind follows.
const TypePrefix = "gke-credential-rotator."

// contentType is that of a CloudEvent in structured mode.
const contentType = "application/cloudevents+json"

// Event is a CloudEvent 1.0, as JSON in structured mode.
type Event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject,omitempty"` // the cluster, as in Google's API
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            Data      `json:"data"`
}

// Data is what the event tells.
type Data struct {
	Kind     record.NoticeKind `json:"kind"`
	Env      string            `json:"env"`
	Cluster  fleet.Ref         `json:"cluster,omitzero"` // P/L/C, as every command takes it
	Phase    record.Phase      `json:"phase,omitempty"`
	Reason   reason.Code       `json:"reason,omitempty"`
	Message  string            `json:"message"`
	Next     string            `json:"next,omitempty"`
	Expected time.Time         `json:"expected,omitzero"`
	HandOver *record.HandOver  `json:"handOver,omitempty"`
	Run      string            `json:"run"`
}

// EventOf makes the event of a notice of the deployment env.
func EventOf(env string, n record.Notice) Event {
	e := Event{
		SpecVersion: "1.0", ID: n.ID, Source: "/gke-credential-rotator/" + env, Type: TypePrefix + string(n.Kind),
		Time: n.At.UTC(), DataContentType: "application/json",
		Data: Data{
			Kind: n.Kind, Env: env, Cluster: n.Cluster, Phase: n.Phase, Reason: n.Reason, Message: n.Message.String(),
			Next: next(env, n), Expected: n.Expected, Run: n.Run,
		},
	}
	if h := n.HandOver; h != nil {
		plain := *h
		plain.Waits = h.Waits.Plain()
		e.Data.HandOver = &plain
	}
	if !n.Cluster.IsZero() {
		e.Subject = n.Cluster.Path()
	}
	return e
}

// next is what people do now, with the names filled in.
func next(env string, n record.Notice) string {
	return words.Plain(n.Next(), n.Subject(), env)
}

func cloudEvent(env string, n record.Notice) ([]byte, error) {
	text, err := json.Marshal(EventOf(env, n))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", pass.ErrRefused, err)
	}
	return text, nil
}

// Broken is a receiver that could not be made, e.g. without its secret. What it should be told waits.
type Broken struct {
	Receiver string
	Why      error
}

// Name implements [pass.Receiver].
func (b Broken) Name() string { return b.Receiver }

// Notify implements [pass.Receiver].
func (b Broken) Notify(context.Context, record.Notice) error { return b.Why }

// errTime is what a receiver's error says when it took too long.
var errTime = errors.New("it did not answer in time")

// within prefers to say that it took too long.
func within(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errTime
	}
	return err
}

package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/policy/record"
)

// fate is what becomes of one request.
type fate struct {
	fault     string
	delivered []time.Duration // after it was sent; none: never
	fail      error           // GKE's front refuses it: it is not delivered
	// answered is when the process has an answer, after it was sent; that of
	// the delivery so numbered, from 1; 0: no clear one.
	answered time.Duration
	by       int
}

// stopGrace is how long a call goes on after the process was told to stop.
const stopGrace = 5 * time.Second

// errSilence: whatever became of a request, its sender does not know.
var errSilence = errors.New("context deadline exceeded")

// send is one request from the process's hands to its answer, over a network
// that delays, drops and doubles.
func (x *process) send(ctx context.Context, c *intercept.Call, next intercept.Next) error {
	if x.alive(ctx) != nil {
		return errSilence
	}
	req := Request{Kind: record.CallKind(c.Method), Cluster: c.Ref, Pool: c.Pool.Name}
	do := func() record.Outcome { _ = next(nobody); return c.Outcome } // of what is sent there are no errors
	begun := x.now
	x.reach(beforeSend, req.Cluster)
	if x.dead {
		return errSilence
	}
	if x.now.Sub(begun) >= record.CallTimeout {
		x.fault("expired before it was sent") // the client's own deadline
		return errSilence
	}
	x.requests++
	req.N, req.SentAt = x.requests, x.now
	req.Intent = x.intents[intentKey{req.Kind, req.Cluster, req.Pool}]
	delete(x.unsent, req.Intent)
	x.tell(&Event{Kind: Sent, Cluster: req.Cluster, Request: &req})
	f := x.fate(begun.Add(record.CallTimeout).Sub(x.now))
	answers := x.deliver(req, f, do)
	x.reach(afterSend, req.Cluster)
	if x.dead {
		return errSilence
	}
	answered := req.SentAt.Add(f.answered)
	cutShort := !x.told.IsZero() && answered.After(x.told.Add(stopGrace))
	if cutShort {
		answered = x.told.Add(stopGrace)
	}
	x.park(max(answered.Sub(x.now), 0))
	out := record.Outcome{State: record.Unclear, Raw: errSilence.Error()}
	switch {
	case cutShort:
		x.fault("call cut short by the stop")
	case f.fail != nil:
		x.refusal = f.fail
		out = do()
		x.refusal = nil // also when the adapter sent nothing
	case f.by > 0:
		out = answers[f.by-1]
	}
	if x.dead {
		return errSilence
	}
	x.tell(&Event{Kind: Answered, Cluster: req.Cluster, Request: &req, Outcome: &out})
	c.Outcome = out
	return nil
}

// deliver puts the deliveries on the agenda. They happen whatever becomes of
// the process. What GKE says to each is in what it returns.
func (x *process) deliver(req Request, f fate, do func() record.Outcome) []record.Outcome {
	if f.fault != "" {
		x.fault(f.fault)
	}
	answers := make([]record.Outcome, len(f.delivered))
	for i, d := range f.delivered {
		x.underway++
		x.in(d, func() {
			x.underway--
			if x.dead {
				x.fault("delivered after its process was killed")
			}
			answers[i] = do()
			copied := req
			copied.Copy = i + 1
			x.play.tell(&Event{Kind: Delivered, Pass: x.n, Env: x.dep.policy.Env, Cluster: req.Cluster,
				Request: &copied, Outcome: &answers[i]})
			x.count(req.Kind, answers[i])
			x.refresh()
		})
	}
	return answers
}

func (x *process) count(kind record.CallKind, o record.Outcome) {
	if o.State != record.Accepted {
		return
	}
	switch kind {
	case record.CallStart:
		x.out.Starts++
	case record.CallComplete:
		x.out.Completes++
	case record.CallRecreate:
		x.out.Recreates++
	}
}

// fate draws what becomes of a request that may take left until its deadline,
// and LATE beyond it.
func (x *process) fate(left time.Duration) fate {
	quick := x.between(50*time.Millisecond, 800*time.Millisecond)
	f := fate{delivered: []time.Duration{quick}, answered: quick + 50*time.Millisecond, by: 1}
	if !x.sometimes(x.rates.network) {
		return f
	}
	last := left + record.Late
	impatient := pick(x.play, left, x.between(0, left)) // silence, or a connection that breaks
	switch n := x.dice.IntN(20); {
	case n < 3:
		f.fault = "answer slow"
		d := x.between(time.Second, left-100*time.Millisecond)
		f.delivered, f.answered = []time.Duration{d}, d+50*time.Millisecond
	case n < 6:
		f.fault, f.by, f.answered = "answer dropped", 0, impatient
		f.delivered = []time.Duration{x.between(0, left)}
	case n < 10:
		f.fault, f.by, f.answered = "delivered late", 0, impatient
		f.delivered = []time.Duration{x.between(0, last)}
	case n < 12:
		f.fault, f.by, f.answered, f.delivered = "never delivered", 0, impatient, nil
	case n < 14:
		f.fault, f.by = "delivered twice, second answer seen", 2
		second := x.between(quick, left-100*time.Millisecond)
		f.delivered, f.answered = []time.Duration{quick, second}, second+50*time.Millisecond
	case n < 16:
		f.fault = "delivered again late"
		f.delivered = []time.Duration{quick, x.between(quick, last)}
	case n < 17:
		f.fault, f.by, f.answered = "delivered twice, no answer", 0, impatient
		first := x.between(0, last)
		f.delivered = []time.Duration{first, x.between(first, last)}
	case n < 18:
		f.fault, f.delivered, f.by = "throttled", nil, 0
		f.fail = status.Error(codes.ResourceExhausted,
			"Quota exceeded for quota metric 'API requests' and limit 'API requests per minute' of service 'container.googleapis.com'.")
	case n < 19:
		f.fault, f.delivered, f.by = "denied", nil, 0
		f.fail = status.Error(codes.PermissionDenied,
			fmt.Sprintf("Required %q permission(s).", "container.clusters.update"))
	case x.Late:
		f.fault, f.by, f.answered = "delivered later than LATE", 0, impatient
		f.delivered = []time.Duration{last + x.between(time.Minute, 6*time.Hour)}
	default:
		f.fault, f.by, f.answered = "unavailable after it was delivered", 0, quick
	}
	return f
}

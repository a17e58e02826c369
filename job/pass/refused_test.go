package pass

import (
	"errors"
	"testing"

	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// TestRefusedStartReadsLittle: the store is read whole once a run, whatever becomes of a
// start: with thousands in flight each time more is thousands of documents.
func TestRefusedStartReadsLittle(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*process){
		"GKE refuses": func(p *process) {
			p.answer = func(record.Outcome) record.Outcome {
				return record.Outcome{State: record.Refused, Refusal: record.Invalid, Raw: "no"}
			}
		},
		"nothing was written": func(p *process) {
			p.beforeWrite = func(c state.Change) error {
				if c.Rotation != nil {
					return errors.New("the store is away")
				}
				return nil
			}
		},
		"it was written, and nobody knows": func(p *process) {
			p.afterWrite = func(c state.Change) error {
				if c.Rotation != nil {
					return errors.New("the answer was lost")
				}
				return nil
			}
		},
	} {
		s := newStage(t, shop)
		p := s.process()
		spoil(p)
		p.must()
		if n := p.count("store"); n != 1 {
			t.Errorf("%s: the store was read whole %d times: %v", name, n, p.calls)
		}
	}
}

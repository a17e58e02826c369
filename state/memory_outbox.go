package state

import (
	"context"
	"fmt"
	"slices"

	"gke-credential-rotator/policy/record"
)

// outbox is what is to be told, in the order in which it was written.
type outbox struct {
	announced page[record.Standing]
	notices   []page[record.Notice]
}

// after gives the outbox as a change leaves it.
func (o outbox) after(m *Memory, c Change, written *Change) (outbox, error) {
	var err error
	if c.Standing != nil {
		if o.announced, err = pageOf(m, *c.Standing); err != nil {
			return o, fmt.Errorf("store what was announced: %w", err)
		}
		a := o.announced.value
		a.Version = o.announced.version
		written.Standing = &a
	}
	o.notices = slices.Clone(o.notices)
	written.Notices = slices.Clone(c.Notices)
	for i, n := range c.Notices {
		if err := checkNotice(n.ID); err != nil {
			return o, err
		}
		if slices.ContainsFunc(o.notices, func(p page[record.Notice]) bool { return p.value.ID == n.ID }) {
			continue
		}
		p, err := pageOf(m, n)
		if err != nil {
			return o, fmt.Errorf("store notice %s: %w", n.ID, err)
		}
		o.notices = append(o.notices, p)
		written.Notices[i].Version = p.version
	}
	return o, nil
}

// Outbox implements [Store].
func (m *Memory) Outbox(ctx context.Context) (record.Outbox, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return record.Outbox{}, err
	}
	var box record.Outbox
	var err error
	if box.Standing, err = pageIn(m, m.outbox.announced); err != nil {
		return record.Outbox{}, err
	}
	box.Standing.Version = m.outbox.announced.version
	for _, p := range m.outbox.notices {
		n, err := pageIn(m, p)
		if err != nil {
			return record.Outbox{}, err
		}
		n.Version = p.version
		box.Notices = append(box.Notices, n)
	}
	return box, nil
}

// Delivered implements [Store].
func (m *Memory) Delivered(ctx context.Context, n record.Notice, all bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	i := slices.IndexFunc(m.outbox.notices, func(p page[record.Notice]) bool { return p.value.ID == n.ID })
	switch {
	case i < 0:
		return nil
	case all:
		m.outbox.notices = slices.Delete(slices.Clone(m.outbox.notices), i, i+1)
		return nil
	}
	p, err := pageOf(m, n)
	if err != nil {
		return fmt.Errorf("store notice %s: %w", n.ID, err)
	}
	notices := slices.Clone(m.outbox.notices)
	notices[i] = p
	m.outbox.notices = notices
	return nil
}

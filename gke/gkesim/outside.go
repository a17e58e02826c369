package gkesim

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/container/apiv1/containerpb"
)

// Change lets an outsider edit a cluster: its maintenance policy, labels, CA,
// status or node pools. name is projects/P/locations/L/clusters/C. A pool added during a
// rotation has the new credentials from the start.
func (w *World) Change(name string, edit func(*containerpb.Cluster)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[name]
	if c == nil {
		return fmt.Errorf("there is no cluster %s", name)
	}
	c.look()
	shown := c.pb.GetStatus()
	edit(c.pb)
	if now := c.pb.GetStatus(); now != shown {
		c.status = now
	}
	c.read()
	c.touch("")
	if c.rotation != nil {
		left := c.allPools()
		for pool := range c.rotation.pending {
			if !left[pool] {
				delete(c.rotation.pending, pool)
			}
		}
	}
	w.plan(c)
	return nil
}

// Require makes GKE hold that a pool still needs recreation, whatever was done.
func (w *World) Require(name, pool string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[name]
	if c == nil || c.rotation == nil {
		return fmt.Errorf("there is no rotation of %s", name)
	}
	c.rotation.pending[pool] = true
	w.plan(c)
	return nil
}

// Remove deletes a cluster at once.
func (w *World) Remove(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[name]
	if c == nil {
		return
	}
	if c.slot != nil {
		heap.Remove(&w.due, c.slot.index)
	}
	delete(w.clusters, name)
	project := strings.Split(name, "/")[1]
	w.shelves[project] = slices.DeleteFunc(w.shelves[project], func(x *cluster) bool { return x == c })
	if len(w.shelves[project]) == 0 {
		delete(w.shelves, project)
	}
}

// Spoil makes the cluster's next operations of that kind, as UPGRADE_NODES,
// fail with the message.
func (w *World) Spoil(name, kind, message string, times int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[name]
	if c == nil {
		return fmt.Errorf("there is no cluster %s", name)
	}
	for range times {
		c.spoiled = append(c.spoiled, spoil{kind, message})
	}
	return nil
}

type spoil struct{ kind, message string }

// takeSpoil gives the failure that waits for an operation of that kind.
func (c *cluster) takeSpoil(kind string) string {
	for i, s := range c.spoiled {
		if s.kind == kind {
			c.spoiled = append(c.spoiled[:i:i], c.spoiled[i+1:]...)
			return s.message
		}
	}
	return ""
}

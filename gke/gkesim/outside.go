package gkesim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/container/apiv1/containerpb"
)

// Change lets an outsider edit a cluster: its maintenance policy, labels, CA,
// status or node pools. name is projects/P/locations/L/clusters/C. A pool added during a
// rotation has the new credentials from the start.
func (w *World) Change(name string, edit func(*containerpb.Cluster)) error {
	return w.on(name, func(c *cluster) error {
		shown := c.pb.GetStatus()
		edit(c.pb)
		if now := c.pb.GetStatus(); now != shown {
			c.status = now
		}
		c.read()
		c.touch("")
		if c.rotation != nil {
			left := c.allPools()
			maps.DeleteFunc(c.rotation.pending, func(pool string, _ bool) bool { return !left[pool] })
		}
		return nil
	})
}

// on does something to a cluster as it is now.
func (w *World) on(name string, do func(*cluster) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[name]
	if c == nil {
		return fmt.Errorf("there is no cluster %s", name)
	}
	c.look()
	defer w.plan(c)
	return do(c)
}

// Require makes GKE hold that a pool still needs recreation, whatever was done.
func (w *World) Require(name, pool string) error {
	return w.on(name, func(c *cluster) error {
		if c.rotation == nil {
			return fmt.Errorf("there is no rotation of %s", name)
		}
		c.rotation.pending[pool] = true
		return nil
	})
}

// Remove deletes a cluster at once.
func (w *World) Remove(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[name]
	if c == nil {
		return
	}
	w.cancel(c)
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
	return w.on(name, func(c *cluster) error {
		c.spoil(kind, message, times)
		return nil
	})
}

type spoil struct{ kind, message string }

func (c *cluster) spoil(kind, message string, times int) {
	c.spoiled = append(c.spoiled, slices.Repeat([]spoil{{kind, message}}, times)...)
}

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

package server

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/store"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/pgcatalog"
)

// NodeStatus is a node as operators see it.
type NodeStatus = pgcatalog.Node

// live answers for pamir_internal.
type live struct {
	s *Server
	l *layers
}

// Nodes implements session.LiveSource.
func (x *live) Nodes(ctx context.Context) ([]pgcatalog.Node, error) { return x.s.nodes(ctx, x.l) }

// Ranges implements session.LiveSource.
func (x *live) Ranges(ctx context.Context) ([]api.RangeInfo, error) {
	return x.l.db.Admin().Ranges(ctx, allKeys[0], allKeys[1])
}

// Nodes lists the cluster's nodes with what is known of them.
func (s *Server) Nodes(ctx context.Context) ([]pgcatalog.Node, error) {
	if l := s.layers.Load(); l != nil {
		return s.nodes(ctx, l)
	}
	return nil, nil
}

func (s *Server) nodes(ctx context.Context, l *layers) ([]pgcatalog.Node, error) {
	known := s.registry.all()
	if len(known) == 0 {
		self := s.descriptor(s.NodeID())
		self.StartedNanos = s.started.UnixNano()
		known = []api.NodeDescriptor{self}
	}
	var records map[ids.NodeID]api.Liveness
	if len(known) > 1 {
		var err error
		if records, err = l.liveness(ctx); err != nil {
			return nil, err
		}
	}
	ranges, err := l.db.Admin().Ranges(ctx, allKeys[0], allKeys[1])
	if err != nil {
		return nil, err
	}
	return describeNodes(known, ranges, func(n *pgcatalog.Node) {
		r, recorded := records[n.ID]
		n.Live = len(known) == 1 || recorded && l.store.Liveness().IsLive(r)
		n.Draining, n.Decommissioning = r.Draining, r.Decommissioning
	}), nil
}

// liveness reads the nodes' records. What the store has of them may be a second
// old, and an operator who has just drained a node wants to see that.
func (l *layers) liveness(ctx context.Context) (map[ids.NodeID]api.Liveness, error) {
	start, end := keys.SystemSpan("liveness")
	br, err := l.router.Send(ctx, &api.BatchRequest{Requests: []api.Request{{Kind: api.Scan, Key: start, End: end}}})
	if err != nil {
		return nil, err
	}
	records := map[ids.NodeID]api.Liveness{}
	for _, kv := range br.Responses[0].KVs {
		r, err := api.DecodeLiveness(kv.Value)
		if err != nil {
			return nil, err
		}
		records[r.Node] = r
	}
	return records, nil
}

// describeNodes counts what each node has of the ranges; state fills in whether it
// lives.
func describeNodes(known []api.NodeDescriptor, ranges []api.RangeInfo, state func(*pgcatalog.Node)) []pgcatalog.Node {
	out := make([]pgcatalog.Node, 0, len(known))
	for _, d := range known {
		n := pgcatalog.Node{ID: d.Node, RPCAddr: d.RPCAddr, SQLAddr: d.SQLAddr, HTTPAddr: d.HTTPAddr, Locality: d.Locality, Version: d.Version,
			Started: time.Unix(0, d.StartedNanos)}
		state(&n)
		for _, ri := range ranges {
			if _, ok := ri.Desc.Replica(d.Node); ok {
				n.Ranges++
				n.Bytes += ri.Bytes
			}
			if ri.Lease.Holder.Node == d.Node {
				n.Leases++
			}
		}
		out = append(out, n)
	}
	return out
}

// KnownNodes lists the nodes as this one knows them by itself, for when the ranges
// that hold the truth do not answer.
func (s *Server) KnownNodes() []pgcatalog.Node {
	l := s.layers.Load()
	if l == nil {
		return nil
	}
	return describeNodes(s.registry.all(), s.OwnRanges(), func(n *pgcatalog.Node) { n.Live = l.store.Alive(n.ID) })
}

// OwnRanges lists the ranges of which this node has a replica, as that knows them,
// in key order.
func (s *Server) OwnRanges() []api.RangeInfo {
	l := s.layers.Load()
	if l == nil {
		return nil
	}
	var out []api.RangeInfo
	l.store.Replicas(func(r *store.Replica) bool {
		out = append(out, *r.Status())
		return true
	})
	slices.SortFunc(out, func(a, b api.RangeInfo) int { return bytes.Compare(a.Desc.Start, b.Desc.Start) })
	return out
}

// Ranges lists the cluster's ranges.
func (s *Server) Ranges(ctx context.Context) ([]api.RangeInfo, error) {
	if l := s.layers.Load(); l != nil {
		return l.db.Admin().Ranges(ctx, allKeys[0], allKeys[1])
	}
	return nil, nil
}

// Login reports whether the password is that of a role that may log in, and
// whether that role is a superuser.
func (s *Server) Login(ctx context.Context, user, password string) (super, ok bool) {
	l := s.layers.Load()
	if l == nil {
		return false, false
	}
	v, known, err := s.sessions.Verifier(ctx, user)
	if err != nil || !known {
		// The check takes as long as with a password: names cannot be probed.
		v, known = security.Mock(user), false
	}
	if !v.Matches(password) || !known {
		return false, false
	}
	role, found := l.sql.Store().Snapshot().Role(user)
	return found && role.Super, found
}

// Relation is a table or a sequence, whose keys begin with its number.
type Relation struct {
	ID   uint32
	Name string // database.schema.name
}

// Relations lists what has keys of its own, by number.
func (s *Server) Relations() []Relation {
	l := s.layers.Load()
	if l == nil {
		return nil
	}
	var out []Relation
	snap := l.sql.Store().Snapshot()
	snap.Each(func(d catalog.Descriptor) bool {
		kind := d.Kind()
		// What every database sees is virtual: pg_catalog and its like.
		if (kind == catalog.KindTable || kind == catalog.KindSequence) && d.Head().Database != 0 {
			out = append(out, Relation{uint32(d.Head().ID), relationName(snap, d.Head())})
		}
		return true
	})
	return out
}

func relationName(snap *catalog.Snapshot, h *catalog.Header) string {
	name := h.Name
	if d, ok := snap.ByOID(h.Schema); ok {
		name = d.Head().Name + "." + name
	}
	if d, ok := snap.ByOID(h.Database); ok {
		name = d.Head().Name + "." + name
	}
	return name
}

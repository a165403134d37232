package server

import (
	"context"
	"time"

	"github.com/pamirdb/pamir/kv/api"
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
		known = []api.NodeDescriptor{s.descriptor(s.NodeID())}
	}
	records := map[int32]api.Liveness{}
	if len(known) > 1 {
		all, err := l.store.Liveness().All(ctx)
		if err != nil {
			return nil, err
		}
		for id, r := range all {
			records[int32(id)] = r
		}
	}
	ranges, err := l.db.Admin().Ranges(ctx, allKeys[0], allKeys[1])
	if err != nil {
		return nil, err
	}
	out := make([]pgcatalog.Node, 0, len(known))
	for _, d := range known {
		r, recorded := records[int32(d.Node)]
		n := pgcatalog.Node{ID: d.Node, RPCAddr: d.RPCAddr, SQLAddr: d.SQLAddr, HTTPAddr: d.HTTPAddr, Locality: d.Locality, Version: d.Version,
			Started: time.Unix(0, d.StartedNanos), Live: len(known) == 1 || recorded && l.store.Liveness().IsLive(r), Draining: r.Draining, Decommissioning: r.Decommissioning}
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
	return out, nil
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
	v, known, err := (&sessions{l.sql}).Verifier(ctx, user)
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

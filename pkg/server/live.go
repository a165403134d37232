package server

import (
	"context"
	"time"

	"github.com/pamirdb/pamir/kv/api"
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

// CheckPassword reports whether the password is that of a role that may log in.
func (s *Server) CheckPassword(ctx context.Context, user, password string) bool {
	l := s.layers.Load()
	if l == nil {
		return false
	}
	v, ok, err := (&sessions{l.sql}).Verifier(ctx, user)
	return err == nil && ok && v.Matches(password)
}

package server

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/sql/pgcatalog"
)

// activityWithin bounds the wait for other nodes' sessions, transactions and
// statements: whoever looks at them wants to see those that are there.
const activityWithin = time.Second

// activity is one node's answer: one of the lists.
type activity struct {
	Sessions     []pgcatalog.Session     `json:",omitempty"`
	Statements   []pgcatalog.Statement   `json:",omitempty"`
	Transactions []pgcatalog.Transaction `json:",omitempty"`
	Counters     []NodeCounters          `json:",omitempty"`
}

// own is this node's activity.
func (s *Server) own(l *layers, op AdminOp) (a activity) {
	switch op {
	case AdminCounters:
		a.Counters = []NodeCounters{{Node: s.NodeID(), UptimeSeconds: time.Since(s.started).Seconds(), Counters: s.Counters()}}
	case AdminSessions:
		a.Sessions = l.sql.Sessions()
	case AdminStatements:
		a.Statements = l.sql.Statements()
	case AdminTransactions:
		a.Transactions = l.sql.Transactions()
	}
	return a
}

// everywhere collects the activity of all nodes, by node, and says which of them
// did not answer in time.
func (s *Server) everywhere(ctx context.Context, l *layers, op AdminOp) (all activity, silent []ids.NodeID) {
	ctx, cancel := context.WithTimeout(ctx, activityWithin)
	defer cancel()
	known := s.registry.all()
	if s.net == nil || len(known) < 2 {
		return s.own(l, op), nil
	}
	answers, errs := make([]activity, len(known)), make([]error, len(known))
	var wait sync.WaitGroup
	for i, d := range known {
		if d.Node == s.net.Self() {
			answers[i] = s.own(l, op)
			continue
		}
		wait.Go(func() { answers[i], errs[i] = s.askActivity(ctx, d.Node, op) })
	}
	wait.Wait()
	for i, a := range answers {
		if errs[i] != nil {
			silent = append(silent, known[i].Node)
			continue
		}
		all.Sessions = append(all.Sessions, a.Sessions...)
		all.Statements = append(all.Statements, a.Statements...)
		all.Transactions = append(all.Transactions, a.Transactions...)
		all.Counters = append(all.Counters, a.Counters...)
	}
	return all, silent
}

// askActivity asks one node.
func (s *Server) askActivity(ctx context.Context, n ids.NodeID, op AdminOp) (a activity, err error) {
	request, err := json.Marshal(AdminRequest{Op: op})
	if err != nil {
		return a, err
	}
	answer, err := s.net.Call(ctx, n, rpc.Bulk, rpc.MethodAdmin, request)
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(answer, &a)
}

// Transactions implements session.LiveSource.
func (x *live) Transactions(ctx context.Context) ([]pgcatalog.Transaction, []ids.NodeID) {
	a, silent := x.s.everywhere(ctx, x.l, AdminTransactions)
	return a.Transactions, silent
}

// Sessions implements session.LiveSource.
func (x *live) Sessions(ctx context.Context) ([]pgcatalog.Session, []ids.NodeID) {
	a, silent := x.s.everywhere(ctx, x.l, AdminSessions)
	return a.Sessions, silent
}

// Statements implements session.LiveSource.
func (x *live) Statements(ctx context.Context) ([]pgcatalog.Statement, []ids.NodeID) {
	a, silent := x.s.everywhere(ctx, x.l, AdminStatements)
	return a.Statements, silent
}

// Sessions lists the sessions of all nodes that answer.
func (s *Server) Sessions(ctx context.Context) ([]pgcatalog.Session, error) {
	l := s.layers.Load()
	if l == nil {
		return nil, nil
	}
	a, _ := s.everywhere(ctx, l, AdminSessions)
	return a.Sessions, nil
}

// Statements lists the figures by statement of all nodes that answer.
func (s *Server) Statements(ctx context.Context) ([]pgcatalog.Statement, error) {
	l := s.layers.Load()
	if l == nil {
		return nil, nil
	}
	a, _ := s.everywhere(ctx, l, AdminStatements)
	return a.Statements, nil
}

// Transactions lists the open transactions of all nodes that answer.
func (s *Server) Transactions(ctx context.Context) ([]pgcatalog.Transaction, error) {
	l := s.layers.Load()
	if l == nil {
		return nil, nil
	}
	a, _ := s.everywhere(ctx, l, AdminTransactions)
	return a.Transactions, nil
}

// ClusterCounters lists the totals of all nodes that answer.
func (s *Server) ClusterCounters(ctx context.Context) ([]NodeCounters, error) {
	l := s.layers.Load()
	if l == nil {
		return nil, nil
	}
	a, _ := s.everywhere(ctx, l, AdminCounters)
	return a.Counters, nil
}

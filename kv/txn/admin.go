package txn

import (
	"bytes"
	"context"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
)

// admin implements kv.Admin by requests to the leaseholders.
type admin struct{ d *DB }

// Admin implements kv.DB.
func (d *DB) Admin() kv.Admin { return admin{d} }

func (a admin) send(ctx context.Context, req api.Request) (*api.Response, error) {
	br, err := a.d.cfg.Ranges.Send(ctx, &api.BatchRequest{
		Header: api.Header{Gateway: a.d.cfg.Node()}, Requests: []api.Request{req},
	})
	if err != nil {
		return nil, err
	}
	return &br.Responses[0], nil
}

// Ranges implements kv.Admin.
func (a admin) Ranges(ctx context.Context, start, end api.Key) ([]api.RangeInfo, error) {
	var list []api.RangeInfo
	for at := start; bytes.Compare(at, end) < 0 && bytes.Compare(at, keys.MaxKey) < 0; {
		r, err := a.send(ctx, api.Request{Kind: api.RangeStatus, Key: at})
		if err != nil {
			return nil, err
		}
		list = append(list, *r.Range)
		at = r.Range.Desc.End
	}
	return list, nil
}

// Split implements kv.Admin.
func (a admin) Split(ctx context.Context, key api.Key) error {
	_, err := a.send(ctx, api.Request{Kind: api.AdminSplit, Key: key, Admin: &api.AdminArgs{}})
	return err
}

// TransferLease implements kv.Admin.
func (a admin) TransferLease(ctx context.Context, key api.Key, to ids.NodeID) error {
	_, err := a.send(ctx, api.Request{Kind: api.AdminTransferLease, Key: key, Admin: &api.AdminArgs{Node: to}})
	return err
}

// ChangeReplicas implements kv.Admin.
func (a admin) ChangeReplicas(ctx context.Context, key api.Key, add, remove []ids.NodeID) error {
	_, err := a.send(ctx, api.Request{Kind: api.AdminChangeReplicas, Key: key, Admin: &api.AdminArgs{Add: add, Remove: remove}})
	return err
}

// ClearSpan implements kv.Admin.
func (a admin) ClearSpan(ctx context.Context, start, end api.Key) error {
	_, err := a.send(ctx, api.Request{Kind: api.DeleteRange, Key: start, End: end})
	return err
}

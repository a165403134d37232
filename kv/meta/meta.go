package meta

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
)

// FirstRangeID is the meta range's id.
const FirstRangeID ids.RangeID = 1

// prefetch is how many descriptors a lookup brings along.
const prefetch = 8

// Lookup returns the descriptor of the range that holds key, and some that
// follow it in key order. The meta range itself cannot be looked up.
func Lookup(ctx context.Context, s api.Sender, key api.Key) ([]api.RangeDescriptor, error) {
	return scan(ctx, s, keys.Meta(keys.Next(key)), prefetch)
}

func scan(ctx context.Context, s api.Sender, from api.Key, limit int64) ([]api.RangeDescriptor, error) {
	ba := &api.BatchRequest{Requests: []api.Request{{
		Kind: api.Scan, Key: from, End: keys.MetaEnd, Scan: &api.ScanOptions{MaxRows: limit},
	}}}
	ba.RangeID = FirstRangeID
	br, err := s.Send(ctx, ba)
	if err != nil {
		return nil, err
	}
	var out []api.RangeDescriptor
	for _, kv := range br.Responses[0].KVs {
		d, err := api.DecodeRangeDescriptor(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("meta entry %s: %w", keys.Pretty(kv.Key), err)
		}
		out = append(out, d)
	}
	return out, nil
}

// All returns the descriptors of all ranges but the meta range, in key order.
func All(ctx context.Context, s api.Sender) ([]api.RangeDescriptor, error) {
	var all []api.RangeDescriptor
	from := keys.MetaPrefix
	for {
		page, err := scan(ctx, s, from, 1000)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < 1000 {
			return all, nil
		}
		from = keys.Next(keys.Meta(page[len(page)-1].End))
	}
}

// Update enters a descriptor unless the entry is as new already.
func Update(ctx context.Context, s api.Sender, d *api.RangeDescriptor) error {
	key := keys.Meta(d.End)
	for {
		ba := &api.BatchRequest{Requests: []api.Request{{Kind: api.Get, Key: key}}}
		ba.RangeID = FirstRangeID
		br, err := s.Send(ctx, ba)
		if err != nil {
			return err
		}
		r := &br.Responses[0]
		value := api.AppendRangeDescriptor(nil, d)
		if r.Exists {
			old, err := api.DecodeRangeDescriptor(r.Value)
			if err != nil {
				return fmt.Errorf("meta entry %s: %w", keys.Pretty(key), err)
			}
			if old.RangeID == d.RangeID && old.Generation >= d.Generation || bytes.Equal(r.Value, value) {
				return nil
			}
			// The entry of another range that ended here: the one that split
			// into d and its left neighbour has the lower generation.
			if old.RangeID != d.RangeID && old.Generation > d.Generation {
				return nil
			}
		}
		put := api.Request{Kind: api.Put, Key: key, Value: value, Expect: api.Expect{Kind: api.ExpectVersion, Version: r.VersionTS}}
		if !r.Exists {
			put.Expect.Version.WallNanos, put.Expect.Version.Logical = 0, 0
		}
		pb := &api.BatchRequest{Requests: []api.Request{put}}
		pb.RangeID = FirstRangeID
		_, err = s.Send(ctx, pb)
		var stale *api.RetryError
		if errors.As(err, &stale) {
			continue // somebody else wrote it: look again
		}
		return err
	}
}

package route

import (
	"context"
	"log/slog"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// First byte of a reply.
const (
	replyOK    = 1
	replyError = 2
)

// RegisterServer makes this node answer other nodes' batches through local. Call
// it before the network starts.
func RegisterServer(peers rpc.Peers, local api.Sender, clock *hlc.Clock) {
	peers.Handle(rpc.MethodBatch, func(ctx context.Context, from ids.NodeID, payload []byte) ([]byte, error) {
		ba, err := api.DecodeBatchRequest(payload)
		if err != nil {
			return nil, err
		}
		if err := forward(clock, ba); err != nil {
			slog.Warn("refusing a batch", "from", from, "err", err)
			return nil, err
		}
		br, err := local.Send(ctx, ba)
		if err != nil {
			b := clock.Now().AppendAsc([]byte{replyError})
			return api.AppendError(b, err), nil
		}
		if br.Now.IsZero() {
			br.Now = clock.Now()
		}
		return api.AppendBatchResponse([]byte{replyOK}, br), nil
	})
}

// forward moves the clock up to what a request's sender has seen.
func forward(clock *hlc.Clock, ba *api.BatchRequest) error {
	t := ba.ReadTS
	if ba.Txn != nil {
		t = t.Forward(ba.Txn.ReadTS)
	}
	if t.IsZero() {
		return nil
	}
	return clock.Update(t)
}

// decodeReply reads what RegisterServer's handler answered and moves the clock
// up to the server's.
func decodeReply(b []byte, clock *hlc.Clock) (*api.BatchResponse, error) {
	if len(b) == 0 {
		return nil, api.ErrMalformed
	}
	if b[0] == replyOK {
		br, err := api.DecodeBatchResponse(b[1:])
		if err != nil {
			return nil, err
		}
		if clock != nil {
			_ = clock.Update(br.Now) // too far ahead: liveness notices, this answer stands
		}
		return br, nil
	}
	if len(b) < 1+hlc.EncodedLen {
		return nil, api.ErrMalformed
	}
	if clock != nil {
		_ = clock.Update(hlc.DecodeAsc(b[1:]))
	}
	sent, malformed := api.DecodeError(b[1+hlc.EncodedLen:])
	if malformed != nil {
		return nil, malformed
	}
	return nil, sent
}

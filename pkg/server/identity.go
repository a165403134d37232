package server

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// identity is who this node is, kept in its own store.
type identity struct {
	Cluster string     `json:"cluster"`
	Node    ids.NodeID `json:"node"`
}

var (
	identityKey = keys.EngineStore("identity")
	// nodesKey holds the last known addresses, so that a restarted node finds the
	// others without --join.
	nodesKey = keys.EngineStore("nodes")
)

func loadIdentity(e engine.Engine) (id identity, ok bool, err error) {
	b, ok := e.Get(identityKey)
	if !ok {
		return id, false, nil
	}
	if err := json.Unmarshal(b, &id); err != nil {
		return id, false, fmt.Errorf("the store's identity is damaged: %w", err)
	}
	return id, true, nil
}

// storeIdentity makes the identity durable before it is used.
func storeIdentity(ctx context.Context, e engine.Engine, id identity) error {
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	var batch engine.Batch
	batch.Put(identityKey, b)
	return e.WaitFlushed(ctx, e.Write(&batch))
}

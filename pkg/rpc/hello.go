package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pamirdb/pamir/pkg/ids"
)

// protocolVersion is the first byte of a hello.
const protocolVersion = 1

// hello is how the two ends of a connection introduce themselves.
type hello struct {
	node    ids.NodeID
	class   Class
	cluster string // empty until the node belongs to a cluster
}

func (h hello) encode() []byte {
	b := []byte{protocolVersion, byte(h.class)}
	b = binary.LittleEndian.AppendUint32(b, uint32(h.node))
	return append(b, h.cluster...)
}

func decodeHello(b []byte) (hello, error) {
	if len(b) < 6 {
		return hello{}, errors.New("rpc: short hello")
	}
	if b[0] != protocolVersion {
		return hello{}, fmt.Errorf("rpc: peer speaks protocol %d, this node %d", b[0], protocolVersion)
	}
	return hello{class: Class(b[1]), node: ids.NodeID(binary.LittleEndian.Uint32(b[2:])), cluster: string(b[6:])}, nil
}

// accepts refuses a peer of another cluster: two clusters that met on reused
// addresses must not exchange data.
func (h hello) accepts(o hello) error {
	if h.cluster != "" && o.cluster != "" && h.cluster != o.cluster {
		return fmt.Errorf("rpc: node belongs to cluster %s, not to %s", o.cluster, h.cluster)
	}
	return nil
}

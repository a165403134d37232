package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pamirdb/pamir/pkg/ids"
)

// ErrUnreachable reports that a peer has no known address, refuses, or that the
// connection broke. The request may or may not have been handled.
var ErrUnreachable = errors.New("rpc: node unreachable")

// NotSentError reports a request that certainly reached nobody: it never left this
// node, or the other does not serve it yet. It matches ErrUnreachable.
type NotSentError struct{ Cause error }

func (e *NotSentError) Error() string   { return "rpc: not sent: " + e.Cause.Error() }
func (e *NotSentError) Unwrap() []error { return []error{ErrUnreachable, e.Cause} }

// unserved reports a request to a node that does not serve its method: one that is
// starting, as a rule, and about to.
func unserved(m Method) error { return &NotSentError{fmt.Errorf("no handler for method %d yet", m)} }

// RemoteError is an error that a peer's handler returned.
type RemoteError struct{ Message string }

func (e *RemoteError) Error() string { return e.Message }

// Class chooses the connection: Bulk is for what may be large.
type Class uint8

// The two classes.
const (
	Normal Class = iota
	Bulk
)

// Method names what a message is for. The packages that use rpc own the values.
type Method uint8

// The methods in use.
const (
	MethodRaft      Method = iota + 1 // one-way, raftgroup/transport: requests and answers
	MethodHeartbeat                   // one-way, raftgroup/transport: batched heartbeats
	MethodSnapshot                    // stream, raftgroup/transport
	MethodBatch                       // unary, kv: api.BatchRequest
	MethodGossip                      // unary, server: addresses, capacity, settings
	MethodJoin                        // unary, server: a node asks for its id
	MethodInit                        // unary, server: pamir init
	MethodPing                        // unary, transport: is a peer's process alive
	MethodStore                       // unary, kv/store: replica administration, lease revocation
	MethodTxn                         // unary, kv/txn: waits-for probes
	MethodAdmin                       // unary, server: drain, cancel, node status
	MethodCatalog                     // one-way, server: the SQL catalog has a new generation
)

// Handler answers a unary call. The payload belongs to the handler.
type Handler func(ctx context.Context, from ids.NodeID, payload []byte) ([]byte, error)

// MessageHandler takes a one-way message; it must not block. The payload
// belongs to the handler.
type MessageHandler func(from ids.NodeID, payload []byte)

// StreamHandler serves an inbound stream: it reads r to the end and returns an
// answer for the sender.
type StreamHandler func(ctx context.Context, from ids.NodeID, header []byte, r io.Reader) ([]byte, error)

// Peers is what a node may ask of the network. Its methods are safe for
// concurrent use.
type Peers interface {
	// Self is this node's id; it is 0 until the node has joined.
	Self() ids.NodeID
	// Call sends a request and waits for the answer.
	Call(ctx context.Context, to ids.NodeID, c Class, m Method, payload []byte) ([]byte, error)
	// Send queues a one-way message. It fails with a NotSentError when there is
	// no connection (and starts one), or when the peer's queue is full.
	Send(to ids.NodeID, c Class, m Method, payload []byte) error
	// Stream sends header and the bytes of r on the bulk connection and waits
	// for the answer.
	Stream(ctx context.Context, to ids.NodeID, m Method, header []byte, r io.Reader) ([]byte, error)
	// Handle, HandleMessage and HandleStream register handlers. Until then a call
	// is answered by an error and a message is dropped.
	Handle(m Method, h Handler)
	HandleMessage(m Method, h MessageHandler)
	HandleStream(m Method, h StreamHandler)
	// OnPeerChange registers f, called when a peer's connection comes up, and
	// when it is refused, reset or closed by the peer (down). It must not block.
	OnPeerChange(f func(peer ids.NodeID, up bool))
}

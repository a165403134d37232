package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
)

// errMalformed reports a frame that this package did not write.
var errMalformed = errors.New("transport: malformed frame")

// protocolVersion is hashicorp/raft's.
const protocolVersion = 3

// ServerID returns the id and address under which Raft knows a replica.
func ServerID(n ids.NodeID, r ids.ReplicaID) raft.ServerID {
	return raft.ServerID(strconv.Itoa(int(n)) + "/" + strconv.Itoa(int(r)))
}

// ParseServerID splits what ServerID made; zeros stand for anything else.
func ParseServerID(s string) (ids.NodeID, ids.ReplicaID) {
	a, b, _ := strings.Cut(s, "/")
	n, err := strconv.Atoi(a)
	if err != nil {
		return 0, 0
	}
	r, err := strconv.Atoi(b)
	if err != nil {
		return 0, 0
	}
	return ids.NodeID(n), ids.ReplicaID(r)
}

type kind byte

// The kinds of frames; an answer is its request's kind plus answerBit.
const (
	kindAppend kind = iota + 1
	kindHeartbeat
	kindVote
	kindPreVote
	kindTimeoutNow
	answerBit kind = 0x40
	kindError kind = 0x80
)

// frame is the envelope of one message.
type frame struct {
	kind     kind
	rng      ids.RangeID
	from, to ids.ReplicaID
	request  uint64
	body     []byte
}

func appendFrame(b []byte, f *frame) []byte {
	b = append(b, byte(f.kind))
	b = binary.AppendUvarint(b, uint64(f.rng))
	b = binary.AppendUvarint(b, uint64(f.from))
	b = binary.AppendUvarint(b, uint64(f.to))
	b = binary.AppendUvarint(b, f.request)
	return append(b, f.body...)
}

// cursor reads fields; the first failure sticks.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.bad = true
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) bytes() []byte {
	n := c.uvarint()
	if c.bad || n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func decodeFrame(b []byte) (f frame, err error) {
	c := cursor{b: b}
	f.kind = kind(c.byte())
	f.rng = ids.RangeID(c.uvarint())
	f.from = ids.ReplicaID(c.uvarint())
	f.to = ids.ReplicaID(c.uvarint())
	f.request = c.uvarint()
	if c.bad {
		return f, errMalformed
	}
	f.body = c.b
	return f, nil
}

// Flag bits of bodies.
const (
	flagSuccess = 1 << iota
	flagNoBackoff
	flagTransfer
)

func bit(on bool, f byte) byte {
	if on {
		return f
	}
	return 0
}

// encodeRequest appends a request's body.
func encodeRequest(b []byte, cmd any) []byte {
	switch m := cmd.(type) {
	case *raft.AppendEntriesRequest:
		b = binary.AppendUvarint(b, m.Term)
		b = binary.AppendUvarint(b, m.PrevLogEntry)
		b = binary.AppendUvarint(b, m.PrevLogTerm)
		b = binary.AppendUvarint(b, m.LeaderCommitIndex)
		b = binary.AppendUvarint(b, uint64(len(m.Entries)))
		for _, e := range m.Entries {
			b = binary.AppendUvarint(b, e.Index)
			b = binary.AppendUvarint(b, e.Term)
			b = append(b, byte(e.Type))
			b = binary.AppendUvarint(b, uint64(e.AppendedAt.UnixNano()))
			b = binary.AppendUvarint(b, uint64(len(e.Data)))
			b = append(b, e.Data...)
		}
	case *raft.RequestVoteRequest:
		b = binary.AppendUvarint(b, m.Term)
		b = binary.AppendUvarint(b, m.LastLogIndex)
		b = binary.AppendUvarint(b, m.LastLogTerm)
		b = append(b, bit(m.LeadershipTransfer, flagTransfer))
	case *raft.RequestPreVoteRequest:
		b = binary.AppendUvarint(b, m.Term)
		b = binary.AppendUvarint(b, m.LastLogIndex)
		b = binary.AppendUvarint(b, m.LastLogTerm)
	case *raft.TimeoutNowRequest:
	}
	return b
}

// decodeRequest reads a request that node sent.
func decodeRequest(f *frame, node ids.NodeID) (any, error) {
	id := []byte(ServerID(node, f.from))
	h := raft.RPCHeader{ProtocolVersion: protocolVersion, ID: id, Addr: id}
	c := cursor{b: f.body}
	var cmd any
	switch f.kind {
	case kindHeartbeat:
		cmd = &raft.AppendEntriesRequest{RPCHeader: h, Term: c.uvarint()}
	case kindAppend:
		cmd = decodeAppend(&c, h)
	case kindVote:
		cmd = &raft.RequestVoteRequest{
			RPCHeader: h, Term: c.uvarint(), LastLogIndex: c.uvarint(), LastLogTerm: c.uvarint(),
			LeadershipTransfer: c.byte()&flagTransfer != 0,
		}
	case kindPreVote:
		cmd = &raft.RequestPreVoteRequest{RPCHeader: h, Term: c.uvarint(), LastLogIndex: c.uvarint(), LastLogTerm: c.uvarint()}
	case kindTimeoutNow:
		cmd = &raft.TimeoutNowRequest{RPCHeader: h}
	default:
		return nil, fmt.Errorf("%w: kind %d", errMalformed, f.kind)
	}
	if c.bad {
		return nil, errMalformed
	}
	return cmd, nil
}

func decodeAppend(c *cursor, h raft.RPCHeader) *raft.AppendEntriesRequest {
	m := &raft.AppendEntriesRequest{
		RPCHeader: h, Term: c.uvarint(), PrevLogEntry: c.uvarint(), PrevLogTerm: c.uvarint(), LeaderCommitIndex: c.uvarint(),
	}
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.bad = true
		return m
	}
	logs := make([]raft.Log, n)
	for i := range logs {
		l := &logs[i]
		l.Index, l.Term, l.Type = c.uvarint(), c.uvarint(), raft.LogType(c.byte())
		l.AppendedAt = time.Unix(0, int64(c.uvarint()))
		l.Data = c.bytes()
		m.Entries = append(m.Entries, l)
	}
	return m
}

// encodeAnswer appends an answer's body and returns its kind.
func encodeAnswer(b []byte, resp any) ([]byte, kind) {
	switch m := resp.(type) {
	case *raft.AppendEntriesResponse:
		b = binary.AppendUvarint(b, m.Term)
		b = binary.AppendUvarint(b, m.LastLog)
		return append(b, bit(m.Success, flagSuccess)|bit(m.NoRetryBackoff, flagNoBackoff)), kindAppend | answerBit
	case *raft.RequestVoteResponse:
		b = binary.AppendUvarint(b, m.Term)
		return append(b, bit(m.Granted, flagSuccess)), kindVote | answerBit
	case *raft.RequestPreVoteResponse:
		b = binary.AppendUvarint(b, m.Term)
		return append(b, bit(m.Granted, flagSuccess)), kindPreVote | answerBit
	case *raft.TimeoutNowResponse:
		return b, kindTimeoutNow | answerBit
	}
	return append(b, fmt.Sprintf("unexpected answer %T", resp)...), kindError
}

// decodeAnswer reads an answer.
func decodeAnswer(f *frame) (any, error) {
	c := cursor{b: f.body}
	var resp any
	h := raft.RPCHeader{ProtocolVersion: protocolVersion}
	switch f.kind {
	case kindAppend | answerBit:
		m := &raft.AppendEntriesResponse{RPCHeader: h, Term: c.uvarint(), LastLog: c.uvarint()}
		flags := c.byte()
		m.Success, m.NoRetryBackoff = flags&flagSuccess != 0, flags&flagNoBackoff != 0
		resp = m
	case kindVote | answerBit:
		resp = &raft.RequestVoteResponse{RPCHeader: h, Term: c.uvarint(), Granted: c.byte()&flagSuccess != 0}
	case kindPreVote | answerBit:
		resp = &raft.RequestPreVoteResponse{RPCHeader: h, Term: c.uvarint(), Granted: c.byte()&flagSuccess != 0}
	case kindTimeoutNow | answerBit:
		resp = &raft.TimeoutNowResponse{RPCHeader: h}
	case kindError:
		return nil, decodeRefusal(f.body)
	default:
		return nil, errMalformed
	}
	if c.bad {
		return nil, errMalformed
	}
	return resp, nil
}

// ErrNotReady is answered for a group that is not open yet, or is being opened
// again: the sender should try later.
var ErrNotReady = errors.New("transport: group not ready")

// ErrStale is answered for a replica that is not, or no longer, here.
var ErrStale = errors.New("transport: no such replica")

// ErrBusy is answered when the group's queue is full.
var ErrBusy = errors.New("transport: queue full")

var refusals = []error{ErrNotReady, ErrStale, ErrBusy}

func encodeRefusal(err error) []byte {
	for i, r := range refusals {
		if errors.Is(err, r) {
			return []byte{byte(i + 1)}
		}
	}
	return append([]byte{0}, err.Error()...)
}

func decodeRefusal(b []byte) error {
	if len(b) == 0 {
		return errMalformed
	}
	if i := int(b[0]); i > 0 && i <= len(refusals) {
		return refusals[i-1]
	}
	return errors.New("transport: peer answered: " + string(b[1:]))
}

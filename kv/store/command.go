package store

import (
	"encoding/binary"
	"errors"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/eval"
)

// command is what a range replicates. Exactly one of its parts is set.
type command struct {
	// LeaseSeq is the lease that the command was proposed under; for a lease
	// request, the one that it replaces or extends.
	LeaseSeq uint64
	Effects  *eval.Effects
	Lease    *api.Lease
	Split    *splitTrigger
	// Desc is the descriptor after a membership change.
	Desc *api.RangeDescriptor
}

// splitTrigger divides a range; see replica_split.go.
type splitTrigger struct {
	Left, Right api.RangeDescriptor
	// RightLease is what the right half starts with.
	RightLease            api.Lease
	RightBytes, RightKeys int64
}

const commandVersion = 1

const (
	partEffects = iota + 1
	partLease
	partSplit
	partDesc
)

var errCommand = errors.New("store: malformed command")

func (c *command) encode() []byte {
	n := 32
	if c.Effects != nil {
		n += c.Effects.EncodedSize()
	}
	b := binary.AppendUvarint(append(make([]byte, 0, n), commandVersion), c.LeaseSeq)
	switch {
	case c.Effects != nil:
		return c.Effects.Encode(append(b, partEffects))
	case c.Lease != nil:
		return api.AppendLease(append(b, partLease), c.Lease)
	case c.Split != nil:
		b = append(b, partSplit)
		b = appendSized(b, api.AppendRangeDescriptor(nil, &c.Split.Left))
		b = appendSized(b, api.AppendRangeDescriptor(nil, &c.Split.Right))
		b = appendSized(b, api.AppendLease(nil, &c.Split.RightLease))
		return binary.AppendVarint(binary.AppendVarint(b, c.Split.RightBytes), c.Split.RightKeys)
	case c.Desc != nil:
		return api.AppendRangeDescriptor(append(b, partDesc), c.Desc)
	}
	panic("store: empty command")
}

func decodeCommand(b []byte) (c command, err error) {
	if len(b) < 3 || b[0] != commandVersion {
		return c, errCommand
	}
	seq, n := binary.Uvarint(b[1:])
	if n <= 0 || len(b) < 2+n {
		return c, errCommand
	}
	c.LeaseSeq = seq
	part, b := b[1+n], b[2+n:]
	switch part {
	case partEffects:
		c.Effects, err = eval.DecodeEffects(b)
	case partLease:
		l, derr := api.DecodeLease(b)
		c.Lease, err = &l, derr
	case partSplit:
		c.Split, err = decodeSplit(b)
	case partDesc:
		d, derr := api.DecodeRangeDescriptor(b)
		c.Desc, err = &d, derr
	default:
		err = errCommand
	}
	return c, err
}

func decodeSplit(b []byte) (*splitTrigger, error) {
	s := &splitTrigger{}
	var parts [3][]byte
	for i := range parts {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return nil, errCommand
		}
		parts[i], b = b[k:k+int(n)], b[k+int(n):]
	}
	var err error
	if s.Left, err = api.DecodeRangeDescriptor(parts[0]); err != nil {
		return nil, err
	}
	if s.Right, err = api.DecodeRangeDescriptor(parts[1]); err != nil {
		return nil, err
	}
	if s.RightLease, err = api.DecodeLease(parts[2]); err != nil {
		return nil, err
	}
	var k int
	if s.RightBytes, k = binary.Varint(b); k <= 0 {
		return nil, errCommand
	}
	b = b[k:]
	if s.RightKeys, k = binary.Varint(b); k <= 0 || k != len(b) {
		return nil, errCommand
	}
	return s, nil
}

func appendSized(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// Results of applying: one byte each.
const (
	resultApplied = iota + 1
	// resultWrongLease: another lease is in force; the command did nothing.
	resultWrongLease
	// resultStale: the descriptor has moved on; the command did nothing.
	resultStale
)

package eval

import (
	"encoding/binary"
	"errors"

	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// ErrEffects reports bytes that Effects.Encode did not write.
var ErrEffects = errors.New("eval: malformed effects")

const (
	effectsVersion = 1

	opPut         = 0
	opDelete      = 1
	opDeleteRange = 2
	opPutFresh    = 3
)

// Encode appends the form in which effects are replicated.
func (e *Effects) Encode(b []byte) []byte {
	b = append(b, effectsVersion)
	b = binary.AppendVarint(b, e.BytesDelta)
	b = binary.AppendVarint(b, e.KeysDelta)
	if e.GCThreshold.IsZero() {
		b = append(b, 0)
	} else {
		b = e.GCThreshold.AppendAsc(append(b, 1))
	}
	b = binary.AppendUvarint(b, uint64(len(e.Ops)))
	for i := range e.Ops {
		op := &e.Ops[i]
		switch {
		case op.End != nil:
			b = appendBytes(appendBytes(append(b, opDeleteRange), op.Key), op.End)
		case op.Delete:
			b = appendBytes(append(b, opDelete), op.Key)
		default:
			kind := byte(opPut)
			if op.Fresh {
				kind = opPutFresh
			}
			b = appendBytes(appendBytes(append(b, kind), op.Key), op.Value)
		}
	}
	return b
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// EncodedSize bounds the length of the encoding.
func (e *Effects) EncodedSize() int {
	n := 64
	for i := range e.Ops {
		n += len(e.Ops[i].Key) + len(e.Ops[i].Value) + len(e.Ops[i].End) + 12
	}
	return n
}

// DecodeEffects reads what Encode wrote, all of b; the operations alias b.
func DecodeEffects(b []byte) (*Effects, error) {
	r := reader{b: b}
	if v := r.take(1); v == nil || v[0] != effectsVersion {
		return nil, ErrEffects
	}
	e := &Effects{BytesDelta: r.varint(), KeysDelta: r.varint()}
	if v := r.take(1); v != nil && v[0] == 1 {
		if t := r.take(hlc.EncodedLen); t != nil {
			e.GCThreshold = hlc.DecodeAsc(t)
		}
	}
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		return nil, ErrEffects
	}
	e.Ops = make([]EffectOp, n)
	for i := range e.Ops {
		op := &e.Ops[i]
		kind := r.take(1)
		op.Key = r.bytes()
		switch {
		case kind == nil:
		case kind[0] == opPut, kind[0] == opPutFresh:
			op.Value, op.Fresh = r.bytes(), kind[0] == opPutFresh
		case kind[0] == opDelete:
			op.Delete = true
		case kind[0] == opDeleteRange:
			op.Delete, op.End = true, r.bytes()
		default:
			r.bad = true
		}
	}
	if r.bad || len(r.b) != 0 {
		return nil, ErrEffects
	}
	return e, nil
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, n = true, 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, n = true, 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	return r.take(int(n))
}

// ApplyEffects appends the effects' operations to a batch, in the replica's
// space. The batch keeps references to the values.
func ApplyEffects(b *engine.Batch, space keys.SpaceID, e *Effects) {
	size := 0
	for i := range e.Ops {
		size += len(e.Ops[i].Key) + len(e.Ops[i].End) + 10
	}
	arena := make([]byte, 0, size)
	key := func(suffix []byte) []byte {
		n := len(arena)
		arena = keys.AppendEngineSuffix(arena, space, suffix)
		return arena[n:len(arena):len(arena)]
	}
	for i := range e.Ops {
		op := &e.Ops[i]
		switch {
		case op.End != nil:
			b.DeleteRange(key(op.Key), key(op.End))
		case op.Delete:
			b.Delete(key(op.Key))
		case op.Fresh:
			b.PutFresh(key(op.Key), op.Value)
		default:
			b.Put(key(op.Key), op.Value)
		}
	}
}

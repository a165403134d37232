package concurrency

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// LockState is one unreplicated lock, as it travels with a lease or a split.
type LockState struct {
	Key      api.Key
	Txn      api.TxnMeta
	Strength api.LockStrength
	Seq      api.Seq // Header.LockSeq of the batch that took it
}

// ExportLocks returns the unreplicated locks of [start, end) in key order; a nil
// end means no bound.
func (m *Manager) ExportLocks(start, end []byte) []LockState {
	t := m.locks
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []LockState
	for _, l := range t.locks {
		for ; l != nil; l = l.next {
			if bytes.Compare(l.key, start) < 0 || end != nil && bytes.Compare(l.key, end) >= 0 {
				continue
			}
			for i := range l.holders {
				if h := &l.holders[i]; !h.replicated {
					out = append(out, LockState{bytes.Clone(l.key), h.owner.txn, h.strength, h.seq})
				}
			}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if c := bytes.Compare(out[i].Key, out[j].Key); c != 0 {
			return c < 0
		}
		return bytes.Compare(out[i].Txn.ID[:], out[j].Txn.ID[:]) < 0
	})
	return out
}

// ImportLocks enters locks that another manager exported. What conflicts with a
// lock that was taken here meanwhile is left out: validation decides.
func (m *Manager) ImportLocks(locks []LockState) {
	for i := range locks {
		l := &locks[i]
		m.locks.try(l.Key, Hash(l.Key), &l.Txn, l.Strength, l.Seq)
	}
}

const locksVersion = 2

var errLocks = errors.New("concurrency: malformed lock list")

// EncodeLocks appends the form of locks that DecodeLocks reads.
func EncodeLocks(b []byte, locks []LockState) []byte {
	b = append(b, locksVersion)
	for i := range locks {
		l := &locks[i]
		b = append(binary.AppendUvarint(b, uint64(len(l.Key))), l.Key...)
		b = append(b, byte(l.Strength), byte(l.Txn.Isolation))
		b = append(b, l.Txn.ID[:]...)
		b = append(binary.AppendUvarint(b, uint64(len(l.Txn.Anchor))), l.Txn.Anchor...)
		b = binary.AppendUvarint(b, uint64(l.Txn.Epoch))
		b = binary.AppendUvarint(b, uint64(l.Txn.Gateway))
		b = binary.AppendUvarint(b, uint64(l.Seq))
		b = l.Txn.StartTS.AppendAsc(b)
		b = l.Txn.ReadTS.AppendAsc(b)
		b = l.Txn.WriteTS.AppendAsc(b)
	}
	return b
}

// DecodeLocks reads what EncodeLocks wrote.
func DecodeLocks(b []byte) (locks []LockState, err error) {
	defer func() {
		if recover() != nil {
			locks, err = nil, errLocks
		}
	}()
	if b[0] != locksVersion {
		return nil, fmt.Errorf("%w: version %d", errLocks, b[0])
	}
	b = b[1:]
	take := func(n int) []byte {
		v := b[:n:n]
		b = b[n:]
		return v
	}
	num := func() int {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return int(v)
	}
	for len(b) > 0 {
		var l LockState
		l.Key = bytes.Clone(take(num()))
		l.Strength, l.Txn.Isolation = api.LockStrength(take(1)[0]), api.Isolation(take(1)[0])
		l.Txn.ID = ids.TxnID(take(16))
		l.Txn.Anchor = bytes.Clone(take(num()))
		l.Txn.Epoch, l.Txn.Gateway = int32(num()), ids.NodeID(num())
		l.Seq = api.Seq(num())
		l.Txn.StartTS = hlc.DecodeAsc(take(hlc.EncodedLen))
		l.Txn.ReadTS = hlc.DecodeAsc(take(hlc.EncodedLen))
		l.Txn.WriteTS = hlc.DecodeAsc(take(hlc.EncodedLen))
		locks = append(locks, l)
	}
	return locks, nil
}

// Dump shows the lock table, for tests and debugging: a line per lock with its
// holders and queue.
func (m *Manager) Dump(name func(ids.TxnID) string) string {
	t := m.locks
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for _, l := range t.locks {
		for ; l != nil; l = l.next {
			var sb strings.Builder
			fmt.Fprintf(&sb, "%q", l.key)
			for i := range l.holders {
				h := &l.holders[i]
				fmt.Fprintf(&sb, " %s=%s", name(h.owner.txn.ID), strengthName(h.strength, h.replicated))
			}
			for _, w := range l.queue {
				fmt.Fprintf(&sb, " <- %s=%s", name(w.txn.ID), strengthName(w.strength, false))
			}
			lines = append(lines, sb.String())
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func strengthName(s api.LockStrength, replicated bool) string {
	if replicated {
		return "intent"
	}
	return [...]string{"read", "shared", "exclusive"}[s]
}

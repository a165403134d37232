package mvcc

import (
	"bytes"
	"fmt"
	"io"

	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// Dump prints the records, markers, intents and versions of a span, for tests
// and `pamir debug`. name and ts say how transactions and timestamps look.
func Dump(w io.Writer, v engine.View, s keys.SpaceID, start, end []byte, name func(ids.TxnID) string, ts func(hlc.Timestamp) string) error {
	if err := dumpLocal(w, v, s, start, end, name, ts); err != nil {
		return err
	}
	var bad error
	err := sweep(v, s, start, end, func(e *entry) bool {
		var line string
		if line, bad = dumpEntry(e, name, ts); bad == nil {
			_, bad = fmt.Fprintln(w, line)
		}
		return bad == nil
	})
	if err == nil {
		err = bad
	}
	return err
}

func dumpLocal(w io.Writer, v engine.View, s keys.SpaceID, start, end []byte, name func(ids.TxnID) string, ts func(hlc.Timestamp) string) error {
	span := keys.EngineSpans(s, start, end)[0]
	it := v.Iter(span[0], span[1])
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		anchor, id, record, err := DecodeLocalKey(it.Key())
		if err != nil {
			return err
		}
		if !record {
			fmt.Fprintf(w, "marker %q %s\n", anchor, name(id))
			continue
		}
		r, err := DecodeRecord(it.Value())
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "record %q %s %s at %s", anchor, name(id), r.Status, ts(r.WriteTS))
		for _, f := range r.InFlight {
			fmt.Fprintf(w, " in-flight %q:%d", f.Key, f.Seq)
		}
		for _, l := range r.Locks {
			fmt.Fprintf(w, " lock %q", l.Start)
			if l.End != nil {
				fmt.Fprintf(w, "-%q", l.End)
			}
		}
		fmt.Fprintln(w)
	}
	return nil
}

func dumpEntry(e *entry, name func(ids.TxnID) string, ts func(hlc.Timestamp) string) (string, error) {
	k, err := e.key()
	if err != nil {
		return "", err
	}
	if !e.isIntent() {
		v, deleted, err := DecodeValue(e.raw)
		if deleted {
			return fmt.Sprintf("%q@%s deleted", k, ts(e.ts)), err
		}
		return fmt.Sprintf("%q@%s %q", k, ts(e.ts), v), err
	}
	in, err := DecodeIntent(e.raw)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%q intent of %s at %s:", k, name(in.Txn.ID), ts(in.Txn.WriteTS))
	for _, h := range append(in.History[:len(in.History):len(in.History)], in.SeqValue) {
		if h.Deleted {
			fmt.Fprintf(&b, " %d=deleted", h.Seq)
			continue
		}
		fmt.Fprintf(&b, " %d=%q", h.Seq, h.Value)
	}
	return b.String(), nil
}

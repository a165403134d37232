package mvcc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// ErrCorrupt reports stored bytes that this package did not write.
var ErrCorrupt = errors.New("mvcc: malformed stored value")

// A stored version is one flag byte and the value's bytes.
const (
	flagValue     = 0x00
	flagTombstone = 0x01
)

// intentVersion starts every intent; it differs from the flags above, so that an
// intent can never be taken for a version.
const intentVersion = 0x11

// AppendValue appends the stored form of a value.
func AppendValue(dst, v []byte) []byte { return append(append(dst, flagValue), v...) }

// AppendTombstone appends the stored form of a deletion.
func AppendTombstone(dst []byte) []byte { return append(dst, flagTombstone) }

// DecodeValue reads a stored version; the value aliases raw.
func DecodeValue(raw []byte) (v []byte, deleted bool, err error) {
	if len(raw) == 0 {
		return nil, false, ErrCorrupt
	}
	switch raw[0] {
	case flagValue:
		return raw[1:len(raw):len(raw)], false, nil
	case flagTombstone:
		return nil, true, nil
	}
	return nil, false, ErrCorrupt
}

// SeqValue is what a transaction wrote to a key at one sequence number.
type SeqValue struct {
	Seq     api.Seq
	Deleted bool
	Value   []byte
}

// Intent is a provisional version: who wrote it, and every write of the key
// that a rollback or an older statement may have to see again.
type Intent struct {
	// Txn is the writer; its ReadTS and UncertaintyLimit are not kept.
	Txn api.TxnMeta
	// SeqValue is the newest write.
	SeqValue
	// History holds older writes, oldest first.
	History []SeqValue
}

// At returns the newest write at or below seq (0: any) that is not ignored.
func (in *Intent) At(seq api.Seq, ignored []api.SeqInterval) (SeqValue, bool) {
	if (seq == 0 || in.Seq <= seq) && !isIgnored(in.Seq, ignored) {
		return in.SeqValue, true
	}
	for i := len(in.History) - 1; i >= 0; i-- {
		h := in.History[i]
		if (seq == 0 || h.Seq <= seq) && !isIgnored(h.Seq, ignored) {
			return h, true
		}
	}
	return SeqValue{}, false
}

// HasSeq reports whether the write numbered seq is in the intent.
func (in *Intent) HasSeq(seq api.Seq) bool {
	if in.Seq == seq {
		return true
	}
	for _, h := range in.History {
		if h.Seq == seq {
			return true
		}
	}
	return false
}

// Rewrite returns the intent after another write of the same transaction. A
// write of the same sequence replaces the older one; one that was sent again, and
// comes after later ones, takes its place among them.
func (in *Intent) Rewrite(txn *api.TxnMeta, w SeqValue) Intent {
	out := Intent{Txn: *txn, SeqValue: w}
	if in.Txn.Epoch != txn.Epoch {
		return out
	}
	out.Txn.WriteTS = txn.WriteTS.Forward(in.Txn.WriteTS)
	if len(in.History) == 0 && in.Seq == w.Seq {
		return out
	}
	all := make([]SeqValue, 0, len(in.History)+2)
	for _, h := range append(in.History[:len(in.History):len(in.History)], in.SeqValue) {
		if h.Seq > w.Seq && (len(all) == 0 || all[len(all)-1].Seq < w.Seq) {
			all = append(all, w)
		}
		if h.Seq != w.Seq {
			all = append(all, h)
		}
	}
	if last := len(all) - 1; all[last].Seq > w.Seq {
		out.SeqValue, all = all[last], all[:last]
	}
	out.History = all
	return out
}

func isIgnored(s api.Seq, ignored []api.SeqInterval) bool {
	for _, i := range ignored {
		if i.From <= s && s <= i.To {
			return true
		}
	}
	return false
}

// Encode appends the stored form of the intent.
func (in *Intent) Encode(b []byte) []byte {
	b = append(b, intentVersion)
	b = appendMeta(b, &in.Txn)
	b = binary.AppendUvarint(b, uint64(len(in.History)))
	for i := range in.History {
		b = appendSeqValue(b, &in.History[i])
	}
	return appendSeqValue(b, &in.SeqValue)
}

func appendSeqValue(b []byte, s *SeqValue) []byte {
	b = binary.AppendUvarint(b, uint64(s.Seq))
	if s.Deleted {
		return append(b, flagTombstone)
	}
	b = append(b, flagValue)
	return appendBytes(b, s.Value)
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// DecodeIntent reads a stored intent; its bytes alias raw.
func DecodeIntent(raw []byte) (*Intent, error) {
	in := new(Intent)
	if err := in.decode(raw); err != nil {
		return nil, err
	}
	return in, nil
}

// decode reads a stored intent into in, which it overwrites.
func (in *Intent) decode(raw []byte) error {
	d := decoder{b: raw}
	if d.byte() != intentVersion {
		return fmt.Errorf("intent: %w", ErrCorrupt)
	}
	*in = Intent{}
	d.meta(&in.Txn)
	n := d.count()
	if n > 0 {
		in.History = make([]SeqValue, n)
	}
	for i := range in.History {
		d.seqValue(&in.History[i])
	}
	d.seqValue(&in.SeqValue)
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("intent: %w", ErrCorrupt)
	}
	return nil
}

// appendMeta keeps what others need of a writer: identity, timestamps, age.
func appendMeta(b []byte, t *api.TxnMeta) []byte {
	b = append(b, t.ID[:]...)
	b = appendBytes(b, t.Anchor)
	b = binary.AppendUvarint(b, uint64(t.Epoch))
	b = t.WriteTS.AppendAsc(b)
	b = t.StartTS.AppendAsc(b)
	b = append(b, byte(t.Isolation))
	return binary.AppendUvarint(b, uint64(t.Gateway))
}

// decoder reads what the appenders wrote; bad is sticky.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || len(d.b) < n {
		d.bad = true
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if v := d.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads a number of things that take at least a byte each.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte { return d.take(d.count()) }

func (d *decoder) ts() hlc.Timestamp {
	if v := d.take(hlc.EncodedLen); v != nil {
		return hlc.DecodeAsc(v)
	}
	return hlc.Timestamp{}
}

func (d *decoder) meta(t *api.TxnMeta) {
	copy(t.ID[:], d.take(len(t.ID)))
	t.Anchor = d.bytes()
	t.Epoch = int32(d.uvarint())
	t.WriteTS = d.ts()
	t.StartTS = d.ts()
	if t.Isolation = api.Isolation(d.byte()); t.Isolation > api.ReadCommitted {
		d.bad = true
	}
	t.Gateway = ids.NodeID(d.uvarint())
}

func (d *decoder) seqValue(s *SeqValue) {
	s.Seq = api.Seq(d.uvarint())
	switch d.byte() {
	case flagTombstone:
		s.Deleted = true
	case flagValue:
		s.Value = d.bytes()
	default:
		d.bad = true
	}
}

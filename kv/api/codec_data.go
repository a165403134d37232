package api

import (
	"encoding/binary"
	"math"

	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

type tsField = hlc.Timestamp

func rangeID(d *decoder) ids.RangeID { return ids.RangeID(d.int()) }

func appendMeta(b []byte, m *TxnMeta) []byte {
	b = appendTxnID(b, m.ID)
	b = appendBytes(b, m.Anchor)
	b = appendInt(b, int64(m.Epoch))
	b = appendTS(b, m.ReadTS)
	b = appendTS(b, m.WriteTS)
	b = appendTS(b, m.UncertaintyLimit)
	b = appendTS(b, m.Observed)
	b = appendTS(b, m.StartTS)
	b = append(b, byte(m.Isolation))
	return appendNode(b, &m.Gateway)
}

func readMeta(d *decoder, m *TxnMeta) {
	m.ID = d.txnID()
	m.Anchor = d.bytes()
	m.Epoch = d.int32()
	m.ReadTS, m.WriteTS, m.UncertaintyLimit = d.ts(), d.ts(), d.ts()
	m.Observed, m.StartTS = d.ts(), d.ts()
	m.Isolation = Isolation(d.enum(byte(ReadCommitted)))
	readNode(d, &m.Gateway)
}

// AppendTxnMeta appends the encoding of m.
func AppendTxnMeta(b []byte, m *TxnMeta) []byte { return appendMeta(append(b, CodecVersion), m) }

// ReadTxnMeta reads what AppendTxnMeta wrote and returns what follows it. The
// anchor aliases b.
func ReadTxnMeta(b []byte) (m TxnMeta, rest []byte, err error) {
	d := newDecoder(b)
	readMeta(d, &m)
	return m, d.b, d.err
}

func appendRecord(b []byte, r *TxnRecord) []byte {
	b = appendMeta(b, &r.TxnMeta)
	b = append(b, byte(r.Status))
	b = appendTS(b, r.LastHeartbeat)
	b = appendList(b, r.Locks, appendSpan)
	b = appendList(b, r.InFlight, appendInFlight)
	return appendList(b, r.Ignored, appendInterval)
}

func readRecord(d *decoder, r *TxnRecord) {
	readMeta(d, &r.TxnMeta)
	r.Status = TxnStatus(d.enum(byte(Aborted)))
	r.LastHeartbeat = d.ts()
	r.Locks = readList(d, readSpan)
	r.InFlight = readList(d, readInFlight)
	r.Ignored = readList(d, readInterval)
}

// AppendTxnRecord appends the encoding of r.
func AppendTxnRecord(b []byte, r *TxnRecord) []byte { return appendRecord(append(b, CodecVersion), r) }

// DecodeTxnRecord reads what AppendTxnRecord wrote; the result aliases b.
func DecodeTxnRecord(b []byte) (r TxnRecord, err error) {
	d := newDecoder(b)
	readRecord(d, &r)
	return r, d.finish()
}

func appendReplica(b []byte, r *ReplicaDescriptor) []byte {
	b = appendInt(b, int64(r.Node))
	b = appendInt(b, int64(r.Replica))
	return append(b, byte(r.Type))
}

func readReplica(d *decoder, r *ReplicaDescriptor) {
	r.Node, r.Replica = ids.NodeID(d.int32()), ids.ReplicaID(d.int32())
	r.Type = ReplicaType(d.enum(byte(Learner)))
}

func appendDesc(b []byte, r *RangeDescriptor) []byte {
	b = appendInt(b, int64(r.RangeID))
	b = appendBytes(b, r.Start)
	b = appendBytes(b, r.End)
	b = appendList(b, r.Replicas, appendReplica)
	b = appendInt(b, int64(r.NextReplica))
	return appendUint(b, r.Generation)
}

func readDesc(d *decoder, r *RangeDescriptor) {
	r.RangeID = rangeID(d)
	r.Start, r.End = d.bytes(), d.bytes()
	r.Replicas = readList(d, readReplica)
	r.NextReplica = ids.ReplicaID(d.int32())
	r.Generation = d.uint()
}

// AppendRangeDescriptor appends the encoding of r.
func AppendRangeDescriptor(b []byte, r *RangeDescriptor) []byte {
	return appendDesc(append(b, CodecVersion), r)
}

// DecodeRangeDescriptor reads what AppendRangeDescriptor wrote; the result
// aliases b.
func DecodeRangeDescriptor(b []byte) (r RangeDescriptor, err error) {
	d := newDecoder(b)
	readDesc(d, &r)
	return r, d.finish()
}

func appendLease(b []byte, l *Lease) []byte {
	b = appendUint(b, l.Seq)
	b = appendReplica(b, &l.Holder)
	b = appendTS(b, l.Start)
	b = appendTS(b, l.Expiration)
	return appendInt(b, l.Epoch)
}

func readLease(d *decoder, l *Lease) {
	l.Seq = d.uint()
	readReplica(d, &l.Holder)
	l.Start, l.Expiration = d.ts(), d.ts()
	l.Epoch = d.int()
}

// AppendLease appends the encoding of l.
func AppendLease(b []byte, l *Lease) []byte { return appendLease(append(b, CodecVersion), l) }

// DecodeLease reads what AppendLease wrote.
func DecodeLease(b []byte) (l Lease, err error) {
	d := newDecoder(b)
	readLease(d, &l)
	return l, d.finish()
}

// AppendLiveness appends the encoding of l.
func AppendLiveness(b []byte, l *Liveness) []byte {
	b = appendNode(append(b, CodecVersion), &l.Node)
	b = appendInt(b, l.Epoch)
	b = appendTS(b, l.Expiration)
	b = appendBool(b, l.Draining)
	b = appendBool(b, l.Decommissioning)
	return appendInt(appendInt(b, l.Replicas), l.Leases)
}

// DecodeLiveness reads what AppendLiveness wrote.
func DecodeLiveness(b []byte) (l Liveness, err error) {
	d := newDecoder(b)
	readNode(d, &l.Node)
	l.Epoch = d.int()
	l.Expiration = d.ts()
	l.Draining, l.Decommissioning = d.bool(), d.bool()
	l.Replicas, l.Leases = d.int(), d.int()
	return l, d.finish()
}

// AppendNodeLoad appends the encoding of l.
func AppendNodeLoad(b []byte, l *NodeLoad) []byte {
	return appendInt(appendNode(append(b, CodecVersion), &l.Node), l.CPUPermille)
}

// DecodeNodeLoad reads what AppendNodeLoad wrote. Further fields may follow: they
// are a later program's.
func DecodeNodeLoad(b []byte) (l NodeLoad, err error) {
	d := newDecoder(b)
	readNode(d, &l.Node)
	l.CPUPermille = d.int()
	return l, d.err
}

// AppendNodeDescriptor appends the encoding of n.
func AppendNodeDescriptor(b []byte, n *NodeDescriptor) []byte {
	b = appendNode(append(b, CodecVersion), &n.Node)
	b = appendText(b, n.RPCAddr)
	b = appendText(b, n.SQLAddr)
	b = appendText(b, n.HTTPAddr)
	b = appendText(b, n.Locality)
	b = appendInt(b, n.StartedNanos)
	return appendText(b, n.Version)
}

// DecodeNodeDescriptor reads what AppendNodeDescriptor wrote.
func DecodeNodeDescriptor(b []byte) (n NodeDescriptor, err error) {
	d := newDecoder(b)
	readNode(d, &n.Node)
	n.RPCAddr, n.SQLAddr, n.HTTPAddr, n.Locality = d.text(), d.text(), d.text(), d.text()
	n.StartedNanos = d.int()
	n.Version = d.text()
	return n, d.finish()
}

func appendRangeInfo(b []byte, r *RangeInfo) []byte {
	b = appendDesc(b, &r.Desc)
	b = appendLease(b, &r.Lease)
	b = appendNode(b, &r.Leader)
	for _, v := range [...]uint64{r.Term, r.Applied, r.Commit} {
		b = appendUint(b, v)
	}
	for _, v := range [...]int64{r.LogBytes, r.Bytes, r.Keys} {
		b = appendInt(b, v)
	}
	b = appendFloat(b, r.ReadsPerSecond)
	b = appendFloat(b, r.WritesPerSecond)
	return appendList(b, r.Behind, appendNode)
}

func readRangeInfo(d *decoder, r *RangeInfo) {
	readDesc(d, &r.Desc)
	readLease(d, &r.Lease)
	readNode(d, &r.Leader)
	r.Term, r.Applied, r.Commit = d.uint(), d.uint(), d.uint()
	r.LogBytes, r.Bytes, r.Keys = d.int(), d.int(), d.int()
	r.ReadsPerSecond, r.WritesPerSecond = d.float(), d.float()
	r.Behind = readList(d, readNode)
}

// AppendRangeInfo appends the encoding of r.
func AppendRangeInfo(b []byte, r *RangeInfo) []byte {
	return appendRangeInfo(append(b, CodecVersion), r)
}

// DecodeRangeInfo reads what AppendRangeInfo wrote; the result aliases b.
func DecodeRangeInfo(b []byte) (r RangeInfo, err error) {
	d := newDecoder(b)
	readRangeInfo(d, &r)
	return r, d.finish()
}

func appendFloat(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(v))
}

func (d *decoder) float() float64 {
	v := d.take(8)
	if v == nil {
		return 0
	}
	return math.Float64frombits(binary.BigEndian.Uint64(v))
}

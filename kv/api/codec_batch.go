package api

// AppendBatchRequest appends the encoding of ba.
func AppendBatchRequest(b []byte, ba *BatchRequest) []byte {
	b = append(b, CodecVersion)
	b = appendHeader(b, &ba.Header)
	return appendList(b, ba.Requests, appendRequest)
}

// DecodeBatchRequest reads what AppendBatchRequest wrote; the result aliases b.
func DecodeBatchRequest(b []byte) (*BatchRequest, error) {
	d := newDecoder(b)
	ba := &BatchRequest{}
	readHeader(d, &ba.Header)
	ba.Requests = readList(d, readRequest)
	if err := d.finish(); err != nil {
		return nil, err
	}
	return ba, nil
}

// AppendBatchResponse appends the encoding of br. A scan's result that is still
// an object is encoded into Encoded.
func AppendBatchResponse(b []byte, br *BatchResponse) []byte {
	b = append(b, CodecVersion)
	b = appendList(b, br.Responses, appendResponse)
	for _, t := range [...]*tsField{&br.Now, &br.ReadTS, &br.WriteTS, &br.Observed} {
		b = appendTS(b, *t)
	}
	b = appendInt(b, int64(br.Node))
	if br.Newer == nil {
		b = append(b, 0)
	} else {
		b = appendDesc(append(b, 1), br.Newer)
	}
	return appendStats(b, &br.Stats)
}

// DecodeBatchResponse reads what AppendBatchResponse wrote; the result aliases b.
func DecodeBatchResponse(b []byte) (*BatchResponse, error) {
	d := newDecoder(b)
	br := &BatchResponse{Responses: readList(d, readResponse)}
	for _, t := range [...]*tsField{&br.Now, &br.ReadTS, &br.WriteTS, &br.Observed} {
		*t = d.ts()
	}
	readNode(d, &br.Node)
	if d.byte() != 0 {
		br.Newer = &RangeDescriptor{}
		readDesc(d, br.Newer)
	}
	readStats(d, &br.Stats)
	if err := d.finish(); err != nil {
		return nil, err
	}
	return br, nil
}

func appendStats(b []byte, s *BatchStats) []byte {
	b = appendInt(b, s.RowsScanned)
	b = appendInt(b, s.BytesScanned)
	b = appendInt(b, s.Proposals)
	b = appendInt(b, s.LockWaitNanos)
	b = appendInt(b, s.Ranges)
	return appendInt(b, s.RPCs)
}

func readStats(d *decoder, s *BatchStats) {
	s.RowsScanned, s.BytesScanned, s.Proposals, s.LockWaitNanos = d.int(), d.int(), d.int(), d.int()
	s.Ranges, s.RPCs = d.int(), d.int()
}

// Bits of a header's mask.
const (
	headTxn = 1 << iota
	headReadTS
	headIgnored
	headCarried
	headCanRefresh
	headTimeout
	headNoIntents
	headLockSeq
)

func appendHeader(b []byte, h *Header) []byte {
	mask := byte(0)
	set := func(bit byte, on bool) {
		if on {
			mask |= bit
		}
	}
	set(headTxn, h.Txn != nil)
	set(headReadTS, !h.ReadTS.IsZero())
	set(headIgnored, h.Ignored != nil)
	set(headCarried, h.Carried != nil)
	set(headCanRefresh, h.CanRefresh)
	set(headNoIntents, h.NoIntents)
	set(headTimeout, h.LockTimeoutNanos != 0)
	set(headLockSeq, h.LockSeq != 0)
	b = append(b, mask)
	b = appendInt(b, int64(h.RangeID))
	b = appendUint(b, h.Generation)
	b = appendInt(b, int64(h.Gateway))
	b = appendInt(b, int64(h.ReadSeq))
	if h.Txn != nil {
		b = appendMeta(b, h.Txn)
	}
	if mask&headReadTS != 0 {
		b = appendTS(b, h.ReadTS)
	}
	if h.Ignored != nil {
		b = appendList(b, h.Ignored, appendInterval)
	}
	if h.Carried != nil {
		b = appendList(b, h.Carried, appendCarried)
	}
	if mask&headTimeout != 0 {
		b = appendInt(b, h.LockTimeoutNanos)
	}
	if mask&headLockSeq != 0 {
		b = appendInt(b, int64(h.LockSeq))
	}
	return b
}

func readHeader(d *decoder, h *Header) {
	mask := d.byte()
	h.RangeID = rangeID(d)
	h.Generation = d.uint()
	readNode(d, &h.Gateway)
	h.ReadSeq = Seq(d.int32())
	if mask&headTxn != 0 {
		h.Txn = &TxnMeta{}
		readMeta(d, h.Txn)
	}
	if mask&headReadTS != 0 {
		h.ReadTS = d.ts()
	}
	if mask&headIgnored != 0 {
		h.Ignored = readList(d, readInterval)
	}
	if mask&headCarried != 0 {
		h.Carried = readList(d, readCarried)
	}
	h.CanRefresh = mask&headCanRefresh != 0
	h.NoIntents = mask&headNoIntents != 0
	if mask&headTimeout != 0 {
		h.LockTimeoutNanos = d.int()
	}
	if mask&headLockSeq != 0 {
		h.LockSeq = Seq(d.int32())
	}
}

func appendInterval(b []byte, i *SeqInterval) []byte {
	return appendInt(appendInt(b, int64(i.From)), int64(i.To))
}

func readInterval(d *decoder, i *SeqInterval) { i.From, i.To = Seq(d.int32()), Seq(d.int32()) }

func appendCarried(b []byte, c *CarriedWrite) []byte {
	return appendBool(appendBytes(appendBytes(b, c.Key), c.Value), c.Deleted)
}

func readCarried(d *decoder, c *CarriedWrite) {
	c.Key, c.Value, c.Deleted = d.bytes(), d.bytes(), d.bool()
}

// Bits of a request's mask.
const (
	reqReverse = 1 << iota
	reqLock
	reqEnd
	reqValue
	reqExpect
	reqSeq
	reqDelta
	reqScan
	reqRefresh
	reqTxn
	reqAdmin
	reqLockSeq
)

func requestMask(r *Request) (mask uint64) {
	set := func(bit uint64, on bool) {
		if on {
			mask |= bit
		}
	}
	set(reqReverse, r.Reverse)
	set(reqLock, r.Lock != 0 || r.Wait != 0)
	set(reqEnd, r.End != nil)
	set(reqValue, r.Value != nil)
	set(reqExpect, r.Expect != Expect{})
	set(reqSeq, r.Seq != 0)
	set(reqDelta, r.Delta != 0)
	set(reqScan, r.Scan != nil)
	set(reqRefresh, !r.RefreshFrom.IsZero())
	set(reqTxn, r.Txn != nil)
	set(reqAdmin, r.Admin != nil)
	set(reqLockSeq, r.LockSeq != 0)
	return mask
}

func appendRequest(b []byte, r *Request) []byte {
	mask := requestMask(r)
	b = append(b, byte(r.Kind))
	b = appendUint(b, mask)
	b = appendBytes(b, r.Key)
	if mask&reqLock != 0 {
		b = append(b, byte(r.Lock), byte(r.Wait))
	}
	if mask&reqEnd != 0 {
		b = appendBytes(b, r.End)
	}
	if mask&reqValue != 0 {
		b = appendBytes(b, r.Value)
	}
	if mask&reqExpect != 0 {
		b = appendTS(append(b, byte(r.Expect.Kind)), r.Expect.Version)
	}
	if mask&reqSeq != 0 {
		b = appendInt(b, int64(r.Seq))
	}
	if mask&reqDelta != 0 {
		b = appendInt(b, r.Delta)
	}
	if mask&reqScan != 0 {
		b = appendScanOptions(b, r.Scan)
	}
	if mask&reqRefresh != 0 {
		b = appendTS(b, r.RefreshFrom)
	}
	if mask&reqTxn != 0 {
		b = appendTxnArgs(b, r.Txn)
	}
	if mask&reqAdmin != 0 {
		b = appendAdminArgs(b, r.Admin)
	}
	if mask&reqLockSeq != 0 {
		b = appendInt(b, int64(r.LockSeq))
	}
	return b
}

func readRequest(d *decoder, r *Request) {
	r.Kind = Kind(d.enum(byte(Checksum)))
	mask := d.uint()
	r.Reverse = mask&reqReverse != 0
	r.Key = d.bytes()
	if mask&reqLock != 0 {
		r.Lock = LockStrength(d.enum(byte(LockExclusive)))
		r.Wait = WaitPolicy(d.enum(byte(WaitSkip)))
	}
	if mask&reqEnd != 0 {
		r.End = d.bytes()
	}
	if mask&reqValue != 0 {
		r.Value = d.bytes()
	}
	if mask&reqExpect != 0 {
		r.Expect = Expect{Kind: ExpectKind(d.enum(byte(ExpectFresh))), Version: d.ts()}
	}
	if mask&reqSeq != 0 {
		r.Seq = Seq(d.int32())
	}
	if mask&reqDelta != 0 {
		r.Delta = d.int()
	}
	if mask&reqScan != 0 {
		r.Scan = &ScanOptions{}
		readScanOptions(d, r.Scan)
	}
	if mask&reqRefresh != 0 {
		r.RefreshFrom = d.ts()
	}
	if mask&reqTxn != 0 {
		r.Txn = &TxnArgs{}
		readTxnArgs(d, r.Txn)
	}
	if mask&reqAdmin != 0 {
		r.Admin = &AdminArgs{}
		readAdminArgs(d, r.Admin)
	}
	if mask&reqLockSeq != 0 {
		r.LockSeq = Seq(d.int32())
	}
}

func appendScanOptions(b []byte, o *ScanOptions) []byte {
	b = appendBytes(b, o.Program)
	b = appendInt(b, o.MaxRows)
	b = appendInt(b, o.MaxBytes)
	b = appendBool(b, o.KeysOnly)
	return appendBool(b, o.Latest)
}

func readScanOptions(d *decoder, o *ScanOptions) {
	o.Program, o.MaxRows, o.MaxBytes, o.KeysOnly = d.bytes(), d.int(), d.int(), d.bool()
	o.Latest = d.bool()
}

func appendTxnArgs(b []byte, a *TxnArgs) []byte {
	b = appendBool(b, a.Commit)
	b = appendBool(b, a.PushAbort)
	b = appendBool(b, a.Lazy)
	b = append(b, byte(a.Status))
	b = appendList(b, a.Locks, appendSpan)
	b = appendList(b, a.InFlight, appendInFlight)
	b = appendList(b, a.Ignored, appendInterval)
	b = appendTS(b, a.Deadline)
	b = appendTS(b, a.PushTo)
	b = appendTS(b, a.PusheeSeen)
	b = appendBool(b, a.Forget)
	b = appendList(b, a.Waits, appendWaitEdge)
	return appendMeta(b, &a.Pushee)
}

func readTxnArgs(d *decoder, a *TxnArgs) {
	a.Commit, a.PushAbort, a.Lazy = d.bool(), d.bool(), d.bool()
	a.Status = TxnStatus(d.enum(byte(Aborted)))
	a.Locks = readList(d, readSpan)
	a.InFlight = readList(d, readInFlight)
	a.Ignored = readList(d, readInterval)
	a.Deadline, a.PushTo, a.PusheeSeen = d.ts(), d.ts(), d.ts()
	a.Forget = d.bool()
	a.Waits = readList(d, readWaitEdge)
	readMeta(d, &a.Pushee)
}

func appendInFlight(b []byte, w *InFlightWrite) []byte {
	return appendInt(appendBytes(b, w.Key), int64(w.Seq))
}

func readInFlight(d *decoder, w *InFlightWrite) { w.Key, w.Seq = d.bytes(), Seq(d.int32()) }

func appendWaitEdge(b []byte, e *WaitEdge) []byte {
	return appendInt(appendTS(appendTxnID(appendTxnID(b, e.Waiter), e.Blocker), e.StartTS), e.AgeNanos)
}

func readWaitEdge(d *decoder, e *WaitEdge) {
	e.Waiter, e.Blocker, e.StartTS, e.AgeNanos = d.txnID(), d.txnID(), d.ts(), d.int()
}

func appendAdminArgs(b []byte, a *AdminArgs) []byte {
	b = appendNode(b, &a.Node)
	b = appendList(b, a.Add, appendNode)
	b = appendList(b, a.Remove, appendNode)
	b = appendUint(b, a.ExpectGeneration)
	return appendTS(b, a.Threshold)
}

func readAdminArgs(d *decoder, a *AdminArgs) {
	readNode(d, &a.Node)
	a.Add = readList(d, readNode)
	a.Remove = readList(d, readNode)
	a.ExpectGeneration = d.uint()
	a.Threshold = d.ts()
}

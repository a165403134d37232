package api

// Bits of a response's mask.
const (
	respExists = 1 << iota
	respSkipped
	respRaw
	respFound
	respValue
	respVersion
	respKVs
	respEncoded
	respLocked
	respResume
	respNumber
	respTxn
	respRange
	respParts
	respWaits
)

func responseMask(r *Response) (mask uint64) {
	set := func(bit uint64, on bool) {
		if on {
			mask |= bit
		}
	}
	set(respExists, r.Exists)
	set(respSkipped, r.Skipped)
	set(respRaw, r.Raw)
	set(respFound, r.Found)
	set(respValue, r.Value != nil)
	set(respVersion, !r.VersionTS.IsZero())
	set(respKVs, r.KVs != nil)
	set(respEncoded, r.Encoded != nil || r.Result != nil)
	set(respLocked, r.Locked != nil)
	set(respResume, r.Resume != nil)
	set(respNumber, r.Number != 0 || r.Result != nil)
	set(respTxn, r.Txn != nil)
	set(respRange, r.Range != nil)
	set(respWaits, r.Waits != nil)
	set(respParts, r.Parts != nil)
	return mask
}

func appendResponse(b []byte, r *Response) []byte {
	mask := responseMask(r)
	b = appendUint(b, mask)
	if mask&respValue != 0 {
		b = appendBytes(b, r.Value)
	}
	if mask&respVersion != 0 {
		b = appendTS(b, r.VersionTS)
	}
	if mask&respKVs != 0 {
		b = appendList(b, r.KVs, appendKV)
	}
	if mask&respEncoded != 0 {
		enc := r.Encoded
		if r.Result != nil {
			enc = r.Result.Encode([]byte{})
		}
		b = appendBytes(b, enc)
	}
	if mask&respLocked != 0 {
		b = appendList(b, r.Locked, appendLocked)
	}
	if mask&respResume != 0 {
		b = appendBytes(b, r.Resume)
	}
	if mask&respNumber != 0 {
		b = appendInt(b, resultRows(r))
	}
	if mask&respTxn != 0 {
		b = appendRecord(b, r.Txn)
	}
	if mask&respRange != 0 {
		b = appendRangeInfo(b, r.Range)
	}
	if mask&respWaits != 0 {
		b = appendList(b, r.Waits, appendWaitEdge)
	}
	if mask&respParts != 0 {
		b = appendList(b, r.Parts, appendResponse)
	}
	return b
}

// resultRows is Number, and for a scan with a program the rows of its result:
// once encoded only the evaluator could count them, and whoever splits a limited
// scan over ranges needs the number.
func resultRows(r *Response) int64 {
	if r.Number == 0 && r.Result != nil {
		rows, _ := r.Result.Size()
		return rows
	}
	return r.Number
}

func readResponse(d *decoder, r *Response) { readResponseAt(d, r, 0) }

// readResponseAt reads a response; parts have no parts of their own.
func readResponseAt(d *decoder, r *Response, depth int) {
	mask := d.uint()
	r.Exists, r.Skipped = mask&respExists != 0, mask&respSkipped != 0
	r.Raw, r.Found = mask&respRaw != 0, mask&respFound != 0
	if mask&respValue != 0 {
		r.Value = d.bytes()
	}
	if mask&respVersion != 0 {
		r.VersionTS = d.ts()
	}
	if mask&respKVs != 0 {
		r.KVs = readList(d, readKV)
	}
	if mask&respEncoded != 0 {
		r.Encoded = d.bytes()
	}
	if mask&respLocked != 0 {
		r.Locked = readList(d, readLocked)
	}
	if mask&respResume != 0 {
		r.Resume = d.bytes()
	}
	if mask&respNumber != 0 {
		r.Number = d.int()
	}
	if mask&respTxn != 0 {
		r.Txn = &TxnRecord{}
		readRecord(d, r.Txn)
	}
	if mask&respRange != 0 {
		r.Range = &RangeInfo{}
		readRangeInfo(d, r.Range)
	}
	if mask&respWaits != 0 {
		r.Waits = readList(d, readWaitEdge)
	}
	if mask&respParts != 0 {
		if depth > 0 {
			d.fail()
			return
		}
		r.Parts = readList(d, func(d *decoder, p *Response) { readResponseAt(d, p, depth+1) })
	}
}

func appendKV(b []byte, kv *KeyValue) []byte {
	return appendTS(appendBytes(appendBytes(b, kv.Key), kv.Value), kv.VersionTS)
}

func readKV(d *decoder, kv *KeyValue) { kv.Key, kv.Value, kv.VersionTS = d.bytes(), d.bytes(), d.ts() }

func appendLocked(b []byte, l *LockedKey) []byte {
	return appendTS(appendBytes(b, l.Key), l.VersionTS)
}

func readLocked(d *decoder, l *LockedKey) { l.Key, l.VersionTS = d.bytes(), d.ts() }

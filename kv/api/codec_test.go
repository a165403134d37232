package api

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/pamirdb/pamir/pkg/hlc"
)

// filler sets every field of a value at random, so that a field that the codec
// forgets makes the round trip fail.
type filler struct{ r *rand.Rand }

// enumLimits are the largest values that decoding accepts.
var enumLimits = map[reflect.Type]uint64{
	reflect.TypeFor[Kind]():         uint64(Checksum),
	reflect.TypeFor[LockStrength](): uint64(LockExclusive),
	reflect.TypeFor[WaitPolicy]():   uint64(WaitSkip),
	reflect.TypeFor[ExpectKind]():   uint64(ExpectFresh),
	reflect.TypeFor[TxnStatus]():    uint64(Aborted),
	reflect.TypeFor[ReplicaType]():  uint64(Learner),
	reflect.TypeFor[Isolation]():    uint64(ReadCommitted),
	reflect.TypeFor[RetryReason]():  uint64(ReasonLeaseMoved),
}

func (f filler) fill(v reflect.Value, depth int) {
	if f.r.IntN(6) == 0 {
		return // zero
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32:
		v.SetInt(int64(int32(f.r.Uint32())))
	case reflect.Int64:
		v.SetInt(int64(f.r.Uint64()))
	case reflect.Uint8:
		if limit, ok := enumLimits[v.Type()]; ok {
			v.SetUint(f.r.Uint64N(limit + 1))
			return
		}
		v.SetUint(f.r.Uint64N(256))
	case reflect.Uint64:
		v.SetUint(f.r.Uint64())
	case reflect.Float64:
		v.SetFloat(f.r.Float64())
	case reflect.String:
		v.SetString(string([]byte{byte(f.r.IntN(128)), 0, 'x'}))
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), depth)
		}
	case reflect.Slice:
		n := f.r.IntN(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(v.Index(i), depth)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth)
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name == "Result" || name == "ObservedAt" || name == "Once" || (name == "Parts" && depth > 0) {
				continue
			}
			next := depth
			if v.Type() == reflect.TypeFor[Response]() {
				next++
			}
			f.fill(v.Field(i), next)
		}
	default:
		panic("a field of kind " + v.Kind().String())
	}
}

// roundTrip encodes n random values and compares what comes back.
func roundTrip[T any](t *testing.T, enc func([]byte, *T) []byte, dec func([]byte) (T, error)) {
	t.Helper()
	f := filler{rand.New(rand.NewPCG(7, 11))}
	for i := range 400 {
		var v T
		f.fill(reflect.ValueOf(&v).Elem(), 0)
		b := enc(nil, &v)
		got, err := dec(b)
		if err != nil {
			t.Fatalf("%T %d: %v", v, i, err)
		}
		if !reflect.DeepEqual(v, got) {
			t.Fatalf("%T %d:\nsent %+v\ngot  %+v", v, i, v, got)
		}
		if cut := f.r.IntN(len(b)); cut > 0 {
			if _, err := dec(b[:cut]); err == nil {
				t.Fatalf("%T %d: accepted a cut encoding", v, i)
			}
		}
	}
}

func deref[T any](dec func([]byte) (*T, error)) func([]byte) (T, error) {
	return func(b []byte) (v T, err error) {
		p, err := dec(b)
		if err != nil {
			return v, err
		}
		return *p, nil
	}
}

func TestRoundTrip(t *testing.T) {
	roundTrip(t, AppendBatchRequest, deref(DecodeBatchRequest))
	roundTrip(t, AppendBatchResponse, deref(DecodeBatchResponse))
	roundTrip(t, AppendRangeDescriptor, DecodeRangeDescriptor)
	roundTrip(t, AppendLease, DecodeLease)
	roundTrip(t, AppendLiveness, DecodeLiveness)
	roundTrip(t, AppendNodeLoad, DecodeNodeLoad)
	roundTrip(t, AppendNodeDescriptor, DecodeNodeDescriptor)
	roundTrip(t, AppendRangeInfo, DecodeRangeInfo)
	roundTrip(t, AppendTxnRecord, DecodeTxnRecord)
	roundTrip(t, AppendTxnMeta, func(b []byte) (TxnMeta, error) {
		m, rest, err := ReadTxnMeta(b)
		if err == nil && len(rest) != 0 {
			err = ErrMalformed
		}
		return m, err
	})
}

// A node of an older program reads the liveness records of newer ones, and a newer
// one reads loads with fields that it does not know.
func TestRollingRestart(t *testing.T) {
	l := Liveness{Node: 3, Epoch: 7, Expiration: hlc.Timestamp{WallNanos: 1000, Logical: 2}, Draining: true, Replicas: 5, Leases: 4}
	if got := AppendLiveness(nil, &l); !bytes.Equal(got, []byte("\x01\x06\x0e\xe8\x07\x02\x01\x00\x0a\x08")) {
		t.Errorf("a liveness record is now %q: older programs cannot read it", got)
	}
	load := NodeLoad{Node: 3, CPUPermille: 700}
	if got, err := DecodeNodeLoad(append(AppendNodeLoad(nil, &load), 1, 2, 3)); err != nil || got != load {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestErrorsRoundTrip(t *testing.T) {
	f := filler{rand.New(rand.NewPCG(1, 1))}
	for _, e := range []error{&NotLeaseholderError{}, &RangeMismatchError{}, &RangeNotFoundError{}, &UnavailableError{},
		&RetryError{}, &AbortedError{}, &DeadlockError{}, &LockUnavailableError{}, &ConditionFailedError{},
		&AmbiguousError{}, &DeadlineError{}, &GCError{}, &InternalError{}} {
		for range 50 {
			v := reflect.New(reflect.TypeOf(e).Elem())
			f.fill(v.Elem(), 0)
			sent := v.Interface().(error)
			got, err := DecodeError(AppendError(nil, sent))
			if err != nil || !reflect.DeepEqual(got, sent) {
				t.Fatalf("%#v came back as %#v, %v", sent, got, err)
			}
		}
	}
	for _, e := range []error{ErrUnknownProgram, context.Canceled, context.DeadlineExceeded} {
		if got, err := DecodeError(AppendError(nil, e)); err != nil || !errors.Is(got, e) {
			t.Fatalf("%v came back as %v, %v", e, got, err)
		}
	}
}

type textResult string

func (r textResult) Encode(dst []byte) []byte { return append(dst, r...) }
func (r textResult) Size() (rows, size int64) { return 1, int64(len(r)) }

func TestScanResultIsEncoded(t *testing.T) {
	br, err := DecodeBatchResponse(AppendBatchResponse(nil, &BatchResponse{Responses: []Response{{Result: textResult("rows")}}}))
	if err != nil || string(br.Responses[0].Encoded) != "rows" {
		t.Fatal(br, err)
	}
}

func FuzzCodec(f *testing.F) {
	fill := filler{rand.New(rand.NewPCG(3, 3))}
	for range 20 {
		var ba BatchRequest
		var br BatchResponse
		fill.fill(reflect.ValueOf(&ba).Elem(), 0)
		fill.fill(reflect.ValueOf(&br).Elem(), 0)
		f.Add(AppendBatchRequest(nil, &ba))
		f.Add(AppendBatchResponse(nil, &br))
	}
	f.Add(AppendError(nil, &RetryError{Reason: ReasonPushed}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if ba, err := DecodeBatchRequest(b); err == nil {
			e := AppendBatchRequest(nil, ba)
			again, err := DecodeBatchRequest(e)
			if err != nil || !bytes.Equal(AppendBatchRequest(nil, again), e) {
				t.Fatal("request does not survive")
			}
		}
		if br, err := DecodeBatchResponse(b); err == nil {
			e := AppendBatchResponse(nil, br)
			again, err := DecodeBatchResponse(e)
			if err != nil || !bytes.Equal(AppendBatchResponse(nil, again), e) {
				t.Fatal("response does not survive")
			}
		}
		if err, malformed := DecodeError(b); malformed == nil {
			if _, again := DecodeError(AppendError(nil, err)); again != nil {
				t.Fatal("error does not survive")
			}
			_ = err.Error()
		}
		_, _ = DecodeTxnRecord(b)
		_, _ = DecodeRangeInfo(b)
		_, _ = DecodeLiveness(b)
		_, _ = DecodeNodeLoad(b)
		_, _ = DecodeNodeDescriptor(b)
	})
}

func BenchmarkPointGetRequest(b *testing.B) {
	ba := &BatchRequest{Header: Header{RangeID: 7, Txn: &TxnMeta{Anchor: Key("k")}}, Requests: []Request{{Kind: Get, Key: Key("some/key")}}}
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendBatchRequest(buf[:0], ba)
		if _, err := DecodeBatchRequest(buf); err != nil {
			b.Fatal(err)
		}
	}
}

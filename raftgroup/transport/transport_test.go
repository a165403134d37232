package transport

import (
	"bytes"
	"errors"
	"io"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
)

func header(n ids.NodeID, r ids.ReplicaID) raft.RPCHeader {
	id := []byte(ServerID(n, r))
	return raft.RPCHeader{ProtocolVersion: protocolVersion, ID: id, Addr: id}
}

func TestRequestsRoundTrip(t *testing.T) {
	at := time.Unix(0, time.Now().UnixNano())
	h := header(3, 7)
	for k, want := range map[kind]any{
		kindAppend: &raft.AppendEntriesRequest{
			RPCHeader: h, Term: 5, PrevLogEntry: 10, PrevLogTerm: 4, LeaderCommitIndex: 9,
			Entries: []*raft.Log{
				{Index: 11, Term: 5, Type: raft.LogCommand, Data: []byte("abc"), AppendedAt: at},
				{Index: 12, Term: 5, Type: raft.LogNoop, Data: []byte{}, AppendedAt: at},
			},
		},
		kindHeartbeat:  &raft.AppendEntriesRequest{RPCHeader: h, Term: 6},
		kindVote:       &raft.RequestVoteRequest{RPCHeader: h, Term: 6, LastLogIndex: 3, LastLogTerm: 2, LeadershipTransfer: true},
		kindPreVote:    &raft.RequestPreVoteRequest{RPCHeader: h, Term: 6, LastLogIndex: 3, LastLogTerm: 2},
		kindTimeoutNow: &raft.TimeoutNowRequest{RPCHeader: h},
	} {
		b := appendFrame(nil, &frame{kind: k, rng: 300, from: 7, to: 2, request: 99, body: encodeRequest(nil, want)})
		f, err := decodeFrame(b)
		if err != nil || f.rng != 300 || f.from != 7 || f.to != 2 || f.request != 99 {
			t.Fatalf("frame %+v: %v", f, err)
		}
		got, err := decodeRequest(&f, 3)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("kind %d: got %+v, %v; want %+v", k, got, err, want)
		}
	}
}

func TestAnswersRoundTrip(t *testing.T) {
	h := raft.RPCHeader{ProtocolVersion: protocolVersion}
	for _, want := range []any{
		&raft.AppendEntriesResponse{RPCHeader: h, Term: 9, LastLog: 300, Success: true},
		&raft.AppendEntriesResponse{RPCHeader: h, Term: 9, NoRetryBackoff: true},
		&raft.RequestVoteResponse{RPCHeader: h, Term: 2, Granted: true},
		&raft.RequestPreVoteResponse{RPCHeader: h, Term: 2},
		&raft.TimeoutNowResponse{RPCHeader: h},
	} {
		body, k := encodeAnswer(nil, want)
		got, err := decodeAnswer(&frame{kind: k, body: body})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	for _, want := range refusals {
		if _, err := decodeAnswer(&frame{kind: kindError, body: encodeRefusal(want)}); !errors.Is(err, want) {
			t.Errorf("refusal %v came back as %v", want, err)
		}
	}
	_, err := decodeAnswer(&frame{kind: kindError, body: encodeRefusal(errors.New("odd"))})
	if err == nil || !strings.Contains(err.Error(), "odd") {
		t.Errorf("error came back as %v", err)
	}
}

func TestServerIDs(t *testing.T) {
	if n, r := ParseServerID(string(ServerID(12, 34))); n != 12 || r != 34 {
		t.Fatalf("got %d/%d", n, r)
	}
	for _, bad := range []string{"", "x", "1/", "/1", "1/x"} {
		if n, r := ParseServerID(bad); n != 0 || r != 0 {
			t.Errorf("%q is %d/%d", bad, n, r)
		}
	}
}

func TestChunksCarryEverythingOrFail(t *testing.T) {
	data := make([]byte, 3*chunkBytes+1234)
	rand.New(rand.NewSource(1)).Read(data)
	var buf bytes.Buffer
	w := newChunkWriter(&buf)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 7777)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	whole := buf.Bytes()
	got, err := io.ReadAll(newChunkReader(bytes.NewReader(whole)))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("read %d bytes of %d: %v", len(got), len(data), err)
	}
	// Every way to break off shows, also at the border of a chunk.
	for _, cut := range []int{0, 5, 8 + chunkBytes, len(whole) - 8, len(whole) - 1} {
		if _, err := io.ReadAll(newChunkReader(bytes.NewReader(whole[:cut]))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	broken := bytes.Clone(whole)
	broken[5000] ^= 1
	if _, err := io.ReadAll(newChunkReader(bytes.NewReader(broken))); !errors.Is(err, errMalformed) {
		t.Errorf("a flipped bit gives %v", err)
	}
}

// FuzzFrame feeds arbitrary bytes to everything that decodes what a peer sent.
func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, &frame{kind: kindAppend, rng: 1, from: 1, to: 2, request: 3, body: encodeRequest(nil,
		&raft.AppendEntriesRequest{Term: 1, Entries: []*raft.Log{{Index: 1, Term: 1, Data: []byte("x")}}})}))
	f.Add(appendFrame(nil, &frame{kind: kindAppend | answerBit, body: []byte{1, 2, 3}}))
	f.Add([]byte{byte(kindAppend), 1, 1, 1, 1, 1, 1, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := decodeFrame(b)
		if err != nil {
			return
		}
		if cmd, err := decodeRequest(&fr, 1); err == nil && cmd == nil {
			t.Fatal("no request and no error")
		}
		if resp, err := decodeAnswer(&fr); err == nil && resp == nil {
			t.Fatal("no answer and no error")
		}
		if h, err := decodeHeader(b); err == nil && h.Range == 0 && len(b) == 0 {
			t.Fatal("header from nothing")
		}
		_, _ = decodeSnapshotAnswer(b)
	})
}

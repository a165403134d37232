package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// TokenBytes is the size of what Raft's own InstallSnapshot carries.
const TokenBytes = 8

// Token encodes a snapshot's number.
func Token(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func readToken(r io.Reader) (uint64, error) {
	var b [TokenBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, fmt.Errorf("transport: reading a snapshot token: %w", err)
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// SnapshotHeader says what a snapshot stream holds.
type SnapshotHeader struct {
	Range           ids.RangeID
	From, To        ids.ReplicaID
	Term            uint64 // the leader's
	Index, LastTerm uint64
	ConfigIndex     uint64
	Configuration   []byte
}

func (h *SnapshotHeader) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(h.Range))
	b = binary.AppendUvarint(b, uint64(h.From))
	b = binary.AppendUvarint(b, uint64(h.To))
	for _, v := range []uint64{h.Term, h.Index, h.LastTerm, h.ConfigIndex} {
		b = binary.AppendUvarint(b, v)
	}
	return append(b, h.Configuration...)
}

func decodeHeader(b []byte) (h SnapshotHeader, err error) {
	c := cursor{b: b}
	h.Range = ids.RangeID(c.uvarint())
	h.From, h.To = ids.ReplicaID(c.uvarint()), ids.ReplicaID(c.uvarint())
	h.Term, h.Index, h.LastTerm, h.ConfigIndex = c.uvarint(), c.uvarint(), c.uvarint(), c.uvarint()
	if c.bad {
		return h, errMalformed
	}
	h.Configuration = c.b
	return h, nil
}

// snapshotRetry is how long a sender puts up with a group that is not open yet.
const (
	snapshotRetry   = 5 * time.Second
	snapshotTimeout = 10 * time.Minute
)

func (ep *Endpoint) streamSnapshot(to ids.NodeID, h SnapshotHeader, token uint64) (term uint64, err error) {
	ctx, cancel := context.WithTimeout(ep.stop.Context(), snapshotTimeout)
	defer cancel()
	select {
	case ep.t.sending <- struct{}{}:
		defer func() { <-ep.t.sending }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	pause := 50 * time.Millisecond
	for end := time.Now().Add(snapshotRetry); ; ep.waitPeer(to, pause) {
		pause *= 2
		pr, pw := io.Pipe()
		done := make(chan struct{})
		started := ep.stop.Go("raft snapshot", func(context.Context) {
			defer close(done)
			w := newChunkWriter(pw)
			err := ep.group.SendSnapshot(token, w)
			if err == nil {
				err = w.finish()
			}
			pw.CloseWithError(err) // nil means a clean end
		})
		if !started {
			return 0, ErrClosed
		}
		answer, err := ep.t.peers.Stream(ctx, to, rpc.MethodSnapshot, h.encode(), pr)
		pr.CloseWithError(errTimeout) // ends a writer that nobody reads any more
		<-done
		if err != nil {
			return 0, err
		}
		term, err := decodeSnapshotAnswer(answer)
		if !errors.Is(err, ErrNotReady) || time.Now().After(end) || ctx.Err() != nil {
			return term, err
		}
	}
}

func encodeSnapshotAnswer(term uint64, err error) []byte {
	if err != nil {
		return append([]byte{1}, encodeRefusal(err)...)
	}
	return binary.AppendUvarint([]byte{0}, term)
}

func decodeSnapshotAnswer(b []byte) (uint64, error) {
	if len(b) < 2 {
		return 0, errMalformed
	}
	if b[0] == 1 {
		return 0, decodeRefusal(b[1:])
	}
	c := cursor{b: b[1:]}
	term := c.uvarint()
	if c.bad {
		return 0, errMalformed
	}
	return term, nil
}

// handleSnapshot serves an inbound snapshot. Refusals are answers, so that the
// sender can tell them apart.
func (t *Transport) handleSnapshot(ctx context.Context, from ids.NodeID, header []byte, r io.Reader) ([]byte, error) {
	t.noteHeard(from)
	h, err := decodeHeader(header)
	if err != nil {
		return nil, err
	}
	term, err := t.receiveSnapshot(ctx, from, h, r)
	if err != nil {
		t.log.Info("refused a snapshot", "range", h.Range, "from", from, "err", err)
	}
	return encodeSnapshotAnswer(term, err), nil
}

func (t *Transport) receiveSnapshot(ctx context.Context, from ids.NodeID, h SnapshotHeader, r io.Reader) (uint64, error) {
	ep := t.endpoint(h.Range)
	switch {
	case ep == nil:
		return 0, t.receiveUnknown(from, &frame{kind: kindAppend, rng: h.Range, from: h.From, to: h.To})
	case ep.self != h.To:
		return 0, ErrStale
	}
	select {
	case t.receiving <- struct{}{}:
		defer func() { <-t.receiving }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return ep.group.ReceiveSnapshot(ctx, h, newChunkReader(r))
}

// The contents travel in chunks, each with its length and checksum; an empty one
// ends them, so that a stream that broke off is never taken for a whole.
const chunkBytes = 128 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type chunkWriter struct {
	w   io.Writer
	buf []byte
}

func newChunkWriter(w io.Writer) *chunkWriter {
	return &chunkWriter{w: w, buf: make([]byte, 8, 8+chunkBytes)}
}

func (c *chunkWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		room := cap(c.buf) - len(c.buf)
		if room == 0 {
			if err := c.flush(); err != nil {
				return 0, err
			}
			continue
		}
		take := min(room, len(p))
		c.buf = append(c.buf, p[:take]...)
		p = p[take:]
	}
	return n, nil
}

func (c *chunkWriter) flush() error {
	body := c.buf[8:]
	binary.BigEndian.PutUint32(c.buf, uint32(len(body)))
	binary.BigEndian.PutUint32(c.buf[4:], crc32.Checksum(body, castagnoli))
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:8]
	return err
}

func (c *chunkWriter) finish() error {
	if len(c.buf) > 8 {
		if err := c.flush(); err != nil {
			return err
		}
	}
	return c.flush()
}

type chunkReader struct {
	r    *bufio.Reader
	left []byte
	done bool
}

func newChunkReader(r io.Reader) *chunkReader { return &chunkReader{r: bufio.NewReader(r)} }

func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.left) == 0 {
		if c.done {
			return 0, io.EOF
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *chunkReader) fill() error {
	var head [8]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return io.ErrUnexpectedEOF
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > chunkBytes {
		return errMalformed
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(c.r, body); err != nil {
		return io.ErrUnexpectedEOF
	}
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return fmt.Errorf("%w: snapshot checksum", errMalformed)
	}
	c.left, c.done = body, n == 0
	return nil
}

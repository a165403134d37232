package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A frame is a 14-byte header (length of what follows, kind, method, call id)
// and a payload.
const (
	frameHeader   = 14
	maxFrameBytes = 128 << 20
	// maxHelloBytes bounds what a stranger can make this node allocate.
	maxHelloBytes = 4 << 10
)

type frameKind uint8

const (
	frameHello    frameKind = iota + 1 // first frame in each direction
	frameRequest                       // unary request
	frameAnswer                        // its answer
	frameError                         // its handler's error
	frameMessage                       // one-way
	framePing                          // keeps a silent connection known to be alive
	framePong                          //
	frameStream                        // this connection carries one stream: header
	frameData                          // a piece of the stream
	frameDataEnd                       // the stream is complete
	frameCancel                        // the caller no longer waits
	frameUnserved                      // nobody has looked at the request
)

type frame struct {
	kind    frameKind
	method  Method
	id      uint64
	payload []byte
}

func appendFrame(b []byte, f frame) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(frameHeader-4+len(f.payload)))
	b = append(b, byte(f.kind), byte(f.method))
	b = binary.LittleEndian.AppendUint64(b, f.id)
	return append(b, f.payload...)
}

// errBadFrame reports bytes that no node sends.
var errBadFrame = errors.New("rpc: a frame of an impossible length")

// readFrame reads one frame into a fresh payload slice that the receiver owns.
func readFrame(r io.Reader, maxBytes int) (frame, error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return frame{}, err
	}
	n := int(binary.LittleEndian.Uint32(h[:])) - (frameHeader - 4)
	if n < 0 || n > maxBytes {
		return frame{}, fmt.Errorf("%w: %d bytes", errBadFrame, n)
	}
	f := frame{kind: frameKind(h[4]), method: Method(h[5]), id: binary.LittleEndian.Uint64(h[6:])}
	if n > 0 {
		f.payload = make([]byte, n)
		if _, err := io.ReadFull(r, f.payload); err != nil {
			return frame{}, err
		}
	}
	return f, nil
}

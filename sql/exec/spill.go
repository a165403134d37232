package exec

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"

	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// spillRun is a file of rows, each with a key, in blocks.
type spillRun struct {
	file   *os.File
	w      *bufio.Writer
	r      *bufio.Reader
	buf    []byte
	block  *vec.Batch
	bytes  int64
	number int

	// While reading: the current row and its key.
	batch *vec.Batch
	full  *vec.Batch
	pos   int
	key   []byte
}

const spillBlock = 256

func newSpillRun(dir string, reprs []types.Repr) (*spillRun, error) {
	f, err := os.CreateTemp(dir, "pamir-spill-*")
	if err != nil {
		return nil, types.Errorf(types.CodeDiskFull, "could not create a temporary file: %v", err)
	}
	// The name is not needed: the space is freed when the file is closed,
	// however the process ends.
	_ = os.Remove(f.Name())
	return &spillRun{file: f, w: bufio.NewWriterSize(f, 1<<18), block: newBatch(spillReprs(reprs))}, nil
}

func (s *spillRun) add(key []byte, b *vec.Batch, pos int) error {
	s.block.Cols[0].AppendBytes(key)
	for i, c := range b.Cols {
		s.block.Cols[i+1].AppendFrom(c, pos)
	}
	if s.block.N++; s.block.N == spillBlock {
		return s.flush()
	}
	return nil
}

func (s *spillRun) flush() error {
	if s.block.N == 0 {
		return nil
	}
	s.buf = scan.AppendBatch(s.buf[:0], s.block)
	s.block.Reset()
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(s.buf)))
	s.bytes += int64(len(s.buf)) + 4
	if _, err := s.w.Write(head[:]); err != nil {
		return spillError(err)
	}
	_, err := s.w.Write(s.buf)
	return spillError(err)
}

func spillError(err error) error {
	if err == nil {
		return nil
	}
	return types.Errorf(types.CodeDiskFull, "could not use a temporary file: %v", err)
}

// finish ends writing and prepares reading.
func (s *spillRun) finish() error {
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.w.Flush(); err != nil {
		return spillError(err)
	}
	s.w = nil
	_, err := s.file.Seek(0, io.SeekStart)
	s.r = bufio.NewReaderSize(s.file, 1<<18)
	return spillError(err)
}

// advance moves to the next row.
func (s *spillRun) advance() (bool, error) {
	if s.batch != nil && s.pos+1 < s.batch.N {
		s.pos++
		s.key = s.full.Cols[0].Bytes(s.pos)
		return true, nil
	}
	var head [4]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		if err == io.EOF {
			return false, nil
		}
		return false, spillError(err)
	}
	n := int(binary.BigEndian.Uint32(head[:]))
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	s.buf = s.buf[:n]
	if _, err := io.ReadFull(s.r, s.buf); err != nil {
		return false, spillError(err)
	}
	b, _, err := scan.DecodeBatch(s.buf)
	if err != nil {
		return false, err
	}
	s.full = b
	s.batch = &vec.Batch{Cols: b.Cols[1:], N: b.N}
	s.pos = 0
	s.key = b.Cols[0].Bytes(0)
	return true, nil
}

func (s *spillRun) close() { _ = s.file.Close() }

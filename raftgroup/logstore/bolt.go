package logstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/pamirdb/pamir/pkg/ids"
	bolt "go.etcd.io/bbolt"
)

// Options tunes a directory of logs.
type Options struct {
	// Fatal is called with a write error and must not return to normal work. The
	// default panics.
	Fatal func(error)
}

// boltDir keeps one raft-boltdb file per group.
type boltDir struct {
	path string
	opts Options
}

// OpenDir opens or creates a directory of log files.
func OpenDir(path string, opts Options) (Dir, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("logstore: %w", err)
	}
	if opts.Fatal == nil {
		opts.Fatal = func(err error) { panic(err) }
	}
	return &boltDir{path: path, opts: opts}, nil
}

func (d *boltDir) file(r ids.RangeID) string { return filepath.Join(d.path, r.String()+".log") }

// logMap is the address space of one log file; a file that outgrows it is mapped
// again, which waits for readers.
const logMap = 8 << 30

// Open implements Dir.
func (d *boltDir) Open(r ids.RangeID) (Store, error) {
	path := d.file(r)
	_, statErr := os.Stat(path)
	b, err := raftboltdb.New(raftboltdb.Options{
		Path:                    path,
		MsgpackUseNewTimeFormat: true,
		BoltOptions: &bolt.Options{
			Timeout:         time.Nanosecond,
			NoFreelistSync:  true,
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: logMap,
			NoStatistics:    true,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("logstore: opening the log of %s: %w", r, err)
	}
	if errors.Is(statErr, os.ErrNotExist) {
		if err := syncDir(d.path); err != nil {
			_ = b.Close()
			return nil, err
		}
	}
	s, err := newStore(&boltBackend{b}, func(err error) {
		d.opts.Fatal(fmt.Errorf("logstore: writing the log of %s: %w", r, err))
	})
	if err != nil {
		_ = b.Close()
		return nil, fmt.Errorf("logstore: reading the log of %s: %w", r, err)
	}
	return s, nil
}

// Remove implements Dir.
func (d *boltDir) Remove(r ids.RangeID) error {
	if err := os.Remove(d.file(r)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("logstore: %w", err)
	}
	return syncDir(d.path)
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("logstore: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("logstore: %w", err)
	}
	return nil
}

type boltBackend struct{ s *raftboltdb.BoltStore }

func (b *boltBackend) bounds() (first, last uint64, err error) {
	if first, err = b.s.FirstIndex(); err != nil {
		return 0, 0, err
	}
	last, err = b.s.LastIndex()
	return first, last, err
}

func (b *boltBackend) get(index uint64, l *raft.Log) error { return b.s.GetLog(index, l) }

func (b *boltBackend) append(logs []*raft.Log) error { return b.s.StoreLogs(logs) }

func (b *boltBackend) deleteRange(first, last uint64) error { return b.s.DeleteRange(first, last) }

func (b *boltBackend) set(key string, value []byte) error { return b.s.Set([]byte(key), value) }

func (b *boltBackend) value(key string) ([]byte, error) {
	v, err := b.s.Get([]byte(key))
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil, ErrNotFound
	}
	return v, err
}

func (b *boltBackend) close() error { return b.s.Close() }

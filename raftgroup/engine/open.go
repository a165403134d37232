package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pamirdb/pamir/pkg/stop"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Errors of opening.
var (
	// ErrLocked reports a directory that another process uses.
	ErrLocked = errors.New("engine: the store directory is in use by another process")
	// ErrNewerVersion reports a file that a later release wrote.
	ErrNewerVersion = errors.New("engine: the store was written by a newer version")
	// ErrOlderVersion reports a file of a format that was never released.
	ErrOlderVersion = errors.New("engine: the store was written by an older, unreleased version; load its data anew")
	// ErrClosed reports a wait that the engine's end cut short.
	ErrClosed = errors.New("engine: closed")
)

// FormatVersion is the version of the file that this code reads and writes.
// It covers the Raft logs beside the file too: version 2 keeps all groups' in one,
// version 3 has a journal before them.
const FormatVersion = 3

// FileName is the state file's name in a store directory.
const FileName = "state.db"

var (
	dataBucket = []byte("data")
	metaBucket = []byte("meta")
	formatKey  = []byte("format")
)

// Options tunes an engine; zero values mean defaults.
type Options struct {
	// A flush starts when the active tree passes FlushBytes or FlushKeys, or
	// FlushInterval after the last one if there is anything to write.
	FlushBytes, FlushKeys int64
	FlushInterval         time.Duration
	// WaitRoom waits while the active tree is past MaxBytes or MaxKeys.
	MaxBytes, MaxKeys int64
	// Fatal is called with a write error of the file, and must not return to
	// normal work. The default panics.
	Fatal func(error)
}

func (o Options) withDefaults() Options {
	setDefault(&o.FlushBytes, 32<<20)
	setDefault(&o.FlushKeys, 200_000)
	setDefault(&o.MaxBytes, 96<<20)
	setDefault(&o.MaxKeys, 600_000)
	if o.FlushInterval == 0 {
		o.FlushInterval = 10 * time.Second
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(err) }
	}
	return o
}

func setDefault(v *int64, d int64) {
	if *v == 0 {
		*v = d
	}
}

// hugeMap is reserved as address space so that a growing file is never mapped
// again: that would wait for every reader, and new readers behind it.
const (
	hugeMap  = 1 << 40
	smallMap = 1 << 30
)

// Open opens or creates the engine in dir.
func Open(dir string, opts Options) (Engine, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	db, err := openFile(filepath.Join(dir, FileName))
	if err != nil {
		return nil, err
	}
	if err := syncDir(dir); err != nil {
		_ = db.Close()
		return nil, err
	}
	s := &store{
		opts: opts.withDefaults(),
		db:   db,
		stop: stop.New(context.Background()),
		wake: make(chan struct{}, 1),
	}
	if s.pic.base, err = newBase(db, &s.bases); err != nil {
		_ = db.Close()
		return nil, err
	}
	s.pic.active = newLayer(false)
	s.noteFileSize()
	s.stop.Go("engine flusher", s.flushLoop)
	return s, nil
}

func openFile(path string) (*bolt.DB, error) {
	open := func(mapBytes int) (*bolt.DB, error) {
		return bolt.Open(path, 0o640, &bolt.Options{
			Timeout:         time.Nanosecond, // fail at once instead of waiting for the lock
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: mapBytes,
			NoStatistics:    true,
		})
	}
	db, err := open(hugeMap)
	if err != nil && !errors.Is(err, berrors.ErrTimeout) {
		db, err = open(smallMap)
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("engine: opening %s: %w", path, err)
	}
	if err := prepareFile(db); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// prepareFile checks the format version, and writes it into a new file.
func prepareFile(db *bolt.DB) error {
	found := uint64(0)
	err := db.View(func(tx *bolt.Tx) error {
		if b := tx.Bucket(metaBucket); b != nil {
			if v := b.Get(formatKey); len(v) == 8 {
				found = binary.BigEndian.Uint64(v)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	switch {
	case found > FormatVersion:
		return fmt.Errorf("%w: format %d, this program knows %d", ErrNewerVersion, found, FormatVersion)
	case found == FormatVersion:
		return nil
	case found != 0:
		return fmt.Errorf("%w: format %d, this program needs %d", ErrOlderVersion, found, FormatVersion)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucketIfNotExists(dataBucket); err != nil {
			return err
		}
		return b.Put(formatKey, binary.BigEndian.AppendUint64(nil, FormatVersion))
	})
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return nil
}

// syncDir makes a new file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("engine: syncing %s: %w", dir, err)
	}
	return nil
}

package ids

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
)

// NodeID names a node of the cluster; 0 means "not yet known". Node ids are
// allocated once by the cluster and never reused.
type NodeID int32

// RangeID names a range; ids come from one allocator and are never reused.
type RangeID int64

// ReplicaID names one replica of a range; it is unique within the range and
// never reused, so a late message to a removed replica can be told apart.
type ReplicaID int32

// TxnID names a transaction: 128 random bits.
type TxnID [16]byte

func (n NodeID) String() string    { return "n" + strconv.Itoa(int(n)) }
func (r RangeID) String() string   { return "r" + strconv.FormatInt(int64(r), 10) }
func (r ReplicaID) String() string { return strconv.Itoa(int(r)) }

// NewTxnID returns a fresh random transaction id.
func NewTxnID() TxnID {
	var t TxnID
	if _, err := rand.Read(t[:]); err != nil {
		panic(fmt.Sprintf("reading random bytes: %v", err))
	}
	return t
}

// IsZero reports whether t is the absent id.
func (t TxnID) IsZero() bool { return t == TxnID{} }

// Short returns the first eight hex digits, for logs and tables.
func (t TxnID) Short() string { return hex.EncodeToString(t[:4]) }

func (t TxnID) String() string { return hex.EncodeToString(t[:]) }

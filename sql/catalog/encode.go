package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The first byte of a stored descriptor is the version of the encoding, the
// second its kind; a JSON image follows. JSON keeps unknown fields harmless
// when nodes of adjacent versions share a catalog, and descriptors are decoded
// once per generation, never on a statement's path.
const encodingVersion = 1

// ErrNewerEncoding reports a descriptor written by a newer program.
var ErrNewerEncoding = errors.New("catalog: descriptor of a newer version")

// Encode returns the stored form of d.
func Encode(d Descriptor) ([]byte, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encoding %s %d: %w", d.Kind(), d.Head().ID, err)
	}
	return append([]byte{encodingVersion, byte(d.Kind())}, b...), nil
}

// Decode reads what Encode wrote.
func Decode(b []byte) (Descriptor, error) {
	if len(b) < 2 {
		return nil, errors.New("catalog: truncated descriptor")
	}
	if b[0] > encodingVersion {
		return nil, ErrNewerEncoding
	}
	d, err := newDescriptor(Kind(b[1]))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b[2:], d); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", d.Kind(), err)
	}
	return d, nil
}

func newDescriptor(k Kind) (Descriptor, error) {
	switch k {
	case KindDatabase:
		return new(Database), nil
	case KindSchema:
		return new(Schema), nil
	case KindTable:
		return new(Table), nil
	case KindView:
		return new(View), nil
	case KindSequence:
		return new(Sequence), nil
	case KindType:
		return new(Type), nil
	case KindRole:
		return new(Role), nil
	}
	return nil, fmt.Errorf("catalog: descriptor of unknown kind %d", k)
}

// Clone returns a copy of d that shares nothing mutable with it.
func Clone[D Descriptor](d D) (D, error) {
	var none D
	b, err := Encode(d)
	if err != nil {
		return none, err
	}
	c, err := Decode(b)
	if err != nil {
		return none, err
	}
	return c.(D), nil
}

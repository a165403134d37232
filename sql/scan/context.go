package scan

import (
	"encoding/binary"

	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/types"
)

// AppendProgram joins the fixed part of a program with what differs by
// execution: the values of its parameters and the settings that stable
// functions look at.
func AppendProgram(b, fixed []byte, c *builtin.Ctx) []byte {
	b = binary.AppendUvarint(b, uint64(len(fixed)))
	b = append(b, fixed...)
	s := c.Set()
	for _, v := range []uint64{uint64(s.DateStyle), uint64(s.DateOrder), uint64(s.IntervalStyle), boolBit(s.ByteaEscape)} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendVarint(b, int64(s.ExtraFloatDigits))
	b = binary.AppendVarint(b, s.Now)
	b = binary.AppendVarint(b, c.TxnTime)
	b = binary.AppendVarint(b, c.StmtTime)
	for _, x := range []string{s.TimeZoneName, c.User, c.SessionUser, c.Database, c.Schema} {
		b = binary.AppendUvarint(b, uint64(len(x)))
		b = append(b, x...)
	}
	for _, ds := range [][]types.Datum{c.Params, c.Literals, c.ExecParams} {
		b = binary.AppendUvarint(b, uint64(len(ds)))
		for _, d := range ds {
			b = types.AppendDatum(b, d)
		}
	}
	return b
}

func boolBit(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// splitProgram takes a program apart. The rest is its key filters.
func splitProgram(b []byte) (fixed []byte, ctx *builtin.Ctx, rest []byte, ok bool) {
	r := &reader{b: b}
	n := r.count()
	if r.bad {
		return nil, nil, nil, false
	}
	fixed, r.b = r.b[:n], r.b[n:]
	s := &types.Settings{}
	s.DateStyle = types.DateStyle(r.uint())
	s.DateOrder = types.DateOrder(r.uint())
	s.IntervalStyle = types.IntervalStyle(r.uint())
	s.ByteaEscape = r.uint() == 1
	s.ExtraFloatDigits = int(r.int())
	s.Now = r.int()
	c := &builtin.Ctx{Settings: s, TxnTime: r.int(), StmtTime: r.int()}
	for _, dst := range []*string{&s.TimeZoneName, &c.User, &c.SessionUser, &c.Database, &c.Schema} {
		n := r.count()
		if r.bad {
			return nil, nil, nil, false
		}
		*dst = string(r.b[:n])
		r.b = r.b[n:]
	}
	for _, dst := range []*[]types.Datum{&c.Params, &c.Literals, &c.ExecParams} {
		*dst = make([]types.Datum, r.count())
		for i := range *dst {
			(*dst)[i] = r.datum()
		}
	}
	if s.TimeZoneName != "" && s.TimeZoneName != "UTC" {
		if loc, _, err := types.LoadZoneSetting(s.TimeZoneName); err == nil {
			s.Location = loc
		}
	}
	return fixed, c, r.b, !r.bad
}

package pgwire

import (
	"context"

	"github.com/pamirdb/pamir/sql/session"
	"github.com/pamirdb/pamir/sql/types"
)

// bindBuffers are reused from Bind to Bind.
type bindBuffers struct {
	params  []session.Param
	formats []int16
	types   []types.OID
}

// extended answers Parse, Bind, Describe, Execute and Close.
func (c *conn) extended(ctx context.Context, kind byte, msg []byte) error {
	m := body{b: msg}
	switch kind {
	case 'P':
		return c.parse(ctx, &m)
	case 'B':
		return c.bindPortal(ctx, &m)
	case 'D':
		return c.describe(ctx, &m)
	case 'E':
		return c.execute(ctx, &m)
	}
	return c.closeNamed(&m)
}

func (c *conn) parse(ctx context.Context, m *body) error {
	name, sql := m.text(), m.text()
	n := m.count(4)
	oids := c.bind.types[:0]
	for range n {
		oids = append(oids, types.OID(uint32(m.int32())))
	}
	c.bind.types = oids
	if err := m.done('P'); err != nil {
		return err
	}
	if err := c.sess.Prepare(ctx, name, sql, oids); err != nil {
		return err
	}
	c.w.empty('1')
	return nil
}

func (c *conn) bindPortal(ctx context.Context, m *body) error {
	portal, statement := m.text(), m.text()
	b := &c.bind
	b.formats = readFormats(m, b.formats[:0])
	paramFormats := len(b.formats)
	n := m.count(4)
	if paramFormats > 1 && paramFormats != n && !m.bad {
		return types.Errorf(types.CodeProtocolViolation, "bind message has %d parameter formats but %d parameters", paramFormats, n)
	}
	b.params = b.params[:0]
	for i := range n {
		p := session.Param{Binary: formatOf(b.formats, i) == 1}
		if size := m.int32(); size >= 0 {
			p.Value = m.bytes(size)
		} else if size != -1 {
			m.bad = true
		}
		b.params = append(b.params, p)
	}
	// The result formats belong to the portal: a session keeps them.
	var results []int16
	if !m.bad {
		results = readFormats(m, nil)
	}
	if err := m.done('B'); err != nil {
		return err
	}
	if err := checkFormats(b.formats); err != nil {
		return err
	}
	if err := checkFormats(results); err != nil {
		return err
	}
	if err := c.sess.Bind(ctx, portal, statement, b.params, results); err != nil {
		return err
	}
	c.w.empty('2')
	return nil
}

func checkFormats(formats []int16) error {
	for _, f := range formats {
		if f != 0 && f != 1 {
			return types.Errorf(types.CodeInvalidParameterValue, "unsupported format code: %d", f)
		}
	}
	return nil
}

func readFormats(m *body, out []int16) []int16 {
	for range m.count(2) {
		out = append(out, int16(m.int16()))
	}
	return out
}

func (c *conn) describe(ctx context.Context, m *body) error {
	what, name := m.byte(), m.text()
	if err := m.done('D'); err != nil {
		return err
	}
	switch what {
	case 'S':
		params, cols, err := c.sess.DescribeStatement(ctx, name)
		if err != nil {
			return err
		}
		c.w.parameterDescription(params)
		if cols == nil {
			c.w.empty('n')
			return nil
		}
		c.w.rowDescription(cols, nil)
	case 'P':
		cols, formats, err := c.sess.DescribePortal(ctx, name)
		if err != nil {
			return err
		}
		if cols == nil {
			c.w.empty('n')
			return nil
		}
		c.w.rowDescription(cols, formats)
	default:
		return types.Errorf(types.CodeProtocolViolation, "invalid DESCRIBE message subtype %d", what)
	}
	return nil
}

func (c *conn) execute(ctx context.Context, m *body) error {
	portal, maxRows := m.text(), m.int32()
	if err := m.done('E'); err != nil {
		return err
	}
	c.res.extended = true
	c.w.begin()
	return c.sess.Execute(ctx, portal, max(maxRows, 0), &c.res)
}

func (c *conn) closeNamed(m *body) error {
	what, name := m.byte(), m.text()
	if err := m.done('C'); err != nil {
		return err
	}
	switch what {
	case 'S':
		c.sess.CloseStatement(name)
	case 'P':
		c.sess.ClosePortal(name)
	default:
		return types.Errorf(types.CodeProtocolViolation, "invalid CLOSE message subtype %d", what)
	}
	c.w.empty('3')
	return nil
}

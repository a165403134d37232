package pgwire

import (
	"context"

	"github.com/pamirdb/pamir/sql/session"
	"github.com/pamirdb/pamir/sql/types"
)

// bindBuffers are reused from Bind to Bind.
type bindBuffers struct {
	params []session.Param
	types  []types.OID
}

// extended answers Parse, Bind, Describe, Execute and Close.
func (c *conn) extended(ctx context.Context, kind byte, msg []byte) error {
	switch kind {
	case 'P':
		return c.parse(ctx, msg)
	case 'B':
		return c.bindPortal(ctx, msg)
	case 'D':
		return c.describe(ctx, msg)
	case 'E':
		return c.execute(ctx, msg)
	}
	return c.closeNamed(msg)
}

func (c *conn) parse(ctx context.Context, msg []byte) error {
	m := &c.in.parse
	if err := decode(m, msg); err != nil {
		return err
	}
	oids := c.bind.types[:0]
	for _, o := range m.ParameterOIDs {
		oids = append(oids, types.OID(o))
	}
	c.bind.types = oids
	name, sql := m.Name, m.Query
	m.Query = "" // the session decides how long it lives
	if err := c.sess.Prepare(ctx, name, sql, oids); err != nil {
		return err
	}
	c.w.send(parseComplete)
	return nil
}

func (c *conn) bindPortal(ctx context.Context, msg []byte) error {
	m, b := &c.in.bind, &c.bind
	if err := decode(m, msg); err != nil {
		return err
	}
	if n := len(m.ParameterFormatCodes); n > 1 && n != len(m.Parameters) {
		return types.Errorf(types.CodeProtocolViolation, "bind message has %d parameter formats but %d parameters", n, len(m.Parameters))
	}
	b.params = b.params[:0]
	for i, v := range m.Parameters {
		b.params = append(b.params, session.Param{Value: v, Format: formatOf(m.ParameterFormatCodes, i)})
	}
	// The result formats belong to the portal: a session copies them.
	err := c.sess.Bind(ctx, m.DestinationPortal, m.PreparedStatement, b.params, m.ResultFormatCodes)
	// The values lie in the buffer of the connection, which must be free to go.
	m.Parameters = nil
	clear(b.params)
	if err != nil {
		return err
	}
	c.w.send(bindComplete)
	return nil
}

func (c *conn) describe(ctx context.Context, msg []byte) error {
	m := &c.in.describe
	if err := decode(m, msg); err != nil {
		return err
	}
	switch m.ObjectType {
	case 'S':
		params, cols, err := c.sess.DescribeStatement(ctx, m.Name)
		if err != nil {
			return err
		}
		c.w.parameterDescription(params)
		if cols == nil {
			c.w.send(noData)
			return nil
		}
		c.w.rowDescription(cols, nil)
	case 'P':
		cols, formats, err := c.sess.DescribePortal(ctx, m.Name)
		if err != nil {
			return err
		}
		if cols == nil {
			c.w.send(noData)
			return nil
		}
		c.w.rowDescription(cols, formats)
	default:
		return types.Errorf(types.CodeProtocolViolation, "invalid DESCRIBE message subtype %d", m.ObjectType)
	}
	return nil
}

func (c *conn) execute(ctx context.Context, msg []byte) error {
	m := &c.in.execute
	if err := decode(m, msg); err != nil {
		return err
	}
	c.res.extended = true
	c.w.begin()
	return c.sess.Execute(ctx, m.Portal, max(int(int32(m.MaxRows)), 0), &c.res)
}

func (c *conn) closeNamed(msg []byte) error {
	m := &c.in.close
	if err := decode(m, msg); err != nil {
		return err
	}
	switch m.ObjectType {
	case 'S':
		c.sess.CloseStatement(m.Name)
	case 'P':
		c.sess.ClosePortal(m.Name)
	default:
		return types.Errorf(types.CodeProtocolViolation, "invalid CLOSE message subtype %d", m.ObjectType)
	}
	c.w.send(closeComplete)
	return nil
}

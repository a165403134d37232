package pgwire_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pamirdb/pamir/pkg/server"
)

// target is the server that protocol tests talk to: a node of ours, or the
// PostgreSQL server at $PAMIR_PG (host:port), from which, with -rewrite, the
// golden files come.
type target struct{ addr, user, database string }

func startNode(t testing.TB) target {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	s, err := server.Start(ctx, server.Config{SingleNode: true, Insecure: true, Replicas: 1, SQLAddr: "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := s.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return target{s.SQLAddr(), "root", "defaultdb"}
}

// TestProtocol sends messages to a node and compares what comes back, message by
// message, with what PostgreSQL 15 answered. A file has commands:
//
//	connect [c=N] [user=U] [database=D]  a connection; lines of name=value go into the startup message
//	run [c=N] [until=LETTER] [n=K]       sends messages and prints the answers until each Query, Sync
//	                                     and FunctionCall was answered, or until K messages of a type
//	bytes [c=N]                          sends bytes before any startup message and prints the answer
//
// Messages are lines; - stands for an empty name:
//
//	Query SQL | Parse NAME [OID,...] SQL | Bind PORTAL STATEMENT [t:TEXT|b:HEX|null|f=F,F|r=F,F]...
//	Describe S|P NAME | Execute PORTAL [N] | Close S|P NAME | Sync | Flush | Terminate
//	CopyData TEXT | CopyDone | CopyFail TEXT
//	raw TYPE HEX (a body; the length goes between) | wild HEX (whole bytes)
func TestProtocol(t *testing.T) {
	to := target{os.Getenv("PAMIR_PG"), "postgres", "pgw"}
	if to.addr == "" {
		to = startNode(t)
	}
	datadriven.Walk(t, "../../testdata/pgwire/protocol", func(t *testing.T, path string) {
		p := &protocolTest{to: to, conns: map[int]*client{}}
		defer p.close()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			p.t = t
			out, err := p.command(d)
			if err != nil {
				t.Fatalf("%s: %v", d.Pos, err)
			}
			return out
		})
	})
}

type protocolTest struct {
	t     *testing.T
	to    target
	conns map[int]*client
}

type client struct {
	net   net.Conn
	front *pgproto3.Frontend
}

func (p *protocolTest) close() {
	for _, c := range p.conns {
		_ = c.net.Close() // closed by the server, perhaps
	}
}

func (p *protocolTest) command(d *datadriven.TestData) (string, error) {
	n, until, count := 1, "", 1
	d.MaybeScanArgs(p.t, "c", &n)
	d.MaybeScanArgs(p.t, "until", &until)
	d.MaybeScanArgs(p.t, "n", &count)
	switch d.Cmd {
	case "connect":
		return p.connect(d, n)
	case "bytes":
		return p.bytes(d)
	case "run":
		c := p.conns[n]
		if c == nil {
			return "", fmt.Errorf("no connection %d", n)
		}
		var out []byte
		want := 0
		for _, line := range strings.Split(d.Input, "\n") {
			b, ends, err := encodeLine(out, line)
			if err != nil {
				return "", fmt.Errorf("%s: %w", line, err)
			}
			if out = b; ends {
				want++
			}
		}
		if until == "" {
			until, count = "Z", want
		}
		if _, err := c.net.Write(out); err != nil {
			return "write failed\n", nil
		}
		return c.receive(until, count), nil
	}
	return "", fmt.Errorf("unknown command %s", d.Cmd)
}

func (p *protocolTest) dial() (*client, error) {
	conn, err := net.Dial("tcp", p.to.addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	return &client{conn, pgproto3.NewFrontend(conn, conn)}, nil
}

func (p *protocolTest) connect(d *datadriven.TestData, n int) (string, error) {
	if old := p.conns[n]; old != nil {
		_ = old.net.Close() // closed by the server, perhaps
	}
	c, err := p.dial()
	if err != nil {
		return "", err
	}
	p.conns[n] = c
	m := startup(map[string]string{"user": p.to.user, "database": p.to.database})
	version := uint32(pgproto3.ProtocolVersion30)
	d.MaybeScanArgs(p.t, "version", &version)
	for _, name := range []string{"user", "database"} {
		var v string
		if d.MaybeScanArgs(p.t, name, &v) {
			m.Parameters[name] = v
		}
	}
	for _, line := range strings.Split(d.Input, "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			m.Parameters[name] = value
		}
	}
	m.ProtocolVersion = version
	b, err := m.Encode(nil)
	if err != nil {
		return "", err
	}
	if _, err := c.net.Write(b); err != nil {
		return "", err
	}
	out := c.receive("Z", 1)
	if d.HasArg("status") {
		return out, nil
	}
	// Which settings there are, and their values, is of no concern here.
	lines := slices.DeleteFunc(strings.SplitAfter(out, "\n"), func(l string) bool { return strings.HasPrefix(l, "ParameterStatus") })
	return strings.Join(lines, ""), nil
}

func startup(parameters map[string]string) *pgproto3.StartupMessage {
	return &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: parameters}
}

// bytes sends what is no message and prints what comes back until the server
// closes the connection or has answered one byte.
func (p *protocolTest) bytes(d *datadriven.TestData) (string, error) {
	c, err := p.dial()
	if err != nil {
		return "", err
	}
	defer func() { _ = c.net.Close() }() // closed by the server, perhaps
	b, err := hex.DecodeString(strings.Join(strings.Fields(d.Input), ""))
	if err != nil {
		return "", err
	}
	if _, err := c.net.Write(b); err != nil {
		return "", err
	}
	if d.HasArg("byte") {
		one := make([]byte, 1)
		if _, err := io.ReadFull(c.net, one); err != nil {
			return "closed\n", nil
		}
		return fmt.Sprintf("%q\n", one[0]), nil
	}
	return c.receive("Z", 1), nil
}

func (c *client) receive(until string, n int) string {
	var b strings.Builder
	for n > 0 {
		m, err := c.front.Receive()
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.As(err, new(*net.OpError)) && !errors.Is(err, os.ErrDeadlineExceeded):
			return b.String() + "closed\n"
		case err != nil:
			return b.String() + err.Error() + "\n"
		}
		b.WriteString(show(m))
		b.WriteByte('\n')
		if letter(m) == until[0] {
			n--
		}
	}
	return b.String()
}

func letter(m pgproto3.BackendMessage) byte {
	b, err := m.Encode(nil)
	if err != nil || len(b) == 0 {
		return 0
	}
	return b[0]
}

// show prints a message without what differs from server to server.
func show(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.RowDescription:
		var b strings.Builder
		b.WriteString("RowDescription")
		for _, f := range m.Fields {
			table := ""
			if f.TableOID != 0 {
				table = fmt.Sprintf(" of table, %d", f.TableAttributeNumber)
			}
			fmt.Fprintf(&b, " (%s %d len %d mod %d format %d%s)", f.Name, f.DataTypeOID, f.DataTypeSize, f.TypeModifier, f.Format, table)
		}
		return b.String()
	case *pgproto3.DataRow:
		return "DataRow " + values(m.Values)
	case *pgproto3.CommandComplete:
		return "CommandComplete " + string(m.CommandTag)
	case *pgproto3.ReadyForQuery:
		return "ReadyForQuery " + string(m.TxStatus)
	case *pgproto3.ErrorResponse:
		return "Error " + problem(m)
	case *pgproto3.NoticeResponse:
		return "Notice " + problem((*pgproto3.ErrorResponse)(m))
	case *pgproto3.ParameterStatus:
		return "ParameterStatus " + m.Name + " = " + m.Value
	case *pgproto3.ParameterDescription:
		return fmt.Sprintf("ParameterDescription %v", m.ParameterOIDs)
	case *pgproto3.CopyData:
		return fmt.Sprintf("CopyData %q", m.Data)
	case *pgproto3.BackendKeyData:
		return "BackendKeyData"
	case *pgproto3.CopyInResponse:
		return fmt.Sprintf("CopyInResponse %d %v", m.OverallFormat, m.ColumnFormatCodes)
	case *pgproto3.CopyOutResponse:
		return fmt.Sprintf("CopyOutResponse %d %v", m.OverallFormat, m.ColumnFormatCodes)
	case *pgproto3.NegotiateProtocolVersion:
		return fmt.Sprintf("NegotiateProtocolVersion %d %q", m.NewestMinorProtocol, m.UnrecognizedOptions)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
}

func problem(e *pgproto3.ErrorResponse) string {
	out := e.Severity + " " + e.Code + " " + e.Message
	for _, f := range []struct{ name, value string }{{"detail", e.Detail}, {"hint", e.Hint}, {"where", e.Where}, {"table", e.TableName},
		{"column", e.ColumnName}, {"constraint", e.ConstraintName}} {
		if f.value != "" {
			out += "; " + f.name + ": " + f.value
		}
	}
	if e.Position > 0 {
		out += "; position: " + strconv.Itoa(int(e.Position))
	}
	return out
}

func values(vs [][]byte) string {
	out := make([]string, len(vs))
	for i, v := range vs {
		switch {
		case v == nil:
			out[i] = "NULL"
		case slices.ContainsFunc(v, func(c byte) bool { return c < ' ' || c > '~' }):
			out[i] = "x" + hex.EncodeToString(v)
		default:
			out[i] = "'" + string(v) + "'"
		}
	}
	return strings.Join(out, " ")
}

// encodeLine appends one message; ends says that ReadyForQuery answers it.
func encodeLine(out []byte, line string) (b []byte, ends bool, err error) {
	kind, rest, _ := strings.Cut(line, " ")
	word := func() string {
		w, r, _ := strings.Cut(rest, " ")
		rest = r
		if w == "-" {
			return ""
		}
		return w
	}
	var m pgproto3.FrontendMessage
	switch kind {
	case "Query":
		m, ends = &pgproto3.Query{String: rest}, true
	case "Parse":
		p := &pgproto3.Parse{Name: word()}
		for _, o := range strings.Split(strings.Trim(word(), "[]"), ",") {
			if n, err := strconv.Atoi(o); err == nil {
				p.ParameterOIDs = append(p.ParameterOIDs, uint32(n))
			}
		}
		p.Query = rest
		m = p
	case "Bind":
		m, err = bindLine(word(), word(), strings.Fields(rest))
	case "Describe":
		m = &pgproto3.Describe{ObjectType: word()[0], Name: word()}
	case "Close":
		m = &pgproto3.Close{ObjectType: word()[0], Name: word()}
	case "Execute":
		e := &pgproto3.Execute{Portal: word()}
		if n, err := strconv.ParseUint(rest, 10, 32); err == nil {
			e.MaxRows = uint32(n)
		}
		m = e
	case "Sync":
		m, ends = &pgproto3.Sync{}, true
	case "Flush":
		m = &pgproto3.Flush{}
	case "Terminate":
		m = &pgproto3.Terminate{}
	case "CopyData":
		text, err := strconv.Unquote(`"` + rest + `"`)
		if err != nil {
			return nil, false, err
		}
		m = &pgproto3.CopyData{Data: []byte(text)}
	case "CopyDone":
		m = &pgproto3.CopyDone{}
	case "CopyFail":
		m = &pgproto3.CopyFail{Message: rest}
	case "raw":
		body, err := hex.DecodeString(strings.Join(strings.Fields(rest)[1:], ""))
		out = binary.BigEndian.AppendUint32(append(out, rest[0]), uint32(len(body)+4))
		return append(out, body...), strings.IndexByte("QSF", rest[0]) >= 0, err
	case "wild":
		body, err := hex.DecodeString(strings.Join(strings.Fields(rest), ""))
		return append(out, body...), false, err
	default:
		return nil, false, fmt.Errorf("unknown message")
	}
	if err != nil {
		return nil, false, err
	}
	b, err = m.Encode(out)
	return b, ends, err
}

func bindLine(portal, statement string, words []string) (*pgproto3.Bind, error) {
	m := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
	var own []int16
	explicit := false
	for _, w := range words {
		switch what, v, _ := strings.Cut(w, "="); {
		case w == "null":
			m.Parameters, own = append(m.Parameters, nil), append(own, 0)
		case strings.HasPrefix(w, "t:"):
			m.Parameters, own = append(m.Parameters, []byte(strings.ReplaceAll(w[2:], "_", " "))), append(own, 0)
		case strings.HasPrefix(w, "b:"):
			b, err := hex.DecodeString(w[2:])
			if err != nil {
				return nil, err
			}
			m.Parameters, own = append(m.Parameters, b), append(own, 1)
		case what == "f" || what == "r":
			var codes []int16
			for _, c := range strings.Split(v, ",") {
				n, err := strconv.Atoi(c)
				if err != nil {
					return nil, err
				}
				codes = append(codes, int16(n))
			}
			if what == "r" {
				m.ResultFormatCodes = codes
			} else {
				m.ParameterFormatCodes, explicit = codes, true
			}
		default:
			return nil, fmt.Errorf("%s?", w)
		}
	}
	if !explicit {
		m.ParameterFormatCodes = own
	}
	return m, nil
}

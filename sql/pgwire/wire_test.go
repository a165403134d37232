package pgwire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TestWire runs the golden files. A file is one connection; its commands:
//
//	start             the startup message, lines of name=value
//	send              messages, one a line, in JSON
//	raw               bytes in hexadecimal
//	byte              reads one byte
//	receive           messages until ReadyForQuery; (until=Type) until that one
func TestWire(t *testing.T) {
	datadriven.Walk(t, "../../testdata/pgwire/fake", func(t *testing.T, path string) {
		s, _ := testServer(t, Config{Insecure: true, MaxMessageBytes: 1 << 20})
		client, srv := net.Pipe()
		defer func() {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
		}()
		if err := s.ServeConn(srv); err != nil {
			t.Fatal(err)
		}
		if err := client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		w := &wireTest{conn: client, front: pgproto3.NewFrontend(client, client)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return w.command(t, d) })
	})
}

type wireTest struct {
	conn  net.Conn
	front *pgproto3.Frontend
}

func (w *wireTest) command(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "start":
		m := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{}}
		if d.HasArg("version") {
			var v uint32
			d.ScanArgs(t, "version", &v)
			m.ProtocolVersion = v
		}
		for _, line := range strings.Fields(d.Input) {
			name, value, _ := strings.Cut(line, "=")
			m.Parameters[name] = value
		}
		b, err := m.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.write(b)
	case "raw":
		var b []byte
		if _, err := fmt.Sscanf(strings.Join(strings.Fields(d.Input), ""), "%x", &b); err != nil {
			t.Fatal(err)
		}
		return w.write(b)
	case "send":
		var b []byte
		for _, line := range strings.Split(d.Input, "\n") {
			m, err := frontendMessage(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if b, err = m.Encode(b); err != nil {
				t.Fatal(err)
			}
		}
		return w.write(b)
	case "byte":
		b := make([]byte, 1)
		if _, err := io.ReadFull(w.conn, b); err != nil {
			return err.Error() + "\n"
		}
		return fmt.Sprintf("%q\n", b[0])
	case "receive":
		until := "ReadyForQuery"
		d.MaybeScanArgs(t, "until", &until)
		return w.receive(until)
	}
	t.Fatalf("unknown command %s", d.Cmd)
	return ""
}

func (w *wireTest) write(b []byte) string {
	if _, err := w.conn.Write(b); err != nil {
		return "write: " + err.Error() + "\n"
	}
	return ""
}

func (w *wireTest) receive(until string) string {
	var b strings.Builder
	for {
		m, err := w.front.Receive()
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return b.String() + "closed\n"
		}
		if err != nil {
			return b.String() + err.Error() + "\n"
		}
		if k, ok := m.(*pgproto3.BackendKeyData); ok {
			k.SecretKey = nil // random
		}
		text, err := json.Marshal(m)
		if err != nil {
			return err.Error()
		}
		b.Write(shorten(text))
		b.WriteByte('\n')
		if strings.Contains(string(text), `"Type":"`+until+`"`) {
			return b.String()
		}
	}
}

// shorten leaves out the empty fields of errors and other noise.
func shorten(text []byte) []byte {
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return text
	}
	for k, v := range m {
		if v == nil || v == "" || v == float64(0) && m["Severity"] != nil {
			delete(m, k)
		}
	}
	out, err := json.Marshal(m)
	if err != nil {
		return text
	}
	return out
}

func frontendMessage(line string) (pgproto3.FrontendMessage, error) {
	var head struct{ Type string }
	if err := json.Unmarshal([]byte(line), &head); err != nil {
		return nil, err
	}
	kinds := map[string]pgproto3.FrontendMessage{
		"Query": &pgproto3.Query{}, "Parse": &pgproto3.Parse{}, "Bind": &pgproto3.Bind{}, "Describe": &pgproto3.Describe{},
		"Execute": &pgproto3.Execute{}, "Close": &pgproto3.Close{}, "Sync": &pgproto3.Sync{}, "Flush": &pgproto3.Flush{},
		"Terminate": &pgproto3.Terminate{}, "CopyData": &pgproto3.CopyData{}, "CopyDone": &pgproto3.CopyDone{},
		"CopyFail": &pgproto3.CopyFail{}, "FunctionCall": &pgproto3.FunctionCall{},
	}
	m, ok := kinds[head.Type]
	if !ok {
		return nil, fmt.Errorf("unknown message %q", head.Type)
	}
	return m, json.Unmarshal([]byte(line), m)
}

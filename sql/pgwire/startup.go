package pgwire

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/pamirdb/pamir/sql/session"
	"github.com/pamirdb/pamir/sql/types"
)

// Codes that stand where a protocol version would.
const (
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSS    = 80877104
)

// startTimeout bounds the time to say and prove who one is.
const startTimeout = time.Minute

// start brings a connection from its first byte to its first ReadyForQuery.
func (c *conn) start(ctx context.Context) error {
	if err := c.net.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	startup, err := c.negotiate()
	if err != nil {
		return err
	}
	opts, err := c.options(startup)
	if err != nil {
		return err
	}
	if c.s.draining.Load() {
		return fatal(types.CodeCannotConnectNow, "the database system is shutting down")
	}
	if err := c.authenticate(ctx, opts.User); err != nil {
		return err
	}
	if err := c.net.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if c.sess, err = c.s.cfg.Sessions.Open(ctx, c.pid, opts); err != nil {
		e := *asError(err)
		e.Severity = severityFatal
		return &e
	}
	c.idler, _ = c.sess.(idler)
	c.sess.Parameters(c.w.parameterStatus)
	at := c.w.open('K')
	c.w.int32(int(c.pid))
	c.w.int32(int(c.secret))
	c.w.close(at)
	return c.ready()
}

func fatal(code, format string, args ...any) *types.Error {
	e := types.Errorf(code, format, args...)
	e.Severity = severityFatal
	return e
}

// negotiate answers requests for encryption until the startup message comes.
func (c *conn) negotiate() ([]byte, error) {
	encrypted := false
	for range 4 { // TLS, GSS, startup; more is mischief
		msg, err := c.r.startup()
		if err != nil {
			return nil, err
		}
		switch code := binary.BigEndian.Uint32(msg); code {
		case codeCancel:
			if len(msg) == 12 {
				c.s.cancel(int32(binary.BigEndian.Uint32(msg[4:])), int32(binary.BigEndian.Uint32(msg[8:])))
			}
			return nil, errTerminated
		case codeGSS:
			if err := c.answerByte('N'); err != nil {
				return nil, err
			}
		case codeSSL:
			if c.s.cfg.TLS == nil || encrypted {
				if err := c.answerByte('N'); err != nil {
					return nil, err
				}
				continue
			}
			if err := c.encrypt(); err != nil {
				return nil, err
			}
			encrypted = true
		default:
			if code>>16 != 3 {
				return nil, fatal(types.CodeFeatureNotSupported, "unsupported frontend protocol %d.%d: server supports 3.0 to 3.0", code>>16, code&0xffff)
			}
			if !encrypted && !c.s.cfg.Insecure && !c.trusted {
				return nil, fatal(types.CodeInvalidAuthorization, "this node accepts encrypted connections only")
			}
			return msg, nil
		}
	}
	return nil, protocolError("too many requests before the startup packet")
}

func (c *conn) answerByte(b byte) error {
	c.w.out = append(c.w.out, b)
	return c.w.flush()
}

func (c *conn) encrypt() error {
	// Bytes sent before encryption began could be taken for encrypted ones.
	if c.r.buffered() {
		return protocolError("received unencrypted data after SSL request")
	}
	if err := c.answerByte('S'); err != nil {
		return err
	}
	t := tls.Server(c.net, c.s.cfg.TLS)
	if err := t.Handshake(); err != nil {
		c.s.cfg.Logger.Info("TLS handshake failed", "remote", c.net.RemoteAddr(), "error", err)
		return errTerminated
	}
	c.net = t
	c.r.src, c.w.dst = t, t
	return nil
}

// options reads the startup message: what the client asks for.
func (c *conn) options(msg []byte) (session.Options, error) {
	o := session.Options{RemoteAddr: c.net.RemoteAddr().String(), Settings: map[string]string{}}
	var unknown []string
	m := body{b: msg[4:]}
	for len(m.b) > 1 {
		name, value := m.text(), m.text()
		if m.bad {
			break
		}
		switch name {
		case "user":
			o.User = value
		case "database":
			o.Database = value
		case "application_name":
			o.ApplicationName = value
		case "options":
			parseOptions(value, o.Settings)
		case "replication":
			if value != "false" && value != "off" && value != "0" && value != "no" {
				return o, fatal(types.CodeFeatureNotSupported, "replication connections are not supported")
			}
		default:
			if strings.HasPrefix(name, "_pq_.") {
				unknown = append(unknown, name)
				continue
			}
			o.Settings[name] = value
		}
	}
	if m.bad || len(m.b) != 1 || m.b[0] != 0 {
		return o, protocolError("invalid startup packet layout: expected terminator as last byte")
	}
	if o.User == "" {
		return o, fatal(types.CodeInvalidAuthorization, "no PostgreSQL user name specified in startup packet")
	}
	if o.Database == "" {
		o.Database = o.User
	}
	if minor := binary.BigEndian.Uint32(msg) & 0xffff; minor > 0 || len(unknown) > 0 {
		at := c.w.open('v')
		c.w.int32(3 << 16)
		c.w.int32(len(unknown))
		for _, u := range unknown {
			c.w.text(u)
		}
		c.w.close(at)
	}
	return o, nil
}

// parseOptions reads settings in the style of command line options: -c a=b, and
// --a=b, with blanks escaped by backslashes.
func parseOptions(s string, into map[string]string) {
	words := optionWords(s)
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			w = words[i]
		case strings.HasPrefix(w, "-c"), strings.HasPrefix(w, "--"):
			w = w[2:]
		default:
			continue
		}
		if name, value, ok := strings.Cut(w, "="); ok {
			into[strings.ReplaceAll(name, "-", "_")] = value
		}
	}
}

func optionWords(s string) []string {
	var words []string
	var word []byte
	inWord := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			word, inWord = append(word, s[i]), true
		case c == ' ' || c == '\t' || c == '\n':
			if inWord {
				words = append(words, string(word))
			}
			word, inWord = word[:0], false
		default:
			word, inWord = append(word, c), true
		}
	}
	if inWord {
		words = append(words, string(word))
	}
	return words
}

// passwordError is the one answer to whatever went wrong with a proof: it does not tell
// a client which user exists.
func passwordError(user string, err error) error {
	var e *types.Error
	if errors.As(err, &e) {
		return err
	}
	return fatal(types.CodeInvalidPassword, "password authentication failed for user %q", user)
}

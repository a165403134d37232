package pgwire

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

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
	opts, commandLine, err := c.options(startup)
	if err != nil {
		return err
	}
	if err := c.awaitReady(ctx); err != nil {
		return err
	}
	if err := c.authenticate(ctx, opts.User); err != nil {
		return err
	}
	if err := c.net.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if err := addOptions(&opts, commandLine); err != nil {
		return err
	}
	if c.sess, err = c.s.cfg.Sessions.Open(ctx, c.pid, opts); err != nil {
		e := *asError(err)
		e.Severity = severityFatal
		return &e
	}
	c.settings = c.sess.SettingsVersion()
	c.sess.Parameters(c.parameter)
	c.w.send(&pgproto3.BackendKeyData{ProcessID: uint32(c.pid), SecretKey: c.secret})
	return c.ready()
}

// awaitReady holds a client back that came while the node starts: as a rule that
// takes a moment, and is better waited for than tried again.
func (c *conn) awaitReady(ctx context.Context) error {
	began, tick := time.Now(), time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		if c.s.draining.Load() {
			return fatal(types.CodeCannotConnectNow, "the database system is shutting down")
		}
		if c.s.cfg.Ready == nil {
			return nil
		}
		select {
		case <-c.s.cfg.Ready:
			return nil
		default:
		}
		if wait, why := c.s.cfg.Unready(); time.Since(began) >= wait {
			why.Severity = severityFatal
			return why
		}
		select {
		case <-c.s.cfg.Ready:
		case <-ctx.Done():
			return errShutdown()
		case <-tick.C:
		}
	}
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
			var m pgproto3.CancelRequest
			if m.Decode(msg) == nil {
				c.s.cancel(int32(m.ProcessID), m.SecretKey)
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

// options reads the startup message: what the client asks for. commandLine is the
// part that is said in the style of a program's options.
func (c *conn) options(msg []byte) (o session.Options, commandLine string, err error) {
	o = session.Options{RemoteAddr: c.net.RemoteAddr().String(), Settings: map[string]string{}}
	m, minor, err := startupMessage(msg)
	if err != nil {
		return o, "", err
	}
	var unknown []string
	for name, value := range m.Parameters {
		switch name {
		case "user":
			o.User = value
		case "database":
			o.Database = value
		case "application_name":
			o.ApplicationName = value
		case "options":
			commandLine = value
		case "replication":
			if err := refuseReplication(value); err != nil {
				return o, "", err
			}
		default:
			if strings.HasPrefix(name, "_pq_.") {
				unknown = append(unknown, name)
				continue
			}
			o.Settings[name] = value
		}
	}
	if o.User == "" {
		return o, "", fatal(types.CodeInvalidAuthorization, "no PostgreSQL user name specified in startup packet")
	}
	if o.Database == "" {
		o.Database = o.User
	}
	if minor > 0 || len(unknown) > 0 {
		sort.Strings(unknown)
		c.w.send(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: pgproto3.ProtocolVersion30, UnrecognizedOptions: unknown})
	}
	return o, commandLine, nil
}

func refuseReplication(value string) error {
	if value != "database" {
		d, err := types.ParseText(types.BoolType, value, &types.Settings{})
		if err != nil {
			return fatal(types.CodeInvalidParameterValue, "invalid value for parameter \"replication\": %q", value).
				WithHint("Valid values are: \"false\", 0, \"true\", 1, \"database\".")
		}
		if !d.Bool() {
			return nil
		}
	}
	return fatal(types.CodeFeatureNotSupported, "replication connections are not supported")
}

// addOptions adds the settings of a command line: they yield to those that are
// given by name.
func addOptions(o *session.Options, commandLine string) error {
	more, err := parseOptions(commandLine)
	if err != nil {
		return err
	}
	for name, value := range more {
		if _, ok := o.Settings[name]; !ok {
			o.Settings[name] = value
		}
	}
	return nil
}

// startupMessage decodes a startup message of any 3.x and returns its x: a client
// that wants more than 3.0 is told that this is what there is.
func startupMessage(msg []byte) (m pgproto3.StartupMessage, minor uint32, err error) {
	minor = binary.BigEndian.Uint32(msg) & 0xffff
	if len(msg) == 5 && msg[4] == 0 {
		return m, minor, nil // no parameters, which pgproto3 does not expect
	}
	binary.BigEndian.PutUint32(msg, pgproto3.ProtocolVersion30)
	err = m.Decode(msg)
	// The first empty name is the end.
	if _, early := m.Parameters[""]; err != nil || early {
		return m, minor, protocolError("invalid startup packet layout: expected terminator as last byte")
	}
	return m, minor, nil
}

// parseOptions reads settings in the style of command line options: -c a=b, and
// --a=b, with blanks escaped by backslashes.
func parseOptions(s string) (map[string]string, error) {
	words, out := optionWords(s), map[string]string{}
	for i := 0; i < len(words); i++ {
		w, dash := words[i], "--"
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			w, dash = words[i], "-c "
		case strings.HasPrefix(w, "-c") && w != "-c":
			w, dash = w[2:], "-c "
		case strings.HasPrefix(w, "--") && w != "--":
			w = w[2:]
		default:
			return nil, fatal(types.CodeSyntaxError, "invalid command-line argument for server process: %s", w).
				WithHint("There are -c NAME=VALUE and --NAME=VALUE.")
		}
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			return nil, fatal(types.CodeSyntaxError, "%s%s requires a value", dash, w)
		}
		out[strings.ReplaceAll(name, "-", "_")] = value
	}
	return out, nil
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

package pgwire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/sql/types"
)

// The mechanisms: the second one binds the exchange to the TLS connection, so
// that nobody in between can pass it on.
const (
	mechanism     = "SCRAM-SHA-256"
	mechanismPlus = "SCRAM-SHA-256-PLUS"
)

// authenticate proves that the client is user: by nothing on an insecure node,
// else by its certificate, else by its password.
func (c *conn) authenticate(ctx context.Context, user string) error {
	if !c.s.cfg.Insecure && !c.trusted {
		ok, err := c.certified(user)
		if err != nil {
			return err
		}
		if !ok {
			if err := c.scram(ctx, user); err != nil {
				return err
			}
		}
	}
	c.w.send(&pgproto3.AuthenticationOk{})
	return nil
}

// certified tells whether a verified certificate names the user; one that names
// another is an error.
func (c *conn) certified(user string) (bool, error) {
	t, ok := c.net.(*tls.Conn)
	if !ok {
		return false, nil
	}
	chains := t.ConnectionState().VerifiedChains
	if len(chains) == 0 || len(chains[0]) == 0 {
		return false, nil
	}
	if name := chains[0][0].Subject.CommonName; name != user {
		e := fatal(types.CodeInvalidAuthorization, "certificate authentication failed for user %q", user)
		return false, e.WithDetail("The certificate is for %q.", name)
	}
	return true, nil
}

// scram runs the password exchange. A user that does not exist gets a verifier
// that nothing fits, so that the exchange looks the same.
func (c *conn) scram(ctx context.Context, user string) error {
	v, ok, err := c.s.cfg.Sessions.Verifier(ctx, user)
	if err != nil {
		e := *asError(err)
		e.Severity = severityFatal
		return &e
	}
	if !ok {
		v = security.Mock(user)
	}
	binding := c.binding()
	offer := []string{mechanism}
	if binding != nil {
		offer = []string{mechanismPlus, mechanism}
	}
	c.w.send(&pgproto3.AuthenticationSASL{AuthMechanisms: offer})
	first, plus, err := c.saslInitial(binding != nil)
	if err != nil {
		return err
	}
	server := security.NewScramServer(v, binding, plus)
	challenge, err := server.First(first)
	if errors.Is(err, security.ErrBinding) {
		e := fatal(types.CodeInvalidAuthorization, "%s", err.Error())
		return e.WithDetail("The client supports SCRAM channel binding but thinks the server does not. However, this server does support channel binding.")
	}
	if err != nil {
		return protocolError("malformed SCRAM message")
	}
	c.w.send(&pgproto3.AuthenticationSASLContinue{Data: []byte(challenge)})
	var last pgproto3.SASLResponse
	if err := c.password(&last); err != nil {
		return err
	}
	proof, err := server.Final(string(last.Data))
	if err != nil || !ok {
		return passwordError(user, err)
	}
	c.w.send(&pgproto3.AuthenticationSASLFinal{Data: []byte(proof)})
	return nil
}

// binding is what ties an exchange to this connection; nil without TLS.
func (c *conn) binding() []byte {
	if _, ok := c.net.(*tls.Conn); !ok || len(c.s.cfg.TLS.Certificates) == 0 {
		return nil
	}
	leaf, err := x509.ParseCertificate(c.s.cfg.TLS.Certificates[0].Certificate[0])
	if err != nil {
		return nil
	}
	return security.ServerEndPoint(leaf)
}

// saslInitial reads the first message of the exchange, which names the mechanism.
func (c *conn) saslInitial(mayBind bool) (first string, plus bool, err error) {
	var m pgproto3.SASLInitialResponse
	if err := c.password(&m); err != nil {
		return "", false, err
	}
	plus = m.AuthMechanism == mechanismPlus && mayBind
	if m.AuthMechanism != mechanism && !plus {
		return "", false, protocolError("client selected an invalid SASL authentication mechanism")
	}
	return string(m.Data), plus, nil
}

// password sends what is due and reads the client's next message into m. Nothing
// but the answer to a request for proof is taken.
func (c *conn) password(m pgproto3.FrontendMessage) error {
	if err := c.w.flush(); err != nil {
		return err
	}
	kind, msg, err := c.r.message()
	if err != nil {
		return err
	}
	if kind != 'p' {
		return protocolError("expected SASL response, got message type %d", kind)
	}
	if err := decode(m, msg); err != nil {
		return protocolError("%s", asError(err).Message)
	}
	return nil
}

package pgwire

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"

	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/sql/types"
)

// Requests of the authentication message.
const (
	authOK           = 0
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12

	mechanism = "SCRAM-SHA-256"
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
	c.authMessage(authOK, "")
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

func (c *conn) authMessage(request int, text string) {
	at := c.w.open('R')
	c.w.int32(request)
	c.w.out = append(c.w.out, text...)
	c.w.close(at)
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
		if v, err = mockVerifier(); err != nil {
			return err
		}
	}
	c.authMessage(authSASL, mechanism+"\x00\x00")
	first, err := c.saslResponse(true)
	if err != nil {
		return err
	}
	server := security.NewScramServer(v)
	challenge, err := server.First(first)
	if err != nil {
		return protocolError("malformed SCRAM message")
	}
	c.authMessage(authSASLContinue, challenge)
	last, err := c.saslResponse(false)
	if err != nil {
		return err
	}
	proof, err := server.Final(last)
	if err != nil || !ok {
		return passwordError(user, err)
	}
	c.authMessage(authSASLFinal, proof)
	return nil
}

func mockVerifier() (security.Verifier, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return security.Verifier{}, err
	}
	return security.NewVerifier(hex.EncodeToString(raw))
}

// saslResponse sends what is due and reads the client's next message; the
// initial one names the mechanism.
func (c *conn) saslResponse(initial bool) (string, error) {
	if err := c.w.flush(); err != nil {
		return "", err
	}
	kind, msg, err := c.r.message()
	if err != nil {
		return "", err
	}
	if kind != 'p' {
		return "", protocolError("expected SASL response, got message type %d", kind)
	}
	if !initial {
		return string(msg), nil
	}
	m := body{b: msg}
	if name := m.text(); name != mechanism {
		return "", protocolError("client selected an invalid SASL authentication mechanism")
	}
	out := m.bytes(m.int32())
	if err := m.done('p'); err != nil {
		return "", err
	}
	return string(out), nil
}

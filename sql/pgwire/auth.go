package pgwire

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/sql/types"
)

const mechanism = "SCRAM-SHA-256"

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
		if v, err = mockVerifier(); err != nil {
			return err
		}
	}
	c.w.send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{mechanism}})
	first, err := c.saslInitial()
	if err != nil {
		return err
	}
	server := security.NewScramServer(v)
	challenge, err := server.First(first)
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

func mockVerifier() (security.Verifier, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return security.Verifier{}, err
	}
	return security.NewVerifier(hex.EncodeToString(raw))
}

// saslInitial reads the first message of the exchange, which names the mechanism.
func (c *conn) saslInitial() (string, error) {
	var m pgproto3.SASLInitialResponse
	if err := c.password(&m); err != nil {
		return "", err
	}
	if m.AuthMechanism != mechanism {
		return "", protocolError("client selected an invalid SASL authentication mechanism")
	}
	return string(m.Data), nil
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

package security

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/secure/precis"
)

// scramIterations is PostgreSQL's default too.
const scramIterations = 4096

// Verifier is what is stored of a password: enough to check it, not to use it.
type Verifier struct {
	Iterations           int
	Salt                 []byte
	StoredKey, ServerKey []byte
}

// NewVerifier makes a verifier of a password with a fresh salt.
func NewVerifier(password string) (Verifier, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return Verifier{}, err
	}
	return makeVerifier(password, salt, scramIterations)
}

func makeVerifier(password string, salt []byte, iterations int) (Verifier, error) {
	// PostgreSQL normalizes by SASLprep and takes the bytes as they are where
	// that fails.
	if p, err := precis.OpaqueString.String(password); err == nil {
		password = p
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return Verifier{}, err
	}
	clientKey := mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	return Verifier{iterations, salt, stored[:], mac(salted, "Server Key")}, nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// String is PostgreSQL's form, as in pg_authid.rolpassword.
func (v Verifier) String() string {
	e := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", v.Iterations, e(v.Salt), e(v.StoredKey), e(v.ServerKey))
}

// ParseVerifier reads what String prints.
func ParseVerifier(s string) (Verifier, error) {
	bad := errors.New("malformed SCRAM-SHA-256 verifier")
	rest, ok := strings.CutPrefix(s, "SCRAM-SHA-256$")
	if !ok {
		return Verifier{}, bad
	}
	head, tail, ok1 := strings.Cut(rest, "$")
	iter, salt, ok2 := strings.Cut(head, ":")
	stored, server, ok3 := strings.Cut(tail, ":")
	if !ok1 || !ok2 || !ok3 {
		return Verifier{}, bad
	}
	n, err := strconv.Atoi(iter)
	if err != nil || n < 1 {
		return Verifier{}, bad
	}
	v := Verifier{Iterations: n}
	for _, f := range []struct {
		dst *[]byte
		src string
	}{{&v.Salt, salt}, {&v.StoredKey, stored}, {&v.ServerKey, server}} {
		if *f.dst, err = base64.StdEncoding.DecodeString(f.src); err != nil {
			return Verifier{}, bad
		}
	}
	if len(v.StoredKey) != sha256.Size || len(v.ServerKey) != sha256.Size {
		return Verifier{}, bad
	}
	return v, nil
}

// Matches reports whether password is the verifier's.
func (v Verifier) Matches(password string) bool {
	o, err := makeVerifier(password, v.Salt, v.Iterations)
	return err == nil && subtle.ConstantTimeCompare(o.StoredKey, v.StoredKey) == 1
}

// ErrAuthentication reports a wrong proof; it says no more on purpose.
var ErrAuthentication = errors.New("password authentication failed")

// ErrBinding reports a client that was led to believe that this server cannot
// bind the exchange to its connection: somebody in between may have removed the
// offer.
var ErrBinding = errors.New("SCRAM channel binding negotiation error")

var errScramMessage = errors.New("malformed SCRAM message")

// bindingType is the one kind of channel binding (RFC 5929): the hash of the
// server's certificate.
const bindingType = "tls-server-end-point"

// ScramServer is the server's side of one exchange.
type ScramServer struct {
	v           Verifier
	binding     []byte
	plus        bool
	gs2         string
	authMessage string
	nonce       string
}

// mockKey makes mock verifiers; it lasts as long as the process.
var mockKey = sync.OnceValue(func() []byte {
	key := make([]byte, sha256.Size)
	if _, err := rand.Read(key); err != nil {
		panic(err) // the system has no randomness: nothing is safe then
	}
	return key
})

// Mock is the verifier of a user without a password: no password fits it, and
// nothing tells it from a real one, so that names cannot be probed. It stays the
// same for a name.
func Mock(user string) Verifier {
	part := func(what string) []byte { return mac(mockKey(), what+"\x00"+user) }
	return Verifier{scramIterations, part("salt")[:16], part("stored"), part("server")}
}

// NewScramServer starts an exchange. For an unknown user pass Mock. binding is
// ServerEndPoint of the connection's certificate, nil without TLS; plus says that
// the client chose SCRAM-SHA-256-PLUS, which needs it.
func NewScramServer(v Verifier, binding []byte, plus bool) *ScramServer {
	return &ScramServer{v: v, binding: binding, plus: plus}
}

// ServerEndPoint is the channel binding of connections that show a certificate:
// its hash, by the function that it is signed with, and SHA-256 for weak ones.
func ServerEndPoint(cert *x509.Certificate) []byte {
	h := sha256.New()
	switch cert.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = sha512.New384()
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = sha512.New()
	case x509.PureEd25519:
		return nil // it has no hash of its own, and no binding is defined
	}
	h.Write(cert.Raw)
	return h.Sum(nil)
}

// First takes the client's first message and returns the server's.
func (s *ScramServer) First(msg string) (string, error) {
	gs2, bare, ok := cutGS2(msg)
	if !ok {
		return "", errScramMessage
	}
	switch {
	case gs2 == "n,," && !s.plus: // the client binds nothing
	case gs2 == "y,," && !s.plus: // the client could, and believes that the server cannot
		if s.binding != nil {
			return "", ErrBinding
		}
	case gs2 == "p="+bindingType+",," && s.plus && s.binding != nil:
	default:
		return "", errScramMessage
	}
	nonce := ""
	for _, a := range strings.Split(bare, ",") {
		if v, ok := strings.CutPrefix(a, "r="); ok {
			nonce = v
		}
	}
	if nonce == "" {
		return "", errScramMessage
	}
	raw := make([]byte, 18)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	s.gs2, s.nonce = gs2, nonce+base64.StdEncoding.EncodeToString(raw)
	first := fmt.Sprintf("r=%s,s=%s,i=%d", s.nonce, base64.StdEncoding.EncodeToString(s.v.Salt), s.v.Iterations)
	s.authMessage = bare + "," + first + ","
	return first, nil
}

// bound reports whether the client saw this connection and the offers that were
// made on it.
func (s *ScramServer) bound(c string) bool {
	want := []byte(s.gs2)
	if s.plus {
		want = append(want, s.binding...)
	}
	got, err := base64.StdEncoding.DecodeString(c)
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1
}

// cutGS2 splits "flag,authzid,rest" behind its second comma.
func cutGS2(msg string) (header, bare string, ok bool) {
	i := strings.IndexByte(msg, ',')
	if i < 0 {
		return "", "", false
	}
	j := strings.IndexByte(msg[i+1:], ',')
	if j < 0 {
		return "", "", false
	}
	return msg[:i+j+2], msg[i+j+2:], true
}

// Final takes the client's proof and returns the server's signature.
func (s *ScramServer) Final(msg string) (string, error) {
	i := strings.LastIndex(msg, ",p=")
	if i < 0 {
		return "", errScramMessage
	}
	proof, err := base64.StdEncoding.DecodeString(msg[i+3:])
	if err != nil || len(proof) != sha256.Size {
		return "", ErrAuthentication
	}
	nonceOK, boundOK := false, false
	for _, a := range strings.Split(msg[:i], ",") {
		if v, ok := strings.CutPrefix(a, "r="); ok {
			nonceOK = v == s.nonce
		}
		if v, ok := strings.CutPrefix(a, "c="); ok {
			boundOK = s.bound(v)
		}
	}
	if !nonceOK || !boundOK {
		return "", ErrAuthentication
	}
	auth := s.authMessage + msg[:i]
	key := mac(s.v.StoredKey, auth)
	for k := range key {
		key[k] ^= proof[k]
	}
	if sum := sha256.Sum256(key); subtle.ConstantTimeCompare(sum[:], s.v.StoredKey) != 1 {
		return "", ErrAuthentication
	}
	return "v=" + base64.StdEncoding.EncodeToString(mac(s.v.ServerKey, auth)), nil
}

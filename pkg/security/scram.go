package security

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

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

// ScramServer is the server's side of one exchange.
type ScramServer struct {
	v           Verifier
	authMessage string
	nonce       string
}

// NewScramServer starts an exchange. For an unknown user pass a mock verifier
// (NewVerifier of random bytes) so that names cannot be probed.
func NewScramServer(v Verifier) *ScramServer { return &ScramServer{v: v} }

// First takes the client's first message and returns the server's.
func (s *ScramServer) First(msg string) (string, error) {
	// n,,n=user,r=nonce: no channel binding, or "y": client could, server does not.
	gs2, bare, ok := cutGS2(msg)
	if !ok || (gs2 != "n,," && gs2 != "y,,") {
		return "", errors.New("malformed SCRAM message")
	}
	nonce := ""
	for _, a := range strings.Split(bare, ",") {
		if v, ok := strings.CutPrefix(a, "r="); ok {
			nonce = v
		}
	}
	if nonce == "" {
		return "", errors.New("malformed SCRAM message")
	}
	raw := make([]byte, 18)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	s.nonce = nonce + base64.StdEncoding.EncodeToString(raw)
	first := fmt.Sprintf("r=%s,s=%s,i=%d", s.nonce, base64.StdEncoding.EncodeToString(s.v.Salt), s.v.Iterations)
	s.authMessage = bare + "," + first + ","
	return first, nil
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
		return "", errors.New("malformed SCRAM message")
	}
	proof, err := base64.StdEncoding.DecodeString(msg[i+3:])
	if err != nil || len(proof) != sha256.Size {
		return "", ErrAuthentication
	}
	nonceOK := false
	for _, a := range strings.Split(msg[:i], ",") {
		if v, ok := strings.CutPrefix(a, "r="); ok {
			nonceOK = v == s.nonce
		}
	}
	if !nonceOK {
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

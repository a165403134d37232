package security

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCertificatesTellNodesFromUsers(t *testing.T) {
	dir := t.TempDir()
	if err := CreateCA(dir); err != nil {
		t.Fatal(err)
	}
	if err := CreateCA(dir); err == nil {
		t.Fatal("an authority was replaced")
	}
	if err := CreateNode(dir, []string{"127.0.0.1", "localhost"}); err != nil {
		t.Fatal(err)
	}
	if err := CreateClient(dir, "root"); err != nil {
		t.Fatal(err)
	}
	server, client, _, err := NodeTLS(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := dial(t, server, client); err != nil {
		t.Fatalf("node to node: %v", err)
	}
	user, err := ClientTLS(dir, "root")
	if err != nil {
		t.Fatal(err)
	}
	if err := dial(t, server, user); err == nil {
		t.Fatal("a user's certificate was taken for a node's")
	}
	if err := os.Chmod(filepath.Join(dir, "node.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := NodeTLS(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("a key readable by all was loaded: %v", err)
	}
}

// dial runs a handshake both ways and returns the server's error.
func dial(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		cfg := client.Clone()
		cfg.ServerName = "127.0.0.1"
		if c, err := tls.Dial("tcp", l.Addr().String(), cfg); err == nil {
			_, _ = c.Read(make([]byte, 1)) // until the server closes
			c.Close()
		}
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func(c net.Conn) { c.Close() }(c)
	return c.(*tls.Conn).Handshake()
}

func TestVerifier(t *testing.T) {
	v, err := NewVerifier("sésame")
	if err != nil {
		t.Fatal(err)
	}
	w, err := ParseVerifier(v.String())
	if err != nil || w.String() != v.String() {
		t.Fatalf("%v %v", w, err)
	}
	if !w.Matches("sésame") || w.Matches("sesame") {
		t.Fatal("Matches is wrong")
	}
	for _, bad := range []string{"", "md5abc", "SCRAM-SHA-256$0:AA==$AA==:AA==", "SCRAM-SHA-256$1:AA==$AA==:AA=="} {
		if _, err := ParseVerifier(bad); err == nil {
			t.Fatalf("%q was taken", bad)
		}
	}
}

// clientFinal is the client's side, written apart from the server's.
func clientFinal(password, header, bare, first string) string {
	var salt []byte
	var nonce string
	iter := 0
	for _, a := range strings.Split(first, ",") {
		switch a[:2] {
		case "r=":
			nonce = a[2:]
		case "s=":
			salt, _ = base64.StdEncoding.DecodeString(a[2:])
		case "i=":
			fmt.Sscan(a[2:], &iter)
		}
	}
	salted, _ := pbkdf2.Key(sha256.New, password, salt, iter, 32)
	h := func(k []byte, m string) []byte { x := hmac.New(sha256.New, k); x.Write([]byte(m)); return x.Sum(nil) }
	ck := h(salted, "Client Key")
	stored := sha256.Sum256(ck)
	without := "c=" + base64.StdEncoding.EncodeToString([]byte(header)) + ",r=" + nonce
	sig := h(stored[:], bare+","+first+","+without)
	for i := range ck {
		ck[i] ^= sig[i]
	}
	return without + ",p=" + base64.StdEncoding.EncodeToString(ck)
}

func TestScramExchange(t *testing.T) {
	v, err := NewVerifier("secret")
	if err != nil {
		t.Fatal(err)
	}
	binding := []byte("the hash of a certificate")
	const plusHeader = "p=tls-server-end-point,,"
	for _, c := range []struct {
		name, password string
		binding        []byte
		plus           bool
		header, bound  string // the GS2 header, and what the client binds
		first, final   error
	}{
		{"plain", "secret", nil, false, "n,,", "n,,", nil, nil},
		{"plain over TLS", "secret", binding, false, "n,,", "n,,", nil, nil},
		{"wrong password", "wrong", nil, false, "n,,", "n,,", nil, ErrAuthentication},
		{"could bind", "secret", nil, false, "y,,", "y,,", nil, nil},
		{"another header at last", "secret", nil, false, "n,,", "y,,", nil, ErrAuthentication},
		{"bound", "secret", binding, true, plusHeader, plusHeader + string(binding), nil, nil},
		{"bound, wrong password", "wrong", binding, true, plusHeader, plusHeader + string(binding), nil, ErrAuthentication},
		{"bound to another connection", "secret", binding, true, plusHeader, plusHeader + "another's", nil, ErrAuthentication},
		{"bound to nothing", "secret", binding, true, plusHeader, plusHeader, nil, ErrAuthentication},
		{"offer removed", "secret", binding, false, "y,,", "y,,", ErrBinding, nil},
		{"PLUS without binding", "secret", binding, true, "n,,", "n,,", errScramMessage, nil},
		{"binding without PLUS", "secret", binding, false, plusHeader, plusHeader, errScramMessage, nil},
		{"binding without TLS", "secret", nil, true, plusHeader, plusHeader, errScramMessage, nil},
		{"unknown binding", "secret", binding, true, "p=tls-unique,,", "p=tls-unique,,", errScramMessage, nil},
		{"for another", "secret", nil, false, "n,a=root,", "n,a=root,", errScramMessage, nil},
	} {
		s := NewScramServer(v, c.binding, c.plus)
		first, err := s.First(c.header + "n=,r=abc")
		if !errors.Is(err, c.first) {
			t.Errorf("%s: first: %v", c.name, err)
		}
		if err != nil {
			continue
		}
		if _, err := s.Final(clientFinal(c.password, c.bound, "n=,r=abc", first)); !errors.Is(err, c.final) {
			t.Errorf("%s: final: %v", c.name, err)
		}
	}
	for _, bad := range []string{"", "n", "n,", "n,,", "n,,n=", "n,,n=,r="} {
		if _, err := NewScramServer(v, nil, false).First(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// What a user that does not exist gets is the same each time, and nothing fits it.
func TestMock(t *testing.T) {
	a, b := Mock("alice"), Mock("alice")
	if a.String() != b.String() || a.String() == Mock("bob").String() {
		t.Error("a mock verifier tells that it is one")
	}
	if v, err := ParseVerifier(a.String()); err != nil || v.Matches("") || v.Matches("alice") {
		t.Errorf("%v", err)
	}
}

// A certificate that every peer would refuse is refused when it is loaded, by
// name and with what to do.
func TestBadCertificates(t *testing.T) {
	make2 := func() (dir, other string) {
		dir, other = t.TempDir(), t.TempDir()
		for _, d := range []string{dir, other} {
			if err := errors.Join(CreateCA(d), CreateNode(d, []string{"127.0.0.1"})); err != nil {
				t.Fatal(err)
			}
		}
		return dir, other
	}
	for name, c := range map[string]struct {
		spoil func(dir, other string) error
		want  []string
	}{
		"no authority": {func(dir, _ string) error { return os.Remove(crtPath(dir, "ca")) }, []string{"ca.crt", "create-ca"}},
		"no node key":  {func(dir, _ string) error { return os.Remove(keyPath(dir, "node")) }, []string{"node.key", "create-node"}},
		"no node certificate": {func(dir, _ string) error { return os.Remove(crtPath(dir, "node")) },
			[]string{"node.crt", "no such file"}},
		"garbage": {func(dir, _ string) error { return os.WriteFile(crtPath(dir, "node"), []byte("garbage"), 0o600) }, []string{"node.crt"}},
		"garbage authority": {func(dir, _ string) error { return os.WriteFile(crtPath(dir, "ca"), []byte("garbage"), 0o600) },
			[]string{"ca.crt", "no certificate"}},
		"another's key": {func(dir, other string) error { return os.Rename(keyPath(other, "node"), keyPath(dir, "node")) },
			[]string{"node.crt", "does not match"}},
		"another authority": {func(dir, other string) error { return os.Rename(crtPath(other, "ca"), crtPath(dir, "ca")) },
			[]string{"node.crt", "is not of the authority in ca.crt", "create-node"}},
		"expired": {func(dir, _ string) error { return createLeafFor(dir, "node", NodeUser, nil, nil, -time.Minute) },
			[]string{"node.crt", "expired on", "create-node"}},
	} {
		dir, other := make2()
		if err := c.spoil(dir, other); err != nil {
			t.Fatal(err)
		}
		_, _, _, err := NodeTLS(dir)
		if err == nil {
			t.Errorf("%s: loaded", name)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v; want %q in it", name, err, part)
			}
		}
	}
}

// TestClientNames: a user's name names files, and does not leave the directory.
func TestClientNames(t *testing.T) {
	dir := t.TempDir()
	if err := CreateCA(dir); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", NodeUser, "../x", "a/b", `a\b`, "a\x00"} {
		if err := CreateClient(dir, bad); err == nil {
			t.Errorf("a certificate for %q", bad)
		}
	}
}

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
func clientFinal(password, bare, first string) string {
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
	without := "c=biws,r=" + nonce
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
	for password, want := range map[string]error{"secret": nil, "wrong": ErrAuthentication} {
		s := NewScramServer(v)
		first, err := s.First("n,,n=,r=abc")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Final(clientFinal(password, "n=,r=abc", first)); !errors.Is(err, want) {
			t.Fatalf("%s: %v", password, err)
		}
	}
}

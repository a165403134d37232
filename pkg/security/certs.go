package security

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// NodeUser is the common name of node certificates.
const NodeUser = "node"

const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	leafLifetime = 5 * 365 * 24 * time.Hour
)

func crtPath(dir, name string) string { return filepath.Join(dir, name+".crt") }
func keyPath(dir, name string) string { return filepath.Join(dir, name+".key") }

// CreateCA makes a certificate authority in dir. It refuses to replace one.
func CreateCA(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(crtPath(dir, "ca")); err == nil {
		return fmt.Errorf("%s exists; certificates signed by it would become useless", crtPath(dir, "ca"))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t, err := template("Pamir CA", caLifetime)
	if err != nil {
		return err
	}
	t.IsCA, t.BasicConstraintsValid = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	return writePair(dir, "ca", der, key)
}

// CreateNode makes a node certificate for the hosts (names or IP addresses) that
// other nodes and clients reach it by.
func CreateNode(dir string, hosts []string) error {
	return createLeaf(dir, "node", NodeUser, hosts, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth})
}

// CreateClient makes a client certificate for a SQL user.
func CreateClient(dir, user string) error {
	switch {
	case user == NodeUser:
		return fmt.Errorf("user name %q is reserved for nodes", NodeUser)
	case user == "":
		return errors.New("a user has a name")
	case strings.ContainsAny(user, `/\`) || strings.ContainsRune(user, 0):
		return fmt.Errorf("user name %q: the certificate's file is named for the user, so the name has no slash", user)
	}
	return createLeaf(dir, "client."+user, user, nil, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth})
}

func createLeaf(dir, file, user string, hosts []string, usage []x509.ExtKeyUsage) error {
	return createLeafFor(dir, file, user, hosts, usage, leafLifetime)
}

func createLeafFor(dir, file, user string, hosts []string, usage []x509.ExtKeyUsage, life time.Duration) error {
	ca, err := tls.LoadX509KeyPair(crtPath(dir, "ca"), keyPath(dir, "ca"))
	if err != nil {
		return fmt.Errorf("loading the certificate authority and its key (pamir cert create-ca makes them): %w", err)
	}
	caCert, err := x509.ParseCertificate(ca.Certificate[0])
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t, err := template(user, life)
	if err != nil {
		return err
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, usage
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, caCert, &key.PublicKey, ca.PrivateKey)
	if err != nil {
		return err
	}
	return writePair(dir, file, der, key)
}

func template(name string, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Pamir"}},
		NotBefore:    now.Add(-time.Hour), // clocks of a cluster differ
		NotAfter:     now.Add(life),
	}, nil
}

func writePair(dir, name string, der []byte, key *ecdsa.PrivateKey) error {
	kb, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyPath(dir, name), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kb}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(crtPath(dir, name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// NodeTLS loads a node's certificates. server demands a node certificate of the
// same authority from other nodes; sql takes clients with or without one.
func NodeTLS(dir string) (server, client, sql *tls.Config, err error) {
	pair, pool, err := load(dir, "node")
	if err != nil {
		return nil, nil, nil, err
	}
	base := tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	server = base.Clone()
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, pool
	server.VerifyPeerCertificate = requireNode
	client = base.Clone()
	client.RootCAs = pool
	client.VerifyPeerCertificate = requireNode
	sql = base.Clone()
	sql.MinVersion = tls.VersionTLS12
	sql.ClientAuth, sql.ClientCAs = tls.VerifyClientCertIfGiven, pool
	return server, client, sql, nil
}

// requireNode refuses a SQL user's certificate on the node port: it is signed by
// the same authority but must not speak for a node.
func requireNode(_ [][]byte, chains [][]*x509.Certificate) error {
	if len(chains) == 0 || len(chains[0]) == 0 || chains[0][0].Subject.CommonName != NodeUser {
		return errors.New("the peer's certificate is not a node certificate")
	}
	return nil
}

// ClientTLS loads a SQL user's certificate, for the pamir client commands. A user
// without one still verifies the server.
func ClientTLS(dir, user string) (*tls.Config, error) {
	pair, pool, err := load(dir, "client."+user)
	if errors.Is(err, os.ErrNotExist) && pool != nil {
		return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
	}
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// load reads the authority and a certificate of it. The pool is there even if
// the certificate is not.
func load(dir, name string) (tls.Certificate, *x509.CertPool, error) {
	var none tls.Certificate
	caPEM, err := os.ReadFile(crtPath(dir, "ca"))
	if err != nil {
		return none, nil, fmt.Errorf("reading the certificate authority (pamir cert create-ca makes one): %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(caPEM) {
		return none, nil, fmt.Errorf("%s holds no certificate", crtPath(dir, "ca"))
	}
	st, err := os.Stat(keyPath(dir, name))
	if err != nil {
		return none, pool, fmt.Errorf("reading the key (pamir cert %s makes one): %w", maker(name), err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return none, pool, fmt.Errorf("%s can be read by others than its owner (mode %o); chmod 600 it",
			keyPath(dir, name), st.Mode().Perm())
	}
	pair, err := tls.LoadX509KeyPair(crtPath(dir, name), keyPath(dir, name))
	if err != nil {
		return none, pool, fmt.Errorf("loading %s and its key: %w", crtPath(dir, name), err)
	}
	if err := check(pair, pool); err != nil {
		return none, pool, fmt.Errorf("%s %w (pamir cert %s makes another)", crtPath(dir, name), err, maker(name))
	}
	return pair, pool, nil
}

// maker is the command that makes a certificate.
func maker(name string) string {
	if user, ok := strings.CutPrefix(name, "client."); ok {
		return "create-client " + user
	}
	return "create-node HOST..."
}

// check refuses a certificate that every peer would refuse, while there is
// somebody to read why.
func check(pair tls.Certificate, pool *x509.CertPool) error {
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return fmt.Errorf("is damaged: %w", err)
	}
	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("expired on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("is not valid before %s; is this machine's clock right?", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	middle := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			middle.AddCert(c)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: middle, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return fmt.Errorf("is not of the authority in ca.crt: %w", err)
	}
	return nil
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// makeCerts makes certificates with the program itself.
func (c *cluster) makeCerts(dir string, clients ...string) {
	c.t.Helper()
	commands := [][]string{{"create-ca"}, {"create-node", "127.0.0.1", "localhost"}}
	for _, user := range clients {
		commands = append(commands, []string{"create-client", user})
	}
	for _, args := range commands {
		p := c.run(append([]string{"cert", "--certs-dir=" + dir}, args...)...)
		if <-p.done; p.err != nil {
			c.t.Fatalf("pamir cert %s: %v: %s", args, p.err, p.log)
		}
	}
}

// newSecureCluster makes a cluster with TLS that is not started yet.
func newSecureCluster(t *testing.T, n int) *cluster {
	t.Helper()
	c := newCluster(t, n)
	c.certs = filepath.Join(c.dir, "certs")
	c.makeCerts(c.certs, "root", "stranger", "nologin")
	return c
}

// login is where a user with a password connects to; more are settings.
func (c *cluster) login(i int, user, password string, more ...string) string {
	return fmt.Sprintf("postgresql://%s@%s/defaultdb?sslmode=verify-full&sslrootcert=%s/ca.crt&connect_timeout=5&%s",
		url.UserPassword(user, password), c.sql[i], c.certs, strings.Join(more, "&"))
}

// connects tries a connection and returns the SQLSTATE of its failure, "" for none.
func connects(t *testing.T, dsn string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	var pe *pgconn.PgError
	switch {
	case err == nil:
		var one int
		err = conn.QueryRow(ctx, "SELECT 1").Scan(&one)
		if err := errors.Join(err, conn.Close(ctx)); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
		return ""
	case errors.As(err, &pe):
		return pe.Code
	}
	return err.Error()
}

// browse asks a node's dashboard, as user if one is given.
func (c *cluster) browse(i int, path, user, password string) (status int, body string) {
	c.t.Helper()
	pem, err := os.ReadFile(c.certs + "/ca.crt")
	if err != nil {
		c.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(c.t.Context(), "GET", "https://"+c.web[i]+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	answer, err := client.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// TestSecureCluster runs three nodes with TLS: who has a certificate or a password
// enters, nobody else does, and nothing secret is written down.
func TestSecureCluster(t *testing.T) {
	t.Parallel()
	c := newSecureCluster(t, 3)
	c.boot()
	const password = "Passw0rd-geheim"
	c.exec(0, "CREATE USER clerk PASSWORD '"+password+"'; CREATE USER stranger; CREATE USER nologin NOLOGIN PASSWORD '"+password+"'; CREATE USER old PASSWORD '"+password+"' VALID UNTIL '2020-01-01'")
	c.exec(0, "CREATE TABLE t (k int PRIMARY KEY); GRANT SELECT ON t TO clerk; INSERT INTO t VALUES (1)")
	other := filepath.Join(c.dir, "other")
	c.makeCerts(other, "root")
	for i := range 3 {
		c.eventually(10*time.Second, "the new roles", func() error {
			if code := connects(t, c.login(i, "clerk", password)); code != "" {
				return errors.New(code)
			}
			return nil
		})
	}
	for name, x := range map[string]struct{ dsn, want string }{
		"certificate":                      {c.url(1), ""},
		"password, bound":                  {c.login(1, "clerk", password, "channel_binding=require"), ""},
		"password, not bound":              {c.login(2, "clerk", password, "channel_binding=disable"), ""},
		"wrong password":                   {c.login(1, "clerk", "falsch"), "28P01"},
		"wrong password, not bound":        {c.login(1, "clerk", "falsch", "channel_binding=disable"), "28P01"},
		"no such user":                     {c.login(1, "nobody", password), "28P01"},
		"root without certificate":         {c.login(1, "root", password), "28P01"},
		"may not log in":                   {c.login(1, "nologin", password), "28P01"},
		"expired password":                 {c.login(1, "old", password), "28P01"},
		"certificate, may not log in":      {strings.ReplaceAll(strings.Replace(c.url(0), "root@", "nologin@", 1), "client.root", "client.nologin"), "28000"},
		"another's certificate":            {strings.Replace(strings.ReplaceAll(c.url(0), "client.root", "client.stranger"), "root@", "clerk@", 1), "28000"},
		"certificate of another authority": {strings.ReplaceAll(c.url(0), c.certs+"/client", other+"/client"), "certificate"},
		"server of another authority":      {strings.ReplaceAll(c.login(0, "clerk", password), c.certs, other), "authority"},
		"no encryption":                    {strings.Replace(c.login(0, "clerk", password), "verify-full", "disable", 1), "28000"},
	} {
		if got := connects(t, x.dsn); got != x.want && (len(x.want) <= 5 || !strings.Contains(got, x.want)) {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
	c.refused([]string{"sql", "--certs-dir=" + c.certs, "--host=" + c.sql[0], "--user=clerk", "--execute=SELECT 1"}, "28P01", "PGPASSWORD")
	c.secureDashboard(password)
	c.otherAuthority(other)
	for i, p := range c.procs {
		for _, secret := range []string{password, "SCRAM-SHA-256$", "PRIVATE KEY"} {
			if strings.Contains(p.log.String(), secret) {
				t.Errorf("node %d's log holds %q", i+1, secret)
			}
		}
	}
	for i := range c.procs {
		if d := c.stop(i); d > 4*time.Second {
			t.Errorf("stopping node %d took %s", i+1, d)
		}
	}
	// One of three cannot serve, and says whom it waits for.
	c.start(0)
	c.said(0, "not serving yet", c.listen[1], c.listen[2])
}

// secureDashboard checks that the pages need a login, and only /health none.
func (c *cluster) secureDashboard(password string) {
	t := c.t
	t.Helper()
	for _, x := range []struct {
		path, user, password string
		status               int
	}{
		{"/", "", "", 401}, {"/metrics", "", "", 401}, {"/api/v1/sessions", "", "", 401}, {"/debug/pprof/", "", "", 401}, {"/health?ready=1", "", "", 200},
		{"/", "clerk", "falsch", 401}, {"/", "root", "", 401}, {"/", "nologin", password, 401},
		{"/", "clerk", password, 200}, {"/metrics", "clerk", password, 200}, {"/debug/pprof/", "clerk", password, 403},
	} {
		if status, _ := c.browse(0, x.path, x.user, x.password); status != x.status {
			t.Errorf("%s as %q: status %d, want %d", x.path, x.user, status, x.status)
		}
	}
	if _, body := c.browse(1, "/api/v1/overview", "clerk", password); !strings.Contains(body, `"insecure":false`) {
		t.Errorf("overview: %s", body)
	}
	if r, err := http.Get("http://" + c.web[0] + "/"); err == nil {
		defer r.Body.Close()
		if r.StatusCode != 400 {
			t.Errorf("without TLS: status %d", r.StatusCode)
		}
	}
}

// otherAuthority checks that neither a node nor an operator with another
// authority's certificates, nor one without any, gets anywhere.
func (c *cluster) otherAuthority(other string) {
	c.t.Helper()
	for _, security := range []string{"--certs-dir=" + other, "--insecure"} {
		p := c.run("start", security, "--store="+filepath.Join(c.dir, "intruder"), "--join="+c.listen[0], "--sql-addr=127.0.0.1:0",
			"--listen-addr=127.0.0.1:0", "--http-addr=127.0.0.1:0")
		want := "of another authority"
		if security == "--insecure" {
			want = "or a secure node's"
		}
		c.eventually(10*time.Second, "refusal", func() error {
			if !strings.Contains(p.log.String(), want) {
				return errors.New(p.log.String())
			}
			return nil
		})
		_ = p.cmd.Process.Kill() // it goes on waiting
		<-p.done
		c.refused([]string{"node", "status", security, "--host=" + c.listen[0]}, "no node answers", want)
	}
	// A client's certificate is of the right authority, and no node's.
	client := filepath.Join(c.dir, "client")
	if err := os.Mkdir(client, 0o700); err != nil {
		c.t.Fatal(err)
	}
	for from, to := range map[string]string{"ca.crt": "ca.crt", "client.stranger.crt": "node.crt", "client.stranger.key": "node.key"} {
		b, err := os.ReadFile(filepath.Join(c.certs, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(client, to), b, 0o600)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	c.refused([]string{"node", "decommission", "1", "--certs-dir=" + client, "--host=" + c.listen[0]}, "no node answers", "certificate")
	var nodes int
	if err := c.query(0, &nodes, "SELECT count(*)::int FROM pamir_internal.nodes"); err != nil || nodes != 3 {
		c.t.Errorf("%d nodes, %v", nodes, err)
	}
	p := c.run("node", "status", "--certs-dir="+c.certs, "--host="+c.listen[2])
	if <-p.done; p.err != nil || strings.Count(p.log.String(), "127.0.0.1") < 3 {
		c.t.Errorf("node status: %v: %s", p.err, p.log)
	}
}

// TestBadCertificatesAtStart: a node whose certificates nobody would take says so.
func TestBadCertificatesAtStart(t *testing.T) {
	t.Parallel()
	c := newSecureCluster(t, 0)
	good, other := c.certs, filepath.Join(c.dir, "other")
	c.makeCerts(other)
	start := func(certs string) []string {
		return []string{"start-single-node", "--certs-dir=" + certs, "--store=" + filepath.Join(c.dir, "s"), "--sql-addr=127.0.0.1:0", "--http-addr=127.0.0.1:0"}
	}
	c.refused(start(filepath.Join(c.dir, "nowhere")), "ca.crt", "pamir cert create-ca")
	c.refused([]string{"cert", "create-ca", "--certs-dir=" + good}, "ca.crt exists")
	c.refused([]string{"cert", "create-client", "node", "--certs-dir=" + good}, "reserved")
	key := filepath.Join(good, "node.key")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	c.refused(start(good), key, "chmod 600")
	if err := errors.Join(os.Chmod(key, 0o600), os.Rename(filepath.Join(other, "ca.crt"), filepath.Join(good, "ca.crt"))); err != nil {
		t.Fatal(err)
	}
	c.refused(start(good), "node.crt", "not of the authority in ca.crt", "pamir cert create-node")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	c.refused(start(good), "node.key", "pamir cert create-node")
}

//go:build psql

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// psql runs statements in PostgreSQL's own client; it returns what that printed,
// and whether it was content.
func psql(t *testing.T, conninfo, password string, commands ...string) (string, bool) {
	t.Helper()
	args := []string{"--no-psqlrc", "--no-password", "-At", "-v", "ON_ERROR_STOP=1", "-d", conninfo}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	cmd := exec.CommandContext(t.Context(), "psql", args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "PGCONNECT_TIMEOUT=5")
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// TestPsqlSecure connects with psql in every way that a secure node offers, and in
// some that it does not; make test runs it where there is a psql.
func TestPsqlSecure(t *testing.T) {
	t.Parallel()
	c := newSecureCluster(t, 1)
	c.boot()
	_, port, _ := strings.Cut(c.sql[0], ":")
	base := "host=127.0.0.1 port=" + port + " dbname=defaultdb sslrootcert=" + c.certs + "/ca.crt "
	root := base + "user=root sslmode=verify-full sslcert=" + c.certs + "/client.root.crt sslkey=" + c.certs + "/client.root.key"
	for _, x := range []struct {
		conninfo, password string
		content            bool
		says               string
		commands           []string
	}{
		{root, "", true, "SSL connection", []string{`\conninfo`}},
		{root, "", true, "CREATE ROLE", []string{"CREATE USER clerk WITH PASSWORD 'geheim'"}},
		{root, "", true, "clerk|", []string{`\du`}},
		{base + "user=clerk sslmode=verify-full channel_binding=require", "geheim", true, "clerk|scram", []string{"SELECT current_user || '|scram'"}},
		{base + "user=clerk sslmode=verify-full channel_binding=disable", "geheim", true, "clerk", []string{"SELECT current_user"}},
		{base + "user=clerk sslmode=prefer", "geheim", true, "clerk", []string{"SELECT current_user"}},
		{base + "user=clerk sslmode=verify-full", "falsch", false, `FATAL:  password authentication failed for user "clerk"`, []string{"SELECT 1"}},
		{base + "user=root sslmode=verify-full", "geheim", false, `FATAL:  password authentication failed for user "root"`, []string{"SELECT 1"}},
		{base + "user=clerk sslmode=disable", "geheim", false, "FATAL:  this node accepts encrypted connections only", []string{"SELECT 1"}},
		{strings.Replace(root, "user=root", "user=clerk", 1), "geheim", false, `FATAL:  certificate authentication failed for user "clerk"`, []string{"SELECT 1"}},
	} {
		if out, ok := psql(t, x.conninfo, x.password, x.commands...); ok != x.content || !strings.Contains(out, x.says) {
			t.Errorf("psql %q %q: content %t, says %s", x.conninfo, x.commands, ok, out)
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/pkg/server"
	"github.com/pamirdb/pamir/sql/types"
)

// shellTarget says whom a SQL shell talks to.
type shellTarget struct {
	addr, user, database string
	certsDir             string
}

// passwordHelp belongs to the help of commands that connect as a SQL user.
const passwordHelp = `A user who has no certificate in --certs-dir needs a password, which is taken from the environment
variable PGPASSWORD or from the file ~/.pgpass, as psql does.`

func sqlCommand() *cobra.Command {
	t := shellTarget{}
	var insecure bool
	var execute []string
	cmd := &cobra.Command{
		Use:   "sql",
		Short: "A SQL shell",
		Long: `A SQL shell. On a terminal it edits lines and keeps a history. Otherwise it runs what it reads,
goes on after errors, and ends with status 1 if there were any; with --execute it stops at the first.

` + passwordHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !insecure && t.certsDir == "" {
				return errors.New("give --certs-dir, or --insecure for a server without TLS")
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			if len(execute) > 0 {
				return runStatements(ctx, cmd.OutOrStdout(), t, execute)
			}
			return runShell(ctx, cmd.OutOrStdout(), t, true)
		},
	}
	cmd.Flags().StringVar(&t.addr, "host", server.DefaultSQLAddr, "SQL address of any node")
	cmd.Flags().StringVarP(&t.user, "user", "u", "root", "user")
	cmd.Flags().StringVarP(&t.database, "database", "d", "defaultdb", "database")
	cmd.Flags().StringVar(&t.certsDir, "certs-dir", "", "directory with ca.crt and the user's certificate")
	cmd.Flags().BoolVar(&insecure, "insecure", false, "the server runs without TLS")
	cmd.Flags().StringArrayVarP(&execute, "execute", "e", nil, "run this and exit; may be repeated")
	return cmd
}

func (t shellTarget) connect(ctx context.Context) (*pgconn.PgConn, error) {
	host, port := splitAddr(t.addr)
	if port == "" {
		return nil, fmt.Errorf("--host=%s: want HOST:PORT", t.addr)
	}
	cfg, err := pgconn.ParseConfig("sslmode=disable application_name=pamir_sql connect_timeout=10 host=" + quoted(host) +
		" port=" + quoted(port) + " user=" + quoted(t.user) + " dbname=" + quoted(t.database))
	if err != nil {
		return nil, err
	}
	if t.certsDir != "" {
		if cfg.TLSConfig, err = security.ClientTLS(t.certsDir, t.user); err != nil {
			return nil, err
		}
		cfg.TLSConfig.ServerName = host
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { fmt.Fprintf(os.Stderr, "%s:  %s\n", n.Severity, n.Message) }
	c, err := pgconn.ConnectConfig(ctx, cfg)
	var pe *pgconn.PgError
	switch {
	case !errors.As(err, &pe):
	case pe.Code == types.CodeInvalidPassword && cfg.Password == "":
		err = fmt.Errorf("%w: give the password in PGPASSWORD or ~/.pgpass, or let pamir cert create-client make a certificate", err)
	case pe.Hint != "":
		err = fmt.Errorf("%w: %s", err, pe.Hint)
	}
	return c, err
}

// quoted is a value of a connection string.
func quoted(v string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
}

// runStatements runs each string and stops at the first that fails. A string is
// one request, and so one transaction, unless it has a COPY that needs the shell.
func runStatements(ctx context.Context, w io.Writer, t shellTarget, statements []string) error {
	s := &shell{t: t, out: w, err: os.Stderr, cancels: true}
	s.open(ctx)
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer func() { _ = s.c.Close(ctx) }() // it is over in any case
	for _, text := range statements {
		for _, sql := range requests(text) {
			if !s.run(ctx, sql) {
				return &exitError{1}
			}
		}
	}
	return nil
}

// requests divides a string of statements if one of them is a COPY that the shell
// takes part in: it does so for a statement that comes alone.
func requests(text string) []string {
	var s splitter
	var all []string
	for line := range strings.SplitSeq(text, "\n") {
		all = append(all, s.feed(line)...)
	}
	if rest := s.rest(); rest != "" {
		all = append(all, rest)
	}
	for _, sql := range all {
		if kind, _ := copies(sql); kind != copyNone && len(all) > 1 {
			return all
		}
	}
	return []string{text}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/pkg/server"
)

// shellTarget says whom a SQL shell talks to.
type shellTarget struct {
	addr, user, database string
	certsDir, password   string
}

func sqlCommand() *cobra.Command {
	t := shellTarget{}
	var insecure bool
	var execute []string
	cmd := &cobra.Command{
		Use:   "sql",
		Short: "A SQL shell",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !insecure && t.certsDir == "" {
				return errors.New("give --certs-dir, or --insecure for a server without TLS")
			}
			t.password = os.Getenv("PGPASSWORD")
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			if len(execute) > 0 {
				return runStatements(ctx, cmd.OutOrStdout(), t, execute)
			}
			return runShell(ctx, cmd.OutOrStdout(), t)
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
	cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable application_name=pamir_sql connect_timeout=10", host, port, t.user, t.database))
	if err != nil {
		return nil, err
	}
	cfg.Password = t.password
	if t.certsDir != "" {
		if cfg.TLSConfig, err = security.ClientTLS(t.certsDir, t.user); err != nil {
			return nil, err
		}
		cfg.TLSConfig.ServerName = host
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { fmt.Fprintf(os.Stderr, "%s:  %s\n", n.Severity, n.Message) }
	return pgconn.ConnectConfig(ctx, cfg)
}

func runStatements(ctx context.Context, w io.Writer, t shellTarget, statements []string) error {
	c, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, s := range statements {
		if !execute(ctx, c, w, s) {
			return &exitError{1}
		}
	}
	return nil
}

// runShell reads statements until the input ends.
func runShell(ctx context.Context, w io.Writer, t shellTarget) error {
	c, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	lines, restore := lineReader(t.user + "@" + t.addr + "/" + t.database)
	defer restore()
	var pending strings.Builder
	for {
		line, err := lines(pending.Len() > 0)
		if err != nil || ctx.Err() != nil {
			return nil // end of input, or interrupted
		}
		trimmed := strings.TrimSpace(line)
		switch {
		case pending.Len() == 0 && (trimmed == `\q` || trimmed == "exit" || trimmed == "quit"):
			return nil
		case pending.Len() == 0 && (trimmed == `\?` || trimmed == "help"):
			fmt.Fprintln(w, "End a statement with ; to run it.  \\q leaves.  \\d lists tables, \\l databases, \\r ranges.  psql works, too, and does more.")
			continue
		case pending.Len() == 0 && shortcuts[trimmed] != "":
			line = shortcuts[trimmed]
		}
		pending.WriteString(line + "\n")
		if text := strings.TrimSpace(pending.String()); strings.HasSuffix(text, ";") || text == "" {
			pending.Reset()
			if text != "" {
				execute(ctx, c, w, text)
			}
			if c.IsClosed() {
				if c, err = t.connect(ctx); err != nil {
					return err
				}
				fmt.Fprintln(w, "reconnected")
			}
		}
	}
}

var shortcuts = map[string]string{
	`\d`: "SELECT schemaname AS schema, tablename AS table, tableowner AS owner FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'pamir_internal') ORDER BY 1, 2;",
	`\l`: "SELECT datname AS database FROM pg_database ORDER BY 1;",
	`\r`: "SHOW RANGES;",
}

// lineReader edits lines with a history on a terminal and reads plain lines
// otherwise.
func lineReader(prompt string) (read func(more bool) (string, error), restore func()) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		r := bufio.NewReader(os.Stdin)
		return func(bool) (string, error) {
			s, err := r.ReadString('\n')
			if err == io.EOF && s != "" {
				err = nil
			}
			return strings.TrimRight(s, "\r\n"), err
		}, func() {}
	}
	rw := struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}
	tm := term.NewTerminal(rw, "")
	return func(more bool) (string, error) {
		tm.SetPrompt(prompt + "> ")
		if more {
			tm.SetPrompt(strings.Repeat(" ", len(prompt)-1) + "-> ")
		}
		// Raw only while a line is edited, so that a result prints as usual and
		// Ctrl-C during a statement is a signal.
		old, err := term.MakeRaw(fd)
		if err != nil {
			return "", err
		}
		defer func() { _ = term.Restore(fd, old) }() // nothing to be done about a broken terminal
		return tm.ReadLine()
	}, func() {}
}

// execute runs one string and prints what it gives; it reports success.
func execute(ctx context.Context, c *pgconn.PgConn, w io.Writer, sql string) bool {
	began := time.Now()
	mrr := c.Exec(ctx, sql)
	for mrr.NextResult() {
		rr := mrr.ResultReader()
		var header []string
		for _, f := range rr.FieldDescriptions() {
			header = append(header, f.Name)
		}
		var rows [][]string
		for rr.NextRow() {
			row := make([]string, len(rr.Values()))
			for i, v := range rr.Values() {
				if v == nil {
					row[i] = "NULL"
				} else {
					row[i] = string(v)
				}
			}
			rows = append(rows, row)
		}
		tag, err := rr.Close()
		if err != nil {
			break
		}
		if header != nil {
			printTable(w, header, rows)
		} else {
			fmt.Fprintln(w, tag)
		}
	}
	err := mrr.Close()
	var pe *pgconn.PgError
	switch {
	case errors.As(err, &pe):
		fmt.Fprintf(w, "%s:  %s (%s)\n", pe.Severity, pe.Message, pe.Code)
		for _, extra := range [][2]string{{"DETAIL", pe.Detail}, {"HINT", pe.Hint}} {
			if extra[1] != "" {
				fmt.Fprintf(w, "%s:  %s\n", extra[0], extra[1])
			}
		}
		return false
	case err != nil:
		fmt.Fprintln(w, "ERROR: ", err)
		return false
	}
	fmt.Fprintf(w, "Time: %.1f ms\n", float64(time.Since(began).Microseconds())/1000)
	return true
}

func printTable(w io.Writer, header []string, rows [][]string) {
	width := make([]int, len(header))
	for _, r := range append([][]string{header}, rows...) {
		for i, v := range r {
			width[i] = max(width[i], utf8.RuneCountInString(v))
		}
	}
	line := func(r []string) {
		for i, v := range r {
			if i > 0 {
				fmt.Fprint(w, " | ")
			}
			pad := width[i] - utf8.RuneCountInString(v)
			if i == len(r)-1 {
				pad = 0
			}
			fmt.Fprint(w, v, strings.Repeat(" ", pad))
		}
		fmt.Fprintln(w)
	}
	line(header)
	for i, n := range width {
		if i > 0 {
			fmt.Fprint(w, "-+-")
		}
		fmt.Fprint(w, strings.Repeat("-", n))
	}
	fmt.Fprintln(w)
	for _, r := range rows {
		line(r)
	}
	unit := "rows"
	if len(rows) == 1 {
		unit = "row"
	}
	fmt.Fprintf(w, "(%d %s)\n", len(rows), unit)
}

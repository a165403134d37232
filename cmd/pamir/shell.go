package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/term"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/parse"
)

// shell runs what a person types or a script holds, statement by statement.
type shell struct {
	t        shellTarget
	c        *pgconn.PgConn
	in       func(prompt string) (string, error) // a line, without its end
	out, err io.Writer
	// terminal says that a person types; cancels, that Ctrl-C during a statement
	// is meant for that and not for the process.
	terminal, cancels bool
	failed            bool
	statement         splitter
}

// runShell reads statements until the input ends. What a script runs goes on after
// an error, but fails in the end.
func runShell(ctx context.Context, out io.Writer, t shellTarget, cancels bool) error {
	s := &shell{t: t, out: out, err: os.Stderr, cancels: cancels}
	s.in, s.terminal = lineReader()
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer func() { _ = s.c.Close(context.WithoutCancel(ctx)) }() // it is over in any case
	if s.terminal {
		fmt.Fprintln(out, `Type \? for help, \q to leave.`)
	}
	return s.loop(ctx)
}

func (s *shell) connect(ctx context.Context) (err error) {
	s.c, err = s.t.connect(ctx)
	return err
}

func (s *shell) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		line, err := s.in(s.prompt())
		if err != nil {
			break // the end of the input, or an interrupted one
		}
		trimmed := strings.TrimSpace(line)
		if !s.statement.pending() && (strings.HasPrefix(trimmed, `\`) || trimmed == "exit" || trimmed == "quit" || trimmed == "help") {
			if leave := s.command(ctx, trimmed); leave {
				break
			}
			continue
		}
		for _, sql := range s.statement.feed(line) {
			s.run(ctx, sql)
			if err := s.reconnect(ctx); err != nil {
				return err
			}
		}
	}
	if sql := s.statement.rest(); sql != "" && !s.terminal && ctx.Err() == nil {
		s.run(ctx, sql)
	}
	if s.failed && !s.terminal {
		return &exitError{1}
	}
	return nil
}

// prompt tells whether a transaction is open (*) or has failed (!), and whether a
// statement goes on.
func (s *shell) prompt() string {
	p := s.t.user + "@" + s.t.addr + "/" + s.t.database
	if s.statement.pending() {
		return strings.Repeat(" ", len(p)-1) + "-> "
	}
	switch s.c.TxStatus() {
	case 'T':
		return p + "*> "
	case 'E':
		return p + "!> "
	}
	return p + "> "
}

func (s *shell) reconnect(ctx context.Context) error {
	if !s.c.IsClosed() || ctx.Err() != nil {
		return nil
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	fmt.Fprintln(s.err, "reconnected")
	return nil
}

const shellHelp = `End a statement with ; to run it.
  \d [TABLE]   tables, or the columns, indexes and constraints of one
  \di, \du     indexes, users
  \l, \c DB    databases; connect to one
  \r [TABLE]   ranges
  \q           leave
psql works, too, and does more.`

const hiddenSchemas = "('pg_catalog', 'information_schema', 'pg_toast', 'pamir_internal')"

// listings are the commands that run a query.
var listings = map[string]string{
	`\d`:  "SELECT schemaname AS schema, tablename AS name, 'table' AS kind, tableowner AS owner FROM pg_tables WHERE schemaname NOT IN " + hiddenSchemas + " UNION ALL SELECT schemaname, viewname, 'view', viewowner FROM pg_views WHERE schemaname NOT IN " + hiddenSchemas + " ORDER BY 1, 2",
	`\dt`: "SELECT schemaname AS schema, tablename AS table, tableowner AS owner FROM pg_tables WHERE schemaname NOT IN " + hiddenSchemas + " ORDER BY 1, 2",
	`\di`: "SELECT schemaname AS schema, tablename AS table, indexname AS index, indexdef AS definition FROM pg_indexes WHERE schemaname NOT IN " + hiddenSchemas + " ORDER BY 1, 2, 3",
	`\du`: "SELECT rolname AS user, rolsuper AS superuser, rolcanlogin AS login FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' ORDER BY 1",
	`\l`:  "SELECT datname AS database FROM pg_database WHERE NOT datistemplate ORDER BY 1",
	`\r`:  "SHOW RANGES",
}

// described are the queries of \d TABLE, for a name as text.
var described = []string{
	`SELECT a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type, CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS nullable,
	coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS default FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
	`SELECT pg_get_indexdef(indexrelid) AS indexes FROM pg_index WHERE indrelid = %s::regclass ORDER BY 1`,
	`SELECT conname AS constraint, pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conrelid = %s::regclass ORDER BY 1`,
}

// command runs a line that is no SQL; it reports whether to leave.
func (s *shell) command(ctx context.Context, line string) (leave bool) {
	name, arg, _ := strings.Cut(strings.TrimRight(line, "; "), " ")
	arg = strings.TrimSpace(arg)
	switch {
	case name == `\q` || name == "exit" || name == "quit":
		return true
	case name == `\?` || name == "help":
		fmt.Fprintln(s.out, shellHelp)
	case name == `\d` && arg != "":
		for _, q := range described {
			if !s.run(ctx, fmt.Sprintf(q, "'"+strings.ReplaceAll(arg, "'", "''")+"'")) {
				break
			}
		}
	case name == `\r` && arg != "":
		s.run(ctx, "SHOW RANGES FROM TABLE "+arg)
	case name == `\c` && arg != "":
		s.use(ctx, arg)
	case listings[name] != "" && arg == "":
		s.run(ctx, listings[name])
	default:
		s.failed = true
		fmt.Fprintf(s.err, "invalid command %s. Try \\? for help.\n", name)
	}
	return false
}

// use connects to another database, and stays where it is if that fails.
func (s *shell) use(ctx context.Context, database string) {
	t := s.t
	t.database = database
	c, err := t.connect(ctx)
	if err != nil {
		s.failed = true
		printError(s.err, "", err)
		return
	}
	_ = s.c.Close(ctx) // the new one serves from here on
	s.t, s.c = t, c
}

// run runs one statement and prints what it gives; it reports success.
func (s *shell) run(ctx context.Context, sql string) bool {
	began := time.Now()
	if s.cancels {
		defer s.listen(ctx)()
	}
	var err error
	switch copies(sql) {
	case copyFrom:
		var tag pgconn.CommandTag
		lines := &copyLines{s: s}
		if tag, err = s.c.CopyFrom(ctx, lines, sql); err == nil {
			fmt.Fprintln(s.out, tag)
		} else if !s.terminal {
			_, _ = io.Copy(io.Discard, lines) // data of a copy that failed is no SQL
		}
	case copyTo:
		_, err = s.c.CopyTo(ctx, s.out, sql)
	default:
		err = s.query(ctx, sql)
	}
	if err != nil {
		s.failed = true
		printError(s.err, sql, err)
		return false
	}
	if s.terminal {
		fmt.Fprintf(s.out, "Time: %.1f ms\n", float64(time.Since(began).Microseconds())/1000)
	}
	return true
}

// listen makes Ctrl-C cancel the statement that runs, until the function that it
// returns is called.
func (s *shell) listen(ctx context.Context) (done func()) {
	interrupts, end := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(interrupts, os.Interrupt)
	go func() {
		for {
			select {
			case <-interrupts:
				if err := s.c.CancelRequest(ctx); err != nil {
					fmt.Fprintln(s.err, "canceling failed:", err)
				}
			case <-end:
				return
			}
		}
	}()
	return func() {
		signal.Stop(interrupts)
		close(end)
	}
}

// query runs a string of statements that need no more of the client.
func (s *shell) query(ctx context.Context, sql string) error {
	mrr := s.c.Exec(ctx, sql)
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
			printTable(s.out, header, rows)
		} else {
			fmt.Fprintln(s.out, tag)
		}
	}
	return mrr.Close()
}

type copyKind int

const (
	copyNone copyKind = iota
	copyFrom
	copyTo
)

// copies tells whether a statement is a COPY that the client takes part in.
func copies(sql string) copyKind {
	st, ok, err := parse.ParseOne(sql)
	if err != nil || !ok {
		return copyNone // the server says what is wrong
	}
	n, ok := st.Node.(*ast.CopyStmt)
	switch {
	case !ok || n.Filename != "" || n.IsProgram:
		return copyNone
	case n.IsFrom:
		return copyFrom
	}
	return copyTo
}

// copyLines are the lines of data that follow a COPY, up to one that is \. alone.
type copyLines struct {
	s    *shell
	rest []byte
	done bool
}

var errCopyLeft = errors.New(`interrupted; \. on a line of its own ends the data`)

// Read implements io.Reader.
func (c *copyLines) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.done {
			return 0, io.EOF
		}
		line, err := c.s.in(">> ")
		switch {
		case err != nil && c.s.terminal:
			return 0, errCopyLeft
		case err != nil || line == `\.`:
			c.done = true
		default:
			c.rest = append(append(c.rest[:0], line...), '\n')
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// lineReader edits lines with a history on a terminal and reads plain lines
// otherwise.
func lineReader() (read func(prompt string) (string, error), terminal bool) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		r := bufio.NewReaderSize(os.Stdin, 64<<10)
		return func(string) (string, error) {
			s, err := r.ReadString('\n')
			if err == io.EOF && s != "" {
				err = nil
			}
			return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r"), err
		}, false
	}
	rw := struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}
	tm := term.NewTerminal(rw, "")
	// The data of COPY have tabs, which the terminal would drop.
	tm.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		return line[:pos] + "\t" + line[pos:], pos + 1, true
	}
	return func(prompt string) (string, error) {
		tm.SetPrompt(prompt)
		if width, height, err := term.GetSize(fd); err == nil && width > 0 {
			if err := tm.SetSize(width, height); err != nil {
				return "", err
			}
		}
		// Raw only while a line is edited, so that a result prints as usual and
		// Ctrl-C during a statement is a signal.
		old, err := term.MakeRaw(fd)
		if err != nil {
			return "", err
		}
		defer func() { _ = term.Restore(fd, old) }() // nothing to be done about a broken terminal
		line, err := tm.ReadLine()
		if errors.Is(err, term.ErrPasteIndicator) {
			err = nil // a line that was pasted is one
		}
		return line, err
	}, true
}

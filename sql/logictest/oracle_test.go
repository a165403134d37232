package logictest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pamirdb/pamir/sql/types"
)

var oracle = flag.String("oracle", "", "URL of a PostgreSQL 15 server whose answers are written into the files; its database pamir_logic is made anew for each file")

// TestOracle writes PostgreSQL's answers into the files, if a server is named.
// Without one it checks that no record lacks an answer.
func TestOracle(t *testing.T) {
	for _, path := range files(t) {
		records := load(t, path)
		if *oracle == "" {
			for _, r := range records {
				if r.Kind == Raw && r.SQL != "" {
					t.Errorf("%s:%d: no answer is recorded: run with -oracle", path, r.Line)
				}
			}
			continue
		}
		ask(t, path, records)
	}
}

func ask(t *testing.T, path string, records []*Record) {
	pg := &postgres{sessions: map[string]*pgSession{}}
	if err := pg.fresh(); err != nil {
		t.Fatal(err)
	}
	defer pg.close()
	x := &Runner{Engine: pg,
		Variant: "plain",
		Skip:    func(r *Record) bool { return r.PamirOnly != "" },
		Step: func(r *Record, a *Answer) {
			if r.Differs == "" {
				r.Set(a)
			}
		}}
	if err := x.Run(records); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	save(t, path, records)
}

// postgres is an Engine: a database on a PostgreSQL server.
type postgres struct {
	mu       sync.Mutex
	sessions map[string]*pgSession
}

type pgSession struct {
	c       *pgconn.PgConn
	notices []string
}

const database = "pamir_logic"

func (p *postgres) fresh() error {
	ctx := context.Background()
	c, err := pgconn.Connect(ctx, *oracle)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, sql := range []string{
		"drop database if exists " + database,
		"do $$ begin if not exists (select from pg_roles where rolname = 'root') then create role root superuser login; end if; end $$",
		"create database " + database + " owner root template template0 lc_collate 'C' lc_ctype 'C.UTF-8' encoding 'UTF8'",
	} {
		if _, err := c.Exec(ctx, sql).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

func (p *postgres) open(name string) (*pgSession, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.sessions[name]; s != nil {
		return s, nil
	}
	ctx := context.Background()
	cfg, err := pgconn.ParseConfig(*oracle)
	if err != nil {
		return nil, err
	}
	s := &pgSession{}
	cfg.Database, cfg.User = database, "root"
	cfg.RuntimeParams["timezone"] = "UTC"
	cfg.RuntimeParams["statement_timeout"] = "30s"
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		s.notices = append(s.notices, n.Severity+": "+escape(n.Message))
	}
	if s.c, err = pgconn.ConnectConfig(ctx, cfg); err != nil {
		return nil, err
	}
	p.sessions[name] = s
	return s, nil
}

func (p *postgres) close() {
	for _, s := range p.sessions {
		s.c.Close(context.Background())
	}
}

// Run implements Engine.
func (p *postgres) Run(name, sql, in string) *Answer {
	s, err := p.open(name)
	if err != nil {
		return &Answer{Err: types.Errorf("08006", "%v", err)}
	}
	a := &Answer{}
	s.notices = nil
	if err := s.run(a, sql, in); err != nil {
		a.Err = types.Errorf("08006", "%v", err)
		var e *pgconn.PgError
		if errors.As(err, &e) {
			a.Err = &types.Error{Code: e.Code, Message: e.Message, Detail: e.Detail, Hint: e.Hint, Position: int(e.Position)}
		}
	}
	a.Notices = s.notices
	return a
}

func (s *pgSession) run(a *Answer, sql, in string) error {
	ctx := context.Background()
	low := strings.ToLower(sql)
	if strings.HasPrefix(low, "copy") && strings.Contains(low, "stdin") {
		if in != "" {
			in += "\n"
		}
		tag, err := s.c.CopyFrom(ctx, strings.NewReader(in), sql)
		if err == nil {
			a.Results = append(a.Results, Result{Tag: tag.String()})
		}
		return err
	}
	if strings.HasPrefix(low, "copy") && strings.Contains(low, "stdout") {
		var b bytes.Buffer
		tag, err := s.c.CopyTo(ctx, &b, sql)
		if err == nil {
			r := Result{Tag: tag.String()}
			r.copied(b.String())
			a.Results = append(a.Results, r)
		}
		return err
	}
	m := s.c.Exec(ctx, sql)
	for m.NextResult() {
		r, err := result(m.ResultReader())
		if err != nil {
			break
		}
		a.Results = append(a.Results, r)
	}
	return m.Close()
}

func result(rr *pgconn.ResultReader) (Result, error) {
	var r Result
	fields := rr.FieldDescriptions()
	if fields != nil {
		r.Columns = []string{}
	}
	for _, f := range fields {
		r.Columns = append(r.Columns, column(f.Name, types.Type{OID: types.OID(f.DataTypeOID), Mod: f.TypeModifier}))
	}
	for rr.NextRow() {
		values := make([]*string, len(fields))
		for i, v := range rr.Values() {
			if v != nil {
				text := string(v)
				values[i] = &text
			}
		}
		r.Rows = append(r.Rows, row(values))
	}
	tag, err := rr.Close()
	if err != nil {
		return r, fmt.Errorf("result: %w", err)
	}
	r.Tag = tag.String()
	return r, nil
}

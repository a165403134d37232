// Command oracle fills the golden files under testdata/bind with the answers of
// a PostgreSQL server: oracle URL FILE... It creates the database plan_oracle
// there anew for each file, runs the file's "table" commands, and describes every
// other statement.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: oracle URL FILE...")
		os.Exit(2)
	}
	for _, path := range os.Args[2:] {
		if err := fill(context.Background(), os.Args[1], path); err != nil {
			fmt.Fprintln(os.Stderr, path+":", err)
			os.Exit(1)
		}
	}
}

// fresh returns a connection to a new, empty database.
func fresh(ctx context.Context, url string) (*pgx.Conn, error) {
	const name = "plan_oracle"
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{"drop database if exists " + name, "create database " + name} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	cfg := c.Config().Copy()
	cfg.Database = name
	if err := c.Close(ctx); err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, cfg)
}

func fill(ctx context.Context, url, path string) error {
	c, err := fresh(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var blocks []string
	for _, block := range strings.Split(string(b), "\n\n") {
		block, _, _ = strings.Cut(block, "\n----")
		if block = strings.TrimRight(block, "\n"); block == "" {
			continue
		}
		cmd, sql, _ := strings.Cut(block, "\n")
		answer := ""
		if strings.HasPrefix(cmd, "table") {
			_, err = c.Exec(ctx, sql)
		} else {
			answer, err = describe(ctx, c, sql)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		blocks = append(blocks, block+"\n----\n"+answer)
	}
	return os.WriteFile(path, []byte(strings.Join(blocks, "\n")), 0o644)
}

func describe(ctx context.Context, c *pgx.Conn, sql string) (string, error) {
	d, err := c.PgConn().Prepare(ctx, "", sql, nil)
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return fmt.Sprintf("ERROR %s: %s @%d\n", pe.Code, pe.Message, pe.Position), nil
	}
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for i, p := range d.ParamOIDs {
		t, err := format(ctx, c, p, -1)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "$%d %s\n", i+1, t)
	}
	for _, f := range d.Fields {
		t, err := format(ctx, c, f.DataTypeOID, f.TypeModifier)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%s %s", f.Name, t)
		if f.TableOID != 0 {
			fmt.Fprintf(&out, " attr=%d", f.TableAttributeNumber)
		}
		out.WriteString("\n")
	}
	return out.String(), nil
}

func format(ctx context.Context, c *pgx.Conn, oid uint32, mod int32) (t string, err error) {
	err = c.QueryRow(ctx, "select format_type($1, $2)", oid, mod).Scan(&t)
	return t, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/pamirdb/pamir/pkg/server"
	"github.com/pamirdb/pamir/sql/parse"
)

func importCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Load data of other systems"}
	cmd.AddCommand(importMySQLCommand())
	return cmd
}

func importMySQLCommand() *cobra.Command {
	t := shellTarget{}
	var insecure, force bool
	cmd := &cobra.Command{
		Use:   "mysqldump FILE",
		Short: "Run a file written by mysqldump",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !insecure && t.certsDir == "" {
				return errors.New("give --certs-dir, or --insecure for a server without TLS")
			}
			t.password = os.Getenv("PGPASSWORD")
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			return importMySQL(cmd.Context(), cmd.OutOrStdout(), t, f, force)
		},
	}
	cmd.Flags().StringVar(&t.addr, "host", server.DefaultSQLAddr, "SQL address of any node")
	cmd.Flags().StringVarP(&t.user, "user", "u", "root", "user")
	cmd.Flags().StringVarP(&t.database, "database", "d", "defaultdb", "database to load into")
	cmd.Flags().StringVar(&t.certsDir, "certs-dir", "", "directory with ca.crt and the user's certificate")
	cmd.Flags().BoolVar(&insecure, "insecure", false, "the server runs without TLS")
	cmd.Flags().BoolVar(&force, "force", false, "go on after a statement that fails")
	return cmd
}

// importMySQL translates each statement of the dump and runs it.
func importMySQL(ctx context.Context, w io.Writer, t shellTarget, f io.Reader, force bool) error {
	c, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	began, statements, failed := time.Now(), 0, 0
	for statement, err := range parse.SplitMySQLDump(f) {
		if err != nil {
			return fmt.Errorf("reading the dump: %w", err)
		}
		// The dump's dialect is left behind here: what is sent is PostgreSQL's.
		stmt, err := parse.Format(statement.Node)
		if err != nil {
			return fmt.Errorf("translating %.100q: %w", statement.Text, err)
		}
		_, err = c.Exec(ctx, stmt).ReadAll()
		var pe *pgconn.PgError
		switch {
		case errors.As(err, &pe):
			failed++
			fmt.Fprintf(w, "%s:  %s (%s)\n  in: %.100s\n", pe.Severity, pe.Message, pe.Code, strings.TrimSpace(stmt))
			if !force {
				return &exitError{1}
			}
		case err != nil:
			return err
		}
		if statements++; statements%1000 == 0 {
			fmt.Fprintf(w, "%d statements, %.0f s\n", statements, time.Since(began).Seconds())
		}
	}
	fmt.Fprintf(w, "Ran %d statements in %.1f s, %d failed.\n", statements, time.Since(began).Seconds(), failed)
	if failed > 0 {
		return &exitError{1}
	}
	return nil
}

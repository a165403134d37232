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
	"github.com/pamirdb/pamir/sql/types"
)

func importCommand() *cobra.Command {
	return group("import", "Load data of other systems", importMySQLCommand())
}

func importMySQLCommand() *cobra.Command {
	t := shellTarget{}
	var insecure, force bool
	cmd := &cobra.Command{
		Use:   "mysqldump FILE",
		Short: "Run a file written by mysqldump",
		Long: `Run a file written by mysqldump. It stops at the first statement that fails, or goes on with --force,
and ends with status 1 if any did.

` + passwordHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !insecure && t.certsDir == "" {
				return errors.New("give --certs-dir, or --insecure for a server without TLS")
			}
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
		if err != nil && statement.Text == "" {
			return fmt.Errorf("reading the dump: %w", err)
		}
		stmt := statement.Text
		switch {
		case err == nil && parse.HasNoText(statement.Node):
			_, err = c.Exec(ctx, "SET sql_dialect = 'mysql'").ReadAll()
			if err == nil {
				_, err = c.Exec(ctx, stmt).ReadAll()
			}
			if _, back := c.Exec(ctx, "SET sql_dialect = 'postgres'").ReadAll(); back != nil {
				return back
			}
		case err == nil:
			// The dump's dialect is left behind here: what is sent is PostgreSQL's.
			if stmt, err = parse.Format(statement.Node); err == nil {
				_, err = c.Exec(ctx, stmt).ReadAll()
			}
		}
		if err != nil {
			message, ok := statementError(err)
			if !ok {
				return err
			}
			failed++
			fmt.Fprintf(w, "%s\n  in: %.100s\n", message, strings.TrimSpace(stmt))
			if !force {
				return &exitError{1}
			}
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

// statementError tells what is wrong with one statement of a dump; ok is false
// for what concerns the connection.
func statementError(err error) (message string, ok bool) {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return fmt.Sprintf("%s:  %s (%s)", pe.Severity, pe.Message, pe.Code), true
	}
	var te *types.Error
	if errors.As(err, &te) {
		return fmt.Sprintf("ERROR:  %s (%s)", te.Message, te.Code), true
	}
	return "", false
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pamirdb/pamir/pkg/server"
)

func main() {
	if err := rootCommand().Execute(); err != nil {
		var quiet *exitError
		if errors.As(err, &quiet) {
			os.Exit(quiet.code)
		}
		fmt.Fprintln(os.Stderr, "pamir:", err)
		os.Exit(1)
	}
}

// exitError ends the process with a code after everything was said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "pamir",
		Short:         "Pamir: a replicated, range-sharded SQL database that speaks PostgreSQL's protocol",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       versionText(),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(startCommand(), startSingleNodeCommand(), initCommand(), demoCommand(), sqlCommand(),
		certCommand(), nodeCommand(), importCommand(), versionCommand())
	return root
}

// group is a command that only has others: by itself it helps, and it refuses one
// that it does not have.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true}} // flags of the command that it does not have
	cmd.AddCommand(commands...)
	return cmd
}

func versionText() string {
	revision := ""
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	return "pamir " + server.Version + revision
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), versionText()) }}
}

// logger writes to standard error.
func logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level=%s: want debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}

// patience is how long after the first signal another one is taken for the same:
// a terminal, a shell and a supervisor may each pass one Ctrl-C on.
const patience = 500 * time.Millisecond

// interruptible returns a context that the first Ctrl-C or SIGTERM ends. A later
// one ends the process.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-ch:
			cancel()
		case <-ctx.Done():
			signal.Stop(ch)
			return
		}
		for first := time.Now(); time.Since(first) < patience; {
			<-ch
		}
		fmt.Fprintln(os.Stderr, "pamir: stopped without draining")
		os.Exit(1)
	}()
	return ctx, cancel
}

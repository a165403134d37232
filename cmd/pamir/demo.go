package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/server"
)

// demo is a cluster in one process.
type demo struct {
	nodes []*server.Server
}

func demoCommand() *cobra.Command {
	var store, level string
	var count int
	var c server.Config
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a cluster of three nodes in this process, with a SQL shell and the dashboard",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logger(level)
			if err != nil {
				return err
			}
			ctx, cancel := interruptible()
			defer cancel()
			return runDemo(ctx, cmd, c, store, count, log)
		},
	}
	cmd.Flags().StringVar(&store, "store", "", "directory for the data; without it everything is in memory")
	cmd.Flags().IntVar(&count, "nodes", 3, "number of nodes")
	cmd.Flags().StringVar(&c.SQLAddr, "sql-addr", server.DefaultSQLAddr, "address for PostgreSQL clients (the first node's)")
	cmd.Flags().StringVar(&c.HTTPAddr, "http-addr", server.DefaultHTTPAddr, "address of the dashboard (the first node's)")
	cmd.Flags().StringVar(&level, "log-level", "warn", "debug, info, warn or error")
	return cmd
}

func runDemo(ctx context.Context, cmd *cobra.Command, c server.Config, store string, count int, log *slog.Logger) (err error) {
	holdBallast()
	if count < 1 {
		return errors.New("--nodes: at least one")
	}
	began := time.Now()
	d := &demo{}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.start(ctx, c, store, count, log); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop, which is no failure
		}
		return err
	}
	out := cmd.OutOrStdout()
	host, port := splitAddr(d.nodes[0].SQLAddr())
	fmt.Fprintf(out, "Pamir %s: %d nodes in this process, up in %d ms\n", server.Version, count, time.Since(began).Milliseconds())
	if store == "" {
		fmt.Fprintln(out, "  data       in memory, gone when this ends (--store=DIR keeps it)")
	} else {
		fmt.Fprintf(out, "  data       %s\n", store)
	}
	fmt.Fprintf(out, "  dashboard  %s\n", d.nodes[0].HTTPURL())
	for i, n := range d.nodes {
		fmt.Fprintf(out, "  SQL n%d     postgresql://root@%s/defaultdb?sslmode=disable\n", i+1, n.SQLAddr())
	}
	fmt.Fprintf(out, "  psql       psql -h %s -p %s -U root -d defaultdb\n", host, port)
	fmt.Fprintln(out, "Insecure: for trying out, on this machine only.")
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		// No one types: serve until told to stop.
		<-ctx.Done()
		return nil
	}
	return runShell(ctx, out, shellTarget{addr: d.nodes[0].SQLAddr(), user: "root", database: "defaultdb"}, false)
}

// start brings the nodes up: the first one initializes, the others join it.
func (d *demo) start(ctx context.Context, c server.Config, store string, count int, log *slog.Logger) error {
	for i := range count {
		nc := server.Config{SQLAddr: c.SQLAddr, HTTPAddr: c.HTTPAddr, ListenAddr: "127.0.0.1:0", Insecure: true,
			Replicas: min(count, 3), Locality: fmt.Sprintf("zone=%c", 'a'+i), Logger: log.With("node", i+1), HTTPHandler: dashboard}
		if store != "" {
			nc.StoreDir = filepath.Join(store, fmt.Sprintf("n%d", i+1))
		}
		if i > 0 {
			nc.SQLAddr, nc.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0"
			nc.Join = []string{d.nodes[0].RPCAddr()}
		}
		s, err := server.Start(ctx, nc)
		if err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
		d.nodes = append(d.nodes, s)
		if i == 0 && !s.Member() {
			t := adminTarget{host: s.RPCAddr(), insecure: true}
			if _, err := t.call(ctx, rpc.MethodInit, nil); err != nil {
				return err
			}
		}
	}
	for i, n := range d.nodes {
		if err := n.WaitReady(ctx); err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
	}
	return nil
}

func (d *demo) stop() error {
	// All at once: draining one node after the other would only move leases to
	// nodes that stop next.
	errs := make(chan error, len(d.nodes))
	for _, n := range d.nodes {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
			defer cancel()
			errs <- n.StopWithCluster(ctx)
		}()
	}
	var all error
	for range d.nodes {
		all = errors.Join(all, <-errs)
	}
	return all
}

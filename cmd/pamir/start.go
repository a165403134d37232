package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pamirdb/pamir/kv/lifecycle"
	"github.com/pamirdb/pamir/pkg/admin"
	"github.com/pamirdb/pamir/pkg/server"
)

// stopWithin bounds a clean stop; draining takes a fraction of it.
const stopWithin = 3 * time.Second

// nodeFlags are what start and start-single-node share.
func nodeFlags(f *pflag.FlagSet, c *server.Config, level *string) {
	f.StringVar(&c.StoreDir, "store", "pamir-data", "directory of the node's data")
	f.StringVar(&c.SQLAddr, "sql-addr", server.DefaultSQLAddr, "address for PostgreSQL clients")
	f.StringVar(&c.HTTPAddr, "http-addr", server.DefaultHTTPAddr, "address of the dashboard")
	f.StringVar(&c.Locality, "locality", "", "where the node is, most general first: region=eu,zone=a")
	f.StringVar(&c.CertsDir, "certs-dir", "", "directory of certificates (pamir cert makes them)")
	f.BoolVar(&c.Insecure, "insecure", false, "no TLS and no passwords: anyone who reaches the ports is root")
	f.DurationVar(&c.MaxOffset, "max-offset", server.DefaultMaxOffset, "largest clock difference between nodes that is tolerated; the same on every node")
	f.Int64Var(&c.RangeMaxBytes, "range-max-bytes", 64<<20, "size in bytes past which a range splits")
	f.StringVar(level, "log-level", "info", "debug, info, warn or error")
}

func startCommand() *cobra.Command {
	var c server.Config
	var level string
	cmd := &cobra.Command{
		Use:   "start --join=HOST:PORT,...",
		Short: "Start a node of a cluster",
		Long: `Start a node of a cluster. Start every node with the same --join list, then run
"pamir init" once, against any of them. A node that was a member before needs no init.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runNode(cmd, c, level) },
	}
	nodeFlags(cmd.Flags(), &c, &level)
	cmd.Flags().StringVar(&c.ListenAddr, "listen-addr", server.DefaultListenAddr, "address for other nodes")
	cmd.Flags().StringVar(&c.AdvertiseAddr, "advertise-addr", "", "address that other nodes dial (default --listen-addr)")
	cmd.Flags().StringSliceVar(&c.Join, "join", nil, "listen addresses of the cluster's nodes")
	cmd.Flags().DurationVar(&c.StoreDeadAfter, "store-dead-after", lifecycle.DefaultDeadAfter, "how long a node may be gone before its replicas are replaced")
	return cmd
}

func startSingleNodeCommand() *cobra.Command {
	c := server.Config{SingleNode: true}
	var level string
	cmd := &cobra.Command{
		Use:   "start-single-node",
		Short: "Start a node that is a cluster of its own",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runNode(cmd, c, level) },
	}
	nodeFlags(cmd.Flags(), &c, &level)
	cmd.Flags().StringVar(&c.ListenAddr, "listen-addr", "", "address for nodes that join later")
	return cmd
}

// runNode serves until it is told to stop.
func runNode(cmd *cobra.Command, c server.Config, level string) error {
	holdBallast()
	if c.StoreDir == "" {
		return errors.New("--store=: give the directory of the node's data (pamir demo keeps data in memory)")
	}
	log, err := logger(level)
	if err != nil {
		return err
	}
	c.Logger = log
	c.HTTPHandler = dashboard
	ctx, cancel := interruptible()
	defer cancel()
	s, err := server.Start(ctx, c)
	if err != nil {
		return err
	}
	ready := make(chan error, 1)
	go func() { ready <- s.WaitReady(ctx) }()
	select {
	case err := <-ready:
		if err != nil && ctx.Err() == nil {
			return errors.Join(err, stopServer(s))
		}
		if err == nil {
			announce(cmd.OutOrStdout(), s, c)
		}
	case <-ctx.Done():
	}
	select {
	case <-ctx.Done():
	case err := <-s.Failed():
		return errors.Join(err, stopServer(s))
	}
	return stopServer(s)
}

func stopServer(s *server.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return s.Stop(ctx)
}

// announce tells a person what to do next.
func announce(w io.Writer, s *server.Server, c server.Config) {
	fmt.Fprintf(w, "Pamir %s, node %d of cluster %s\n", server.Version, s.NodeID(), s.ClusterID())
	if c.Insecure {
		fmt.Fprintln(w, "WARNING: insecure. No TLS, no passwords: anyone who reaches the ports below is root.")
	}
	for _, l := range [][2]string{{"store", c.StoreDir}, {"SQL", s.SQLAddr()}, {"nodes", s.RPCAddr()}, {"dashboard", s.HTTPURL()}} {
		if l[1] != "" {
			fmt.Fprintf(w, "  %-10s %s\n", l[0], l[1])
		}
	}
	if host, port := splitAddr(s.SQLAddr()); port != "" && c.Insecure {
		fmt.Fprintf(w, "  %-10s psql -h %s -p %s -U root -d defaultdb\n", "connect", host, port)
	}
}

// dashboard is what the HTTP port serves.
func dashboard(s *server.Server) http.Handler { return admin.Handler(s) }

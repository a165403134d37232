package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/pkg/server"
)

// adminTarget says which node an operator's command talks to.
type adminTarget struct {
	host, certsDir string
	insecure       bool
}

func (a *adminTarget) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.host, "host", server.DefaultListenAddr, "listen address of any node")
	cmd.Flags().StringVar(&a.certsDir, "certs-dir", "", "directory with ca.crt and the node's certificate")
	cmd.Flags().BoolVar(&a.insecure, "insecure", false, "the cluster runs without TLS")
}

// call sends one request to the node.
func (a *adminTarget) call(ctx context.Context, m rpc.Method, payload []byte) ([]byte, error) {
	var client *tls.Config
	if !a.insecure {
		if a.certsDir == "" {
			return nil, fmt.Errorf("give --certs-dir, or --insecure for a cluster without TLS")
		}
		var err error
		if _, client, _, err = security.NodeTLS(a.certsDir); err != nil {
			return nil, err
		}
	}
	n := rpc.NewNode(ctx, rpc.Options{ClientTLS: client, Resolve: func(ids.NodeID) (string, bool) { return "", false }})
	defer n.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answer, err := n.CallAddr(ctx, a.host, m, payload)
	var wrong *rpc.AddrError
	if errors.As(err, &wrong) {
		return nil, fmt.Errorf("no node answers at --host=%s: %s", a.host, wrong.Reason)
	}
	return answer, err
}

func initCommand() *cobra.Command {
	var t adminTarget
	cmd := &cobra.Command{
		Use:   "init --host=HOST:PORT",
		Short: "Initialize a new cluster; once, against any one of its nodes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := t.call(cmd.Context(), rpc.MethodInit, nil); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Cluster initialized. The other nodes join by themselves.")
			return nil
		},
	}
	t.flags(cmd)
	return cmd
}

func splitAddr(addr string) (host, port string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", ""
	}
	return host, port
}

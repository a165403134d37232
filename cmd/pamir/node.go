package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/server"
)

func nodeCommand() *cobra.Command {
	return group("node", "Show, drain and decommission nodes", nodeStatusCommand(), nodeDrainCommand(), nodeDecommissionCommand())
}

func nodeStatusCommand() *cobra.Command {
	var t adminTarget
	cmd := &cobra.Command{
		Use: "status", Short: "List the cluster's nodes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := t.call(cmd.Context(), rpc.MethodAdmin, encodeAdmin(server.AdminRequest{Op: server.AdminStatus}))
			if err != nil {
				return err
			}
			var a server.StatusAnswer
			if err := json.Unmarshal(b, &a); err != nil {
				return err
			}
			rows := make([][]string, len(a.Nodes))
			for i, n := range a.Nodes {
				rows[i] = []string{fmt.Sprint(int(n.ID)), n.RPCAddr, n.SQLAddr, fmt.Sprint(n.Live), fmt.Sprint(n.Draining),
					fmt.Sprint(n.Decommissioning), fmt.Sprint(n.Ranges), fmt.Sprint(n.Leases), n.Locality}
			}
			printTable(cmd.OutOrStdout(), []string{"id", "address", "sql", "live", "draining", "decommissioning", "ranges", "leases", "locality"}, rows)
			if a.Trouble != "" {
				return fmt.Errorf("the cluster does not answer (%s): this is what %s knows by itself", a.Trouble, a.From)
			}
			return nil
		},
	}
	t.flags(cmd)
	return cmd
}

func nodeDrainCommand() *cobra.Command {
	var t adminTarget
	cmd := &cobra.Command{
		Use: "drain", Short: "Make the node at --host give its leases away and refuse new sessions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := t.call(cmd.Context(), rpc.MethodAdmin, encodeAdmin(server.AdminRequest{Op: server.AdminDrain}))
			if err != nil {
				return err
			}
			var a server.DrainAnswer
			if err := json.Unmarshal(b, &a); err != nil {
				return err
			}
			if a.Sessions > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "The leases are given away. Sessions still in a transaction: %d. Stopping the process ends them.\n", a.Sessions)
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Drained. The process can be stopped.")
			return nil
		},
	}
	t.flags(cmd)
	cmd.Flags().Lookup("host").Usage = "listen address of the node to drain"
	return cmd
}

func nodeDecommissionCommand() *cobra.Command {
	var t adminTarget
	cmd := &cobra.Command{
		Use: "decommission NODE-ID", Short: "Move all replicas away from a node for good", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(strings.TrimPrefix(args[0], "n"), 10, 32)
			if err != nil || id < 1 {
				return fmt.Errorf("%q is no node: want the number that \"pamir node status\" shows", args[0])
			}
			req := server.AdminRequest{Op: server.AdminDecommission, Node: ids.NodeID(id)}
			if _, err := t.call(cmd.Context(), rpc.MethodAdmin, encodeAdmin(req)); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Decommissioning. \"pamir node status\" shows when its ranges are gone.")
			return nil
		},
	}
	t.flags(cmd)
	return cmd
}

func encodeAdmin(r server.AdminRequest) []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("encoding %T: %v", r, err)) // a struct of plain fields
	}
	return b
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pamirdb/pamir/pkg/security"
)

func certCommand() *cobra.Command {
	var dir string
	cmd := group("cert", "Make certificates for nodes and clients")
	cmd.PersistentFlags().StringVar(&dir, "certs-dir", "certs", "directory of certificates and keys")
	said := func(cmd *cobra.Command, what string) { fmt.Fprintf(cmd.OutOrStdout(), "Wrote %s to %s\n", what, dir) }
	cmd.AddCommand(&cobra.Command{
		Use: "create-ca", Short: "Make a certificate authority", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := security.CreateCA(dir); err != nil {
				return err
			}
			said(cmd, "ca.crt and ca.key (keep the key off the nodes)")
			return nil
		},
	}, &cobra.Command{
		Use: "create-node HOST...", Short: "Make a node certificate for the names and addresses it is reached by", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, hosts []string) error {
			if err := security.CreateNode(dir, hosts); err != nil {
				return err
			}
			said(cmd, "node.crt and node.key")
			return nil
		},
	}, &cobra.Command{
		Use: "create-client USER", Short: "Make a certificate for a SQL user", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := security.CreateClient(dir, args[0]); err != nil {
				return err
			}
			said(cmd, "client."+args[0]+".crt and client."+args[0]+".key")
			return nil
		},
	})
	return cmd
}

// Command pamir is the one binary: a node, a demonstration cluster, a SQL shell
// and the tools that operate a cluster, one file for each subcommand.
package main

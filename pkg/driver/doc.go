// Package driver embeds Pamir in a Go program: one import, a directory or memory,
// no TCP. It registers the database/sql driver "pamir", and Open gives more: a
// pgx configuration and the *sql.DB of one node.
//
//	import _ "github.com/pamirdb/pamir/pkg/driver"
//	db, err := sql.Open("pamir", "/var/lib/app/data") // or ":memory:"
//
// The directory is an ordinary node's: `pamir start-single-node --store=DIR` can
// serve it later.
//
// A module that imports this package says
//
//	exclude github.com/hashicorp/go-metrics v0.7.0
//
// in its go.mod, as Pamir's does: hashicorp/raft asks for that version, and
// raft-boltdb for a package that it no longer has.
//
// Invariants:
//  1. One process opens a directory once, by whatever name; the connections share
//     its node.
//  2. Closing the last *sql.DB of a directory stops its node and makes
//     everything durable.
package driver

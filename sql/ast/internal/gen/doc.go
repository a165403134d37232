// Command gen writes the syntax tree and its lowering from the Go bindings of
// the PostgreSQL grammar: sql/ast/nodes_gen.go, sql/ast/walk_gen.go,
// sql/parse/lower_gen.go and sql/parse/raise_gen.go.
//
// It reads struct definitions and field tags of the bindings' source, so that a
// new grammar version only needs another run of go generate.
package main

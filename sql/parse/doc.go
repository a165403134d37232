// Package parse turns SQL text into trees of sql/ast.
//
// It owns the guard that runs before any grammar, the PostgreSQL grammar and its
// lowering (generated), the MySQL grammar and its lowering (by hand), the
// splitter for MySQL dumps, the statement templates that plans are cached by,
// and the way back from tree to text. It refuses names, types and everything
// else that needs a catalog or a session.
//
//	text -> guard -> grammar (C) -> serialized tree -> lowering -> ast
//	text -> template lexer -> key + literals            (no grammar at all)
//
// Invariants:
//  1. No input crashes the process: what the grammars cannot bear is refused
//     with 54001 by a linear scan before they see it.
//  2. Every error is a *types.Error with a SQLSTATE and, where the grammar names
//     one, a position in characters from 1.
//  3. Two statements with one template key differ in their lifted literals only:
//     their trees are equal but for the values of those constants.
//  4. Nothing here keeps a reference to a caller's buffer; trees and statements
//     may share memory with the statement's string.
package parse

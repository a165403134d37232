// Package copyfmt reads and writes the text and CSV formats of COPY, as
// PostgreSQL defines them: rows of fields on one side, bytes on the other. It
// knows no types: a field is text or NULL.
//
// Invariants:
//  1. What a Writer wrote a Reader of the same options reads back.
//  2. A Reader never holds more than one row and one buffer, and refuses a row
//     past MaxRowBytes.
package copyfmt

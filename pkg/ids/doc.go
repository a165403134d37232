// Package ids holds the identifiers that every layer names things by. It owns
// their types and textual forms and nothing else.
package ids

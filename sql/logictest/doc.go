// Package logictest runs SQL logic tests: files of statements with the answers
// that PostgreSQL 15 gave, under testdata/logic. The same file is run over
// storage that lies in different ways (one range, a range for each key, every
// write flushed at once, several nodes) and through different paths (without the
// optimizer's rules, through the extended protocol); all must agree with the file.
//
// It owns the file format, the engine of this project that files are run on, and
// the runner. It refuses to judge what is right: expected answers are written by
// a PostgreSQL server (go test ./sql/logictest -oracle=DSN), never by Pamir, but
// for records that say openly that and why they differ.
//
// A file is a sequence of records with an empty line after each; # starts a
// comment line. A record is a directive line, the SQL below it and, after a line
// of four dashes, what is expected:
//
//	statement ok INSERT 0 1         one statement that gives no rows; its tag
//	statement error 23505 at 8      an error: SQLSTATE and position, then the message
//	query [rowsort]                 columns with their types, then rows
//	session NAME                    goes on with another session
//	async                           starts a statement on the session, to be awaited
//	await [NAME]                    the answer of the session's async statement
//
// A line before the directive may say
//
//	differs REASON        the answer is not PostgreSQL's, on purpose
//	pamir-only REASON     PostgreSQL is not asked at all
//	only VARIANT...       run in these variants alone
//
// A record without a directive is raw SQL, each statement ended by ; at the end
// of a line: -oracle asks PostgreSQL and writes the proper directives.
//
// Invariants:
//
//  1. Printing a parsed file gives the file again.
//  2. A record fails alone: the records behind it still run.
//  3. Nothing sleeps; an async statement is awaited by name.
package logictest

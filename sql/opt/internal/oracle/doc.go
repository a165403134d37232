// Command oracle asks a PostgreSQL server for the answers in testdata/bind.
package main

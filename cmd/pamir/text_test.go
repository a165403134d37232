package main

import "strings"

// deepExpression nests parentheses.
func deepExpression(n int) string {
	return "SELECT " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n)
}

// nestedComments opens comments within a comment and closes them all.
func nestedComments(n int) string {
	return strings.Repeat("/*", n) + strings.Repeat("*/", n) + "*/ 1"
}

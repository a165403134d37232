// Command lint checks what gofmt, vet and staticcheck do not: the dependency
// rule of scripts/deps.txt, the length of functions and files, that every package
// has a doc.go, and that the files which Markdown files name exist.
package main

package driver

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestImported resolves the packages of a program that embeds Pamir, with nothing
// in its go.mod but what the documentation asks for.
func TestImported(t *testing.T) {
	root, err := filepath.Abs("../..")
	must(t, err)
	dir := t.TempDir()
	write := func(name, text string) { must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)) }
	write("go.mod", "module app\n\ngo 1.26\n\nexclude github.com/hashicorp/go-metrics v0.7.0\n\n\n"+
		"require github.com/pamirdb/pamir v0.0.0\n\nreplace github.com/pamirdb/pamir => "+root+"\n")
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	must(t, err)
	write("go.sum", string(sums))
	write("main.go", "package main\n\nimport _ \"github.com/pamirdb/pamir/pkg/driver\"\n\nfunc main() {}\n")
	cmd := exec.Command("go", "list", "-mod=mod", "-deps", ".")
	cmd.Dir = dir
	// What Pamir itself was built from is there: nothing is fetched.
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("github.com/pamirdb/pamir/kv/store\n")) {
		t.Errorf("%v\n%s", err, out)
	}
}

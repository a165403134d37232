package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A checker that no longer checks is worse than none: plant violations.
func TestPlantedViolations(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "deps.txt")
	if err := os.WriteFile(file, []byte("kv/api : - # x\nsql/exec : kv +btree\npkg/server : *\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rules, err := parseRules(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pkg, imp string
		bad      bool
	}{
		{"kv/api", "fmt", false},
		{"kv/api", module + "pkg/hlc", false},
		{"kv/api", module + "sql/types", true},
		{"kv/api", module + "pkg/server", true},
		{"kv/api", "go.etcd.io/bbolt", true},
		{"sql/exec", module + "kv", false},
		{"sql/exec", module + "kv/store", true},
		{"sql/exec", "github.com/tidwall/btree", false},
		{"sql/exec", "github.com/tidwall/btreex", true},
		{"pkg/server", module + "kv/store", false},
		{"sql/new", "fmt", true},
	} {
		got := checkDeps(rules, []pkg{{ImportPath: module + c.pkg, Imports: []string{c.imp}}})
		if (len(got) > 0) != c.bad {
			t.Errorf("%s imports %s: %v", c.pkg, c.imp, got)
		}
	}
}

func TestPlantedLongFunction(t *testing.T) {
	dir := t.TempDir()
	src := "package p\n\nfunc (t *T[K]) Long() {\n" + strings.Repeat("\t_ = 1\n", 120) + "}\n\nfunc short() {}\n"
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "list.txt")
	pkgs := []pkg{{Dir: dir, ImportPath: module + "p", GoFiles: []string{"p.go"}}}
	for exceptions, want := range map[string]string{
		"":                 "p.T.Long: 122 lines",
		"p.T.Long\n":       "p: no doc.go",
		"p.T.Long\np.gone": "p.gone is short now",
	} {
		if err := os.WriteFile(list, []byte(exceptions), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := checkSizes(pkgs, list)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("with %q: %v, want %q", exceptions, got, want)
		}
		if strings.Contains(strings.Join(got, "\n"), "T.Long") != (exceptions == "") {
			t.Errorf("with %q: %v", exceptions, got)
		}
	}
}

// TestDocs plants names of files that are not there.
func TestDocs(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"kv/a.go":   "",
		"README.md": "see `kv/a.go`, `kv/...`, `raft/raft.db`, `other/x.go`, [site](https://example.org/x), [a](kv/a.go)\n\n`kv/b.go` and [c](C.md) are gone\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := checkDocs(dir, []string{"kv"})
	want := []string{"README.md:3: kv/b.go does not exist", "README.md:3: C.md does not exist"}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%q, %v", got, err)
	}
}

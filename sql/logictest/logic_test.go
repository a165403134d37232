package logictest

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

const root = "../../testdata/logic"

var (
	rewrite = flag.Bool("rewrite", false, "write the answers of records that differ from PostgreSQL anew")
	all     = flag.Bool("all", false, "run every variant over every file")
	variant = flag.String("variant", "", "run this variant alone")
	file    = flag.String("file", "", "run files whose names contain this alone")
)

// files returns the names of the test files, in order.
func files(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, *file) {
			names = append(names, path)
		}
		return err
	})
	if err != nil || len(names) == 0 {
		t.Fatal("no files:", err)
	}
	sort.Strings(names)
	return names
}

func load(t *testing.T, path string) []*Record {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records, err := Parse(string(b))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return records
}

// TestLogic runs the files. The plain variant runs them all; each of the others
// takes every file too with -all, else its share of them, which is another one
// for each variant.
func TestLogic(t *testing.T) {
	names := files(t)
	for vi, v := range Variants {
		if *variant != "" && *variant != v.Name {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			for i, path := range names {
				if vi > 0 && *variant == "" && !*all && (i+vi)%3 != 0 {
					continue
				}
				t.Run(filepath.Base(path), func(t *testing.T) {
					t.Parallel()
					run(t, v, path)
				})
			}
		})
	}
}

func run(t *testing.T, v Variant, path string) {
	db, err := NewPamir(v, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	records := load(t, path)
	failures := 0
	x := &Runner{Engine: db, Variant: v.Name, Step: func(r *Record, a *Answer) {
		if *rewrite && v.Name == "plain" && (r.Differs != "" || r.PamirOnly != "") {
			r.Set(a)
			return
		}
		if bad := r.Check(a); bad != "" {
			failures++
			t.Errorf("%s:%d: %s", path, r.Line, bad)
		}
	}}
	if err := x.Run(records); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	if failures > 0 {
		t.Logf("%s: %d of %d records fail", path, failures, len(records))
	}
	if *rewrite && v.Name == "plain" {
		save(t, path, records)
	}
}

func save(t *testing.T, path string, records []*Record) {
	t.Helper()
	if err := os.WriteFile(path, []byte(Format(records)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestFormat prints every file and gets it back.
func TestFormat(t *testing.T) {
	for _, path := range files(t) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		records, err := Parse(string(b))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if Format(records) != string(b) {
			t.Errorf("%s: parsing and printing changes the file", path)
		}
	}
}

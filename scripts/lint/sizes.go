package main

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

const (
	maxFuncLines = 100
	maxFileLines = 800
)

// checkSizes reports functions and files past their limit and packages without
// a doc.go. Generated files are left out. The exceptions file may only shrink:
// an entry that is no longer needed is reported, too.
func checkSizes(pkgs []pkg, exceptions string) ([]string, error) {
	allowed, err := readExceptions(exceptions)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	var bad []string
	for _, p := range pkgs {
		name := strings.TrimPrefix(p.ImportPath, module)
		hasDoc := false
		for _, f := range append(p.GoFiles, p.CgoFiles...) {
			hasDoc = hasDoc || f == "doc.go" || strings.HasPrefix(name, "scripts/")
			long, err := checkFile(name, filepath.Join(p.Dir, f))
			if err != nil {
				return nil, err
			}
			for key, msg := range long {
				if allowed[key] {
					used[key] = true
					continue
				}
				bad = append(bad, msg)
			}
		}
		if !hasDoc && len(p.GoFiles)+len(p.CgoFiles) > 0 {
			bad = append(bad, name+": no doc.go")
		}
	}
	for key := range allowed {
		if !used[key] {
			bad = append(bad, fmt.Sprintf("%s: %s is short now; take it off the list", exceptions, key))
		}
	}
	sort.Strings(bad)
	return bad, nil
}

func readExceptions(file string) (map[string]bool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m := map[string]bool{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if line, _, _ := strings.Cut(s.Text(), "#"); strings.TrimSpace(line) != "" {
			m[strings.TrimSpace(line)] = true
		}
	}
	return m, nil
}

// checkFile returns what is too long, keyed as in the exceptions file.
func checkFile(pkgName, path string) (map[string]string, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(f) {
		return nil, nil
	}
	long := map[string]string{}
	if n := fset.File(f.Pos()).LineCount(); n > maxFileLines {
		key := pkgName + "/" + filepath.Base(path)
		long[key] = fmt.Sprintf("%s: %d lines, at most %d", key, n, maxFileLines)
	}
	for _, d := range f.Decls {
		fd, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		n := fset.Position(fd.End()).Line - fset.Position(fd.Pos()).Line + 1
		if n > maxFuncLines {
			key := pkgName + "." + funcName(fd)
			long[key] = fmt.Sprintf("%s: %d lines, at most %d", key, n, maxFuncLines)
		}
	}
	return long, nil
}

func funcName(fd *ast.FuncDecl) string {
	if fd.Recv == nil || len(fd.Recv.List) == 0 {
		return fd.Name.Name
	}
	t := fd.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "." + fd.Name.Name
		default:
			return fd.Name.Name
		}
	}
}

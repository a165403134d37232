package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

const module = "github.com/pamirdb/pamir/"

// above are the packages under pkg/ that stand above sql.
var above = []string{"pkg/server", "pkg/admin", "pkg/driver"}

// rule says what one package may import.
type rule struct {
	anything bool
	ours     []string
	modules  []string
}

func parseRules(file string) (map[string]rule, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rules := map[string]rule{}
	for s := bufio.NewScanner(f); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, allowed, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%s: no colon in %q", file, line)
		}
		var r rule
		for _, w := range strings.Fields(allowed) {
			switch {
			case w == "*":
				r.anything = true
			case w == "-":
			case w[0] == '+':
				r.modules = append(r.modules, w[1:])
			default:
				r.ours = append(r.ours, w)
			}
		}
		rules[strings.TrimSpace(name)] = r
	}
	return rules, nil
}

// checkDeps compares direct imports with the rules.
func checkDeps(rules map[string]rule, pkgs []pkg) []string {
	var bad []string
	for _, p := range pkgs {
		name := strings.TrimPrefix(p.ImportPath, module)
		r, ok := rules[name]
		if !ok {
			bad = append(bad, fmt.Sprintf("%s: not listed in scripts/deps.txt", name))
			continue
		}
		if r.anything {
			continue
		}
		for _, imp := range p.Imports {
			if !r.allows(imp) {
				bad = append(bad, fmt.Sprintf("%s: may not import %s (scripts/deps.txt)", name, strings.TrimPrefix(imp, module)))
			}
		}
	}
	return bad
}

func (r rule) allows(imp string) bool {
	if local, ok := strings.CutPrefix(imp, module); ok {
		leaf := strings.HasPrefix(local, "pkg/") && !slices.Contains(above, local)
		return leaf || slices.Contains(r.ours, local)
	}
	host, _, _ := strings.Cut(imp, "/")
	if !strings.Contains(host, ".") {
		return true // the standard library
	}
	for _, m := range r.modules {
		if strings.Contains("/"+imp+"/", "/"+m+"/") {
			return true
		}
	}
	return false
}

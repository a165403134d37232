package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// named finds what a Markdown file names of the repository: the targets of links,
// and code spans that look like a path.
var named = regexp.MustCompile("\\]\\(([^)#]+)\\)|`([a-z][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.*-]+)+)`")

// checkDocs sees that the files and directories that Markdown files name exist.
// Code spans count if they begin with one of the directories in roots.
func checkDocs(dir string, roots []string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		for i, line := range strings.Split(string(b), "\n") {
			for _, m := range named.FindAllStringSubmatch(line, -1) {
				path := m[1]
				if path == "" && !within(m[2], roots) || strings.Contains(path, "://") {
					continue
				}
				if path == "" {
					path = strings.TrimSuffix(m[2], "/...")
				}
				if found, err := filepath.Glob(filepath.Join(dir, path)); err != nil || len(found) == 0 {
					problems = append(problems, fmt.Sprintf("%s:%d: %s does not exist", filepath.Base(f), i+1, path))
				}
			}
		}
	}
	return problems, nil
}

func within(path string, roots []string) bool {
	for _, r := range roots {
		if strings.HasPrefix(path, r+"/") {
			return true
		}
	}
	return false
}

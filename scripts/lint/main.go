package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	var problems []string
	rules, err := parseRules("scripts/deps.txt")
	if err != nil {
		fail(err)
	}
	pkgs, err := listPackages()
	if err != nil {
		fail(err)
	}
	problems = append(problems, checkDeps(rules, pkgs)...)
	sizes, err := checkSizes(pkgs, "scripts/long-functions.txt")
	if err != nil {
		fail(err)
	}
	problems = append(problems, sizes...)
	docs, err := checkDocs(".", []string{"cmd", "pkg", "sql", "kv", "raftgroup", "scripts", "testdata"})
	if err != nil {
		fail(err)
	}
	problems = append(problems, docs...)
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "lint:", err)
	os.Exit(2)
}

// pkg is the part of `go list -json` that the checks read.
type pkg struct {
	Dir        string
	ImportPath string
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
}

func listPackages() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=Dir,ImportPath,GoFiles,CgoFiles,Imports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var pkgs []pkg
	for dec := json.NewDecoder(out); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		pkgs = append(pkgs, p)
	}
	return pkgs, cmd.Wait()
}

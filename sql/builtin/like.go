package builtin

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	for _, t := range []string{"text", "name", "bytea"} {
		kernel(t+"like", likeKernel(false, false))
		kernel(t+"nlike", likeKernel(true, false))
	}
	for _, t := range []string{"text", "name"} {
		kernel(t+"iclike", likeKernel(false, true))
		kernel(t+"icnlike", likeKernel(true, true))
	}
	row("like_escape", likeEscape)
	row("like_escape_bytea", likeEscape)
}

// likePattern is a LIKE pattern made ready. Most patterns are a few literal
// pieces between percent signs, which need no backtracking.
type likePattern struct {
	source string
	fold   bool
	pieces []string // literal pieces between %, when simple
	simple bool
}

func compileLike(source string, fold bool) *likePattern {
	p := &likePattern{source: strings.Clone(source), fold: fold, simple: true}
	if fold {
		p.source = strings.ToLower(p.source)
	}
	var piece strings.Builder
	for i := 0; i < len(p.source); i++ {
		switch c := p.source[i]; c {
		case '_':
			p.simple = false
		case '%':
			p.pieces = append(p.pieces, piece.String())
			piece.Reset()
			continue
		case '\\':
			if i++; i == len(p.source) {
				// An error only for the text that gets so far.
				p.simple = false
				return p
			}
			piece.WriteByte(p.source[i])
			continue
		}
		piece.WriteByte(p.source[i])
	}
	p.pieces = append(p.pieces, piece.String())
	return p
}

// match reports whether s matches.
func (p *likePattern) match(s string) (bool, error) {
	if p.fold {
		s = strings.ToLower(s)
	}
	if !p.simple {
		ok, err := likeMatch(s, p.source)
		return ok, err
	}
	first, last := p.pieces[0], p.pieces[len(p.pieces)-1]
	if len(p.pieces) == 1 {
		return s == first, nil
	}
	if !strings.HasPrefix(s, first) {
		return false, nil
	}
	s = s[len(first):]
	for _, m := range p.pieces[1 : len(p.pieces)-1] {
		i := strings.Index(s, m)
		if i < 0 {
			return false, nil
		}
		s = s[i+len(m):]
	}
	return strings.HasSuffix(s, last), nil
}

// likeMatch is the general matcher: on a mismatch after a percent sign it
// resumes one character further, so it never needs more than the last percent.
func likeMatch(s, p string) (bool, error) {
	si, pi, starS, starP := 0, 0, 0, -1
	for si < len(s) {
		if pi < len(p) {
			switch p[pi] {
			case '%':
				starP, starS = pi+1, si
				pi++
				continue
			case '_':
				_, w := utf8.DecodeRuneInString(s[si:])
				si += w
				pi++
				continue
			case '\\':
				if pi+1 == len(p) {
					return false, types.Errorf(types.CodeInvalidEscapeSequence, "LIKE pattern must not end with escape character")
				}
				if s[si] == p[pi+1] {
					si++
					pi += 2
					continue
				}
			default:
				if s[si] == p[pi] {
					si++
					pi++
					continue
				}
			}
		}
		if starP < 0 {
			return false, nil
		}
		_, w := utf8.DecodeRuneInString(s[starS:])
		starS += w
		si, pi = starS, starP
	}
	for pi < len(p) && p[pi] == '%' {
		pi++
	}
	return pi == len(p), nil
}

func likeKernel(not, fold bool) Kernel {
	return func(c *Call) error {
		s, pat := c.Args[0], c.Args[1]
		for k, n := 0, c.len(); k < n; k++ {
			i := c.pos(k)
			p, ok := c.Cache.(*likePattern)
			if !ok || !(pat.Const && k > 0) && p.source != foldIf(pat.Str(i), fold) {
				p = compileLike(pat.Str(i), fold)
				c.Cache = p
			}
			m, err := p.match(s.Str(i))
			if err != nil {
				c.Row = i
				return err
			}
			c.Out.Ints[i] = b2i(m != not)
		}
		return nil
	}
}

func foldIf(s string, fold bool) string {
	if fold {
		return strings.ToLower(s)
	}
	return s
}

// likeEscape rewrites a pattern with another escape character to backslash.
func likeEscape(c *Call) error {
	p, esc := c.Bytes(0), c.Bytes(1)
	if len(esc) == 0 {
		return c.RetBytes(bytes.ReplaceAll(p, []byte(`\`), []byte(`\\`)))
	}
	if utf8.RuneCount(esc) > 1 {
		return types.Errorf(types.CodeInvalidEscapeSequence, "invalid escape string").WithHint("Escape string must be empty or one character.")
	}
	if string(esc) == `\` {
		return c.RetBytes(p)
	}
	var out []byte
	escaped := false
	for i := 0; i < len(p); {
		switch {
		case !escaped && bytes.HasPrefix(p[i:], esc):
			out = append(out, '\\')
			i += len(esc)
			escaped = true
			continue
		case p[i] == '\\' && !escaped:
			out = append(out, '\\', '\\')
		case p[i] == '\\':
			out = append(out, '\\')
		default:
			out = append(out, p[i])
		}
		escaped = false
		i++
	}
	return c.RetBytes(out)
}

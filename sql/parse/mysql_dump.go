package parse

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/types"
)

// SplitMySQLDump reads a dump and yields its statements, lowered, one after the
// other in bounded memory. What only concerns the MySQL server is left out:
// LOCK TABLES, SET, keys switched off and on, routines and triggers. Foreign
// keys come last, since dumps define tables in any order. After an error the
// sequence goes on with the next statement of the dump, unless reading failed.
func SplitMySQLDump(r io.Reader) iter.Seq2[Statement, error] {
	return func(yield func(Statement, error) bool) {
		d := dumpReader{r: bufio.NewReaderSize(r, 1<<16), delimiter: ";"}
		var last []Statement
		for {
			text, err := d.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				yield(Statement{}, err)
				return
			}
			if skipInDump(text) {
				continue
			}
			all, err := ParseMySQL(text)
			if err != nil && !yield(Statement{Text: text}, err) {
				return
			}
			for _, st := range all {
				if addsForeignKey(st.Node) {
					last = append(last, st)
				} else if !yield(st, nil) {
					return
				}
			}
		}
		for _, st := range last {
			if !yield(st, nil) {
				return
			}
		}
	}
}

func addsForeignKey(n ast.Node) bool {
	alter, ok := n.(*ast.AlterTableStmt)
	if !ok {
		return false
	}
	for _, c := range alter.Cmds {
		if cmd, ok := c.(*ast.AlterTableCmd); ok {
			if con, ok := cmd.Def.(*ast.Constraint); ok && con.Contype == ast.CONSTR_FOREIGN {
				return true
			}
		}
	}
	return false
}

// skipInDump tells whether a statement means nothing outside of MySQL. text
// begins with its first word, or with a conditional comment.
func skipInDump(text string) bool {
	if strings.HasPrefix(text, "/*!") {
		text = strings.TrimLeft(text[3:], "0123456789 \t\r\n")
	}
	for _, head := range []string{"set", "lock", "unlock", "delimiter", "flush", "change", "grant"} {
		if hasWord(text, head) {
			return true
		}
	}
	if hasWord(text, "alter") {
		if i := strings.LastIndexByte(text, '`'); i >= 0 {
			rest := lower(strings.TrimSpace(text[i+1:]))
			return strings.HasPrefix(rest, "disable keys") || strings.HasPrefix(rest, "enable keys")
		}
	}
	head := lower(text[:min(len(text), 400)])
	for _, w := range []string{"procedure", "function", "trigger", "event"} {
		if hasWord(head, "drop") && strings.HasPrefix(strings.TrimSpace(head[len("drop"):]), w) {
			return true
		}
	}
	if hasWord(head, "create") {
		for _, w := range []string{" procedure ", " function ", " trigger ", " event ", " definer="} {
			if strings.Contains(head[:min(len(head), 120)], w) && !strings.Contains(head, " view ") {
				return true
			}
		}
	}
	return false
}

// dumpReader finds the ends of statements.
type dumpReader struct {
	r         *bufio.Reader
	delimiter string
	buf       bytes.Buffer
}

// next returns the next statement without its delimiter and without the blanks
// and plain comments before it.
func (d *dumpReader) next() (string, error) {
	d.buf.Reset()
	for {
		c, err := d.r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && d.buf.Len() > 0 {
				return strings.TrimSpace(d.buf.String()), nil
			}
			return "", err
		}
		if d.buf.Len() > maxStatementBytes {
			return "", types.Errorf(types.CodeProgramLimitExceeded, "a statement of the dump exceeds the limit of %d bytes", maxStatementBytes)
		}
		if d.buf.Len() == 0 {
			if isBlank(c) {
				continue
			}
			if c|0x20 == 'd' && d.readDelimiter(c) {
				continue
			}
		}
		if c == d.delimiter[0] && d.follows(d.delimiter[1:]) {
			if d.buf.Len() > 0 {
				if text := strings.TrimSpace(d.buf.String()); d.delimiter == ";" {
					return text, nil
				}
				d.buf.Reset() // a routine or a trigger
			}
			continue
		}
		if err := d.piece(c); err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
	}
}

// follows consumes the given text if it comes next.
func (d *dumpReader) follows(s string) bool {
	b, err := d.r.Peek(len(s))
	if err != nil || string(b) != s {
		return false
	}
	_, err = d.r.Discard(len(s))
	return err == nil
}

// readDelimiter reads a DELIMITER line, which is the client's and no statement.
func (d *dumpReader) readDelimiter(c byte) bool {
	const rest = "elimiter "
	b, err := d.r.Peek(len(rest))
	if err != nil || !equalFold(string(b[:len(b)-1]), rest[:len(rest)-1]) || !isBlank(b[len(b)-1]) || c|0x20 != 'd' {
		return false
	}
	line, _ := d.r.ReadString('\n') // the end of the file ends the line as well
	if f := strings.Fields(line); len(f) > 1 {
		d.delimiter = f[1]
	}
	return true
}

// piece copies what begins with c: a string, a name, a comment or one byte.
// Plain comments are dropped.
func (d *dumpReader) piece(c byte) error {
	switch c {
	case '\'', '"', '`':
		d.buf.WriteByte(c)
		return d.quoted(c)
	case '#':
		return d.dropLine()
	case '-':
		if b, err := d.r.Peek(2); err == nil && b[0] == '-' && isBlank(b[1]) {
			return d.dropLine()
		}
	case '/':
		if b, err := d.r.Peek(2); err == nil && b[0] == '*' {
			return d.blockComment(b[1] == '!')
		}
	}
	return d.buf.WriteByte(c)
}

func (d *dumpReader) dropLine() error {
	for {
		_, err := d.r.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func (d *dumpReader) quoted(quote byte) error {
	for d.buf.Len() <= maxStatementBytes {
		c, err := d.r.ReadByte()
		if err != nil {
			return err
		}
		d.buf.WriteByte(c)
		switch {
		case c == '\\' && quote != '`':
			if c, err = d.r.ReadByte(); err != nil {
				return err
			}
			d.buf.WriteByte(c)
		case c == quote:
			return nil // a doubled quote begins the next piece
		}
	}
	return nil
}

func (d *dumpReader) blockComment(keep bool) error {
	start := d.buf.Len()
	d.buf.WriteString("/*")
	if _, err := d.r.Discard(1); err != nil {
		return err
	}
	var before byte
	for d.buf.Len() <= maxStatementBytes {
		c, err := d.r.ReadByte()
		if err != nil {
			return err
		}
		d.buf.WriteByte(c)
		if before == '*' && c == '/' {
			break
		}
		before = c
	}
	if !keep {
		d.buf.Truncate(start)
	}
	return nil
}

package copyfmt

import (
	"bytes"
	"io"

	"github.com/pamirdb/pamir/sql/types"
)

// ending is how the lines of the data end, which their first line tells.
type ending byte

const (
	endUnknown ending = iota
	endNL
	endCR
	endCRNL
)

// quoting follows the quotes of CSV; text has none.
type quoting struct {
	in      bool
	escaped bool // an escape came last that a quote may follow
}

// step takes the next byte.
func (q *quoting) step(c byte, o *Options) {
	esc := c == o.Escape && o.Escape != o.Quote // a doubled quote flips twice
	if q.in && esc {
		q.escaped = !q.escaped
	}
	if c == o.Quote && !q.escaped {
		q.in = !q.in
	}
	if !esc {
		q.escaped = false
	}
}

// next returns the bytes of one row without its line end. What was looked at is
// not looked at again when more data come, so that a long row costs no more than
// its length.
func (r *Reader) next() ([]byte, error) {
	scanned, q := 0, quoting{}
	for {
		window := r.buf[r.start:r.end]
		if r.ending == endUnknown {
			r.ending = r.detect(window, &scanned, &q)
		}
		if r.ending != endUnknown {
			if n := r.findEnd(window, &scanned, &q); n >= 0 {
				r.start += n + 1
				r.line++
				return r.finish(window[:n], true)
			}
		}
		if r.eof {
			if r.start == r.end {
				return nil, io.EOF
			}
			r.start = r.end
			r.line++
			if r.o.CSV && q.in {
				r.text = window
				r.line += bytes.Count(window, []byte{r.counted()})
				return nil, r.bad("unterminated CSV quoted field")
			}
			return r.finish(window, false)
		}
		if err := r.fill(); err != nil {
			r.line++ // of the row that did not come
			return nil, err
		}
	}
}

// detect looks for the end of the first line; scanned stays before what has to
// be looked at again.
func (r *Reader) detect(window []byte, scanned *int, q *quoting) ending {
	for i := *scanned; i < len(window); i++ {
		c := window[i]
		if c != '\n' && c != '\r' || q.in || !r.o.CSV && r.escaped(window[:i]) {
			if r.o.CSV {
				q.step(c, &r.o)
			}
			*scanned = i + 1
			continue
		}
		switch {
		case c == '\n':
			return endNL
		case i+1 == len(window) && !r.eof:
			return endUnknown // a newline may follow
		case i+1 < len(window) && window[i+1] == '\n':
			return endCRNL
		}
		return endCR
	}
	return endUnknown
}

// findEnd returns where the byte is that ends the row, -1 if it has not come.
func (r *Reader) findEnd(window []byte, scanned *int, q *quoting) int {
	last := byte('\n')
	if r.ending == endCR {
		last = '\r'
	}
	for {
		n := bytes.IndexByte(window[*scanned:], last)
		to := len(window)
		if n >= 0 {
			to = *scanned + n
		}
		if r.o.CSV {
			for _, c := range window[*scanned:to] {
				q.step(c, &r.o)
			}
		}
		*scanned = to
		if n < 0 {
			return -1
		}
		if !q.in && (r.o.CSV || !r.escaped(window[:to])) {
			return to
		}
		if *scanned++; r.o.CSV {
			q.step(last, &r.o)
		}
	}
}

// finish checks a row and recognizes the end-of-data marker. ended says that a
// line end followed.
func (r *Reader) finish(line []byte, ended bool) ([]byte, error) {
	if n := len(line); r.ending == endCRNL && ended {
		if n == 0 || line[n-1] != '\r' || !r.o.CSV && r.escaped(line[:n-1]) {
			return nil, r.stray('\n')
		}
		line = line[:n-1]
	}
	if len(line) == 2 && line[0] == '\\' && line[1] == '.' {
		r.start, r.eof = r.end, true
		// The rest of the stream is not looked at, but must be taken.
		_, err := io.Copy(io.Discard, r.src)
		if err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	if err := r.otherEnds(line); err != nil {
		return nil, err
	}
	return line, types.CheckUTF8(line)
}

// otherEnds refuses bytes in a row that end lines elsewhere, and counts the lines
// that the row goes on for.
func (r *Reader) otherEnds(line []byte) error {
	if bytes.IndexByte(line, '\r') < 0 && bytes.IndexByte(line, '\n') < 0 {
		return nil
	}
	counted := r.counted()
	var q quoting
	more := 0
	for i, c := range line {
		if c == '\r' || c == '\n' {
			if !q.in && (r.o.CSV || !r.escaped(line[:i])) {
				return r.stray(c)
			}
			if r.o.CSV && c == counted {
				more++
			}
		}
		if r.o.CSV {
			q.step(c, &r.o)
		}
	}
	r.line += more
	return nil
}

// counted is the byte inside of a quoted field that counts as a line's end: as in
// PostgreSQL, a carriage return before the first line has told.
func (r *Reader) counted() byte {
	if r.ending == endNL {
		return '\n'
	}
	return '\r'
}

// stray is the error of a line end that is not like the first one.
func (r *Reader) stray(c byte) error {
	name, text := "newline", `"\n"`
	if c == '\r' {
		name, text = "carriage return", `"\r"`
	}
	if r.o.CSV {
		return r.bad("unquoted "+name+" found in data").WithHint("Use quoted CSV field to represent %s.", name)
	}
	return r.bad("literal "+name+" found in data").WithHint("Use %s to represent %s.", text, name)
}

// escaped reports whether what follows is preceded by an odd run of backslashes.
func (r *Reader) escaped(before []byte) bool {
	n := 0
	for n < len(before) && before[len(before)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

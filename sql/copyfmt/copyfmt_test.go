package copyfmt

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pamirdb/pamir/sql/types"
)

func readAll(t *testing.T, data string, o Options, cols ...string) (string, error) {
	t.Helper()
	// One byte at a time: no row may depend on where the buffer ends.
	r := NewReader(iotest.OneByteReader(strings.NewReader(data)), o, cols)
	var out strings.Builder
	for {
		row, err := r.Read()
		if err == io.EOF {
			return out.String(), nil
		}
		if err != nil {
			return out.String(), err
		}
		for i, f := range row {
			if i > 0 {
				out.WriteByte('|')
			}
			if f.Null {
				out.WriteString("<null>")
			} else {
				out.Write(f.Text)
			}
		}
		out.WriteString(";")
	}
}

// The answers are PostgreSQL 15's.
func TestRead(t *testing.T) {
	semi := Text()
	semi.Delimiter, semi.Null = ';', "nil"
	esc := CSV()
	esc.Escape = '\\'
	head := CSV()
	head.Header = true
	match := CSV()
	match.HeaderMatch = true
	notNull := CSV()
	notNull.ForceNotNull = []bool{false, true}
	forceNull := CSV()
	forceNull.ForceNull = []bool{false, true}
	for _, c := range []struct {
		o          Options
		data, want string
		code       string
	}{
		{o: Text(), data: "a\tb\n\\N\t\n", want: "a|b;<null>|;"},
		{o: Text(), data: "a\\tb\\\\\tc\\nd\\x41\\101\n", want: "a\tb\\|c\ndAA;"},
		{o: Text(), data: "a\\\nb\tc\n", want: "a\nb|c;"},
		{o: Text(), data: "a\tb\r\nc\td\r\n", want: "a|b;c|d;"},
		{o: Text(), data: "a\tb\n\\.\nrubbish", want: "a|b;"},
		{o: Text(), data: "a\tb", want: "a|b;"},
		{o: semi, data: "nil;b\\;c\n", want: "<null>|b;c;"},
		{o: Text(), data: "a\n", code: "22P04"},
		{o: Text(), data: "a\tb\tc\n", code: "22P04"},
		{o: Text(), data: "a\tb\rc\td\r", want: "a|b;c|d;"},
		{o: Text(), data: "a\tb\nc\td\re\n", code: "22P04"},
		{o: Text(), data: "a\tb\rc\td\n", code: "22P04"},
		{o: Text(), data: "a\tb\r\nc\td\n", code: "22P04"},
		{o: Text(), data: "a\tb\r\nc\td\re\r\n", code: "22P04"},
		{o: Text(), data: "a\tb\nc\td\\\re\n", want: "a|b;c|d\re;"},
		{o: Text(), data: "a\t\xff\n", code: "22021"},
		{o: Text(), data: "a\tb\x00c\n", code: "22021"},
		{o: Text(), data: "a\t\\x00\n", code: "22021"},
		{o: Text(), data: "a\t\\377\n", code: "22021"},
		{o: Text(), data: "a\t\\xc3\\251\n", want: "a|é;"},
		{o: CSV(), data: "a,\xe9\n", code: "22021"},
		{o: CSV(), data: "a,\"b\r\n\"\nc,d\n", want: "a|b\r\n;c|d;"},
		{o: CSV(), data: "a,\"b\n\"\r\nc,d\r\n", want: "a|b\n;c|d;"},
		{o: CSV(), data: "a,b\nc,d\re\n", code: "22P04"},
		{o: CSV(), data: "a,\"b,\"\"c\"\"\n d\"\n,\"\"\n", want: "a|b,\"c\"\n d;<null>|;"},
		{o: CSV(), data: "a,\n", want: "a|<null>;"},
		{o: CSV(), data: "a,b\"c\"d\n", want: "a|bcd;"},
		{o: CSV(), data: "a,\"b\n", code: "22P04"},
		{o: esc, data: `a,"b\"c\\"` + "\n", want: `a|b"c\;`},
		{o: head, data: "x,y\n1,2\n", want: "1|2;"},
		{o: match, data: "c1,c2\n1,2\n", want: "1|2;"},
		{o: match, data: "", code: "22P04"},
		{o: Text(), data: "a\tb\\", want: "a|b;"},
		{o: notNull, data: ",\n", want: "<null>|;"},
		{o: forceNull, data: "\"\",\"\"\n", want: "|<null>;"},
	} {
		got, err := readAll(t, c.data, c.o, "c1", "c2")
		var te *types.Error
		code := ""
		if errors.As(err, &te) {
			code = te.Code
		} else if err != nil {
			t.Fatal(err)
		}
		if code != c.code || (code == "" && got != c.want) {
			t.Errorf("%q: %q %v, want %q %s", c.data, got, err, c.want, c.code)
		}
	}
}

// TestWhere: what PostgreSQL 15 says of data that cannot be divided, and where.
func TestWhere(t *testing.T) {
	match := CSV()
	match.HeaderMatch = true
	textMatch := Text()
	textMatch.HeaderMatch = true
	const open = "unterminated CSV quoted field"
	for _, c := range []struct {
		o                Options
		data, want, text string
		line, cols       int
	}{
		{CSV(), "a,\"b\n", open, "a,\"b\n", 1, 2},
		{CSV(), "a,\"b\r\nc", open, "a,\"b\r\nc", 2, 2},
		{CSV(), "a,b\nc,\"d\ne", open, "c,\"d\ne", 3, 2},
		{match, "", "wrong number of fields in header line: got 1, expected 2", "", 1, 2},
		{match, "\n1\n", "column name mismatch in header line field 1: got null value (\"\"), expected \"c1\"", "", 1, 1},
		{match, "\"a\"\"b\"\n", "column name mismatch in header line field 1: got \"a\"b\", expected \"c1\"", "\"a\"\"b\"", 1, 1},
		{textMatch, "", "column name mismatch in header line field 1: got \"\", expected \"c1\"", "", 1, 1},
	} {
		r := NewReader(strings.NewReader(c.data), c.o, []string{"c1", "c2"}[:c.cols])
		var err error
		for err == nil {
			_, err = r.Read()
		}
		var te *types.Error
		if !errors.As(err, &te) || te.Message != c.want || r.Line() != c.line || string(r.Text()) != c.text {
			t.Errorf("%q: %v at %d: %q\nwant %s at %d: %q", c.data, err, r.Line(), r.Text(), c.want, c.line, c.text)
		}
	}
}

// TestLines: a row's line is that of its end, and a row that comes in many pieces
// is looked at once.
func TestLines(t *testing.T) {
	r := NewReader(strings.NewReader("a,\"b\nc\nd\"\ne,f\n"), CSV(), []string{"c1", "c2"})
	for _, want := range []int{3, 4} {
		if _, err := r.Read(); err != nil || r.Line() != want {
			t.Errorf("line %d, %v; want %d", r.Line(), err, want)
		}
	}
	long := "a\t" + strings.Repeat("x", 4<<20) + "\n"
	r = NewReader(iotest.OneByteReader(strings.NewReader(long)), Text(), []string{"c1", "c2"})
	if row, err := r.Read(); err != nil || len(row[1].Text) != 4<<20 {
		t.Errorf("%v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	pieces := []string{"a", "\\", "\n", "\r", "\t", ",", "\"", "\\N", "\\.", "", "é", "\x01", "N"}
	options := []Options{Text(), CSV()}
	for n := range 4000 {
		o := options[n%2]
		fields := make([]Field, 1+r.IntN(3))
		for i := range fields {
			if r.IntN(5) == 0 {
				fields[i].Null = true
				continue
			}
			for range r.IntN(4) {
				fields[i].Text = append(fields[i].Text, pieces[r.IntN(len(pieces))]...)
			}
		}
		line := o.AppendRow(nil, fields)
		rd := NewReader(strings.NewReader(string(line)), o, make([]string, len(fields)))
		got, err := rd.Read()
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for i := range fields {
			if got[i].Null != fields[i].Null || (!fields[i].Null && string(got[i].Text) != string(fields[i].Text)) {
				t.Fatalf("%q: field %d came back as %q (null %v)", line, i, got[i].Text, got[i].Null)
			}
		}
	}
}

func BenchmarkReadText(b *testing.B) {
	row := "123456\t1\t0\t" + strings.Repeat(" ", 84) + "\n"
	data := strings.Repeat(row, 10000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r := NewReader(strings.NewReader(data), Text(), make([]string, 4))
		for {
			if _, err := r.Read(); err != nil {
				break
			}
		}
	}
}

package copyfmt

import "bytes"

// AppendRow appends one row and its line end.
func (o *Options) AppendRow(dst []byte, fields []Field) []byte {
	for i := range fields {
		if i > 0 {
			dst = append(dst, o.Delimiter)
		}
		f := &fields[i]
		switch {
		case f.Null:
			dst = append(dst, o.Null...)
		case o.CSV:
			dst = o.appendCSV(dst, f.Text, o.ForceQuoteAll || at(o.ForceQuote, i), len(fields) == 1)
		default:
			dst = o.appendText(dst, f.Text)
		}
	}
	return append(dst, '\n')
}

// AppendHeader appends the line of column names.
func (o *Options) AppendHeader(dst []byte, names []string) []byte {
	for i, n := range names {
		if i > 0 {
			dst = append(dst, o.Delimiter)
		}
		if o.CSV {
			dst = o.appendCSV(dst, []byte(n), false, len(names) == 1)
		} else {
			dst = o.appendText(dst, []byte(n))
		}
	}
	return append(dst, '\n')
}

func (o *Options) appendText(dst, text []byte) []byte {
	for _, c := range text {
		switch c {
		case '\\':
			dst = append(dst, '\\', '\\')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\v':
			dst = append(dst, '\\', 'v')
		case o.Delimiter:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func (o *Options) appendCSV(dst, text []byte, force, alone bool) []byte {
	// A lone \. would end the data, and what equals the NULL text is no NULL.
	quote := force || string(text) == o.Null || alone && string(text) == `\.`
	for _, c := range text {
		quote = quote || c == o.Delimiter || c == o.Quote || c == '\n' || c == '\r'
	}
	if !quote {
		return append(dst, text...)
	}
	dst = append(dst, o.Quote)
	for len(text) > 0 {
		i := bytes.IndexFunc(text, func(r rune) bool { return r == rune(o.Quote) || r == rune(o.Escape) })
		if i < 0 {
			dst = append(dst, text...)
			break
		}
		dst = append(append(dst, text[:i]...), o.Escape, text[i])
		text = text[i+1:]
	}
	return append(dst, o.Quote)
}

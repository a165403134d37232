package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// printError says what is wrong with a statement, and where.
func printError(w io.Writer, sql string, err error) {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		fmt.Fprintln(w, "ERROR: ", err)
		return
	}
	fmt.Fprintf(w, "%s:  %s (%s)\n", pe.Severity, pe.Message, pe.Code)
	if pe.Position > 0 {
		printPosition(w, sql, int(pe.Position))
	}
	for _, extra := range [][2]string{{"DETAIL", pe.Detail}, {"HINT", pe.Hint}, {"CONTEXT", pe.Where}} {
		if extra[1] != "" {
			fmt.Fprintf(w, "%s:  %s\n", extra[0], extra[1])
		}
	}
}

// positionWidth is how much of a long line is shown around what is wrong.
const positionWidth = 70

// printPosition shows the line with the character at a position, from 1.
func printPosition(w io.Writer, sql string, position int) {
	runes := []rune(sql)
	if position > len(runes)+1 {
		return
	}
	number, from := 1, 0
	for i, r := range runes[:position-1] {
		if r == '\n' {
			number, from = number+1, i+1
		}
	}
	to := from
	for to < len(runes) && runes[to] != '\n' {
		to++
	}
	from = max(from, position-1-positionWidth/2)
	to = min(to, from+positionWidth)
	head := fmt.Sprintf("LINE %d: ", number)
	line := strings.ReplaceAll(string(runes[from:to]), "\t", " ")
	fmt.Fprintf(w, "%s%s\n%s^\n", head, line, strings.Repeat(" ", len(head)+position-1-from))
}

// printTable prints rows under their header. Values of several lines go on in the
// same column, with a + where they do.
func printTable(w io.Writer, header []string, rows [][]string) {
	width := make([]int, len(header))
	for _, r := range append([][]string{header}, rows...) {
		for i, v := range r {
			for l := range strings.SplitSeq(v, "\n") {
				width[i] = max(width[i], utf8.RuneCountInString(l))
			}
		}
	}
	printRow(w, header, width)
	for i, n := range width {
		if i > 0 {
			fmt.Fprint(w, "-+-")
		}
		fmt.Fprint(w, strings.Repeat("-", n))
	}
	fmt.Fprintln(w)
	for _, r := range rows {
		printRow(w, r, width)
	}
	unit := "rows"
	if len(rows) == 1 {
		unit = "row"
	}
	fmt.Fprintf(w, "(%d %s)\n", len(rows), unit)
}

func printRow(w io.Writer, row []string, width []int) {
	cells := make([][]string, len(row))
	height := 1
	for i, v := range row {
		cells[i] = strings.Split(v, "\n")
		height = max(height, len(cells[i]))
	}
	for k := range height {
		var line strings.Builder
		for i, c := range cells {
			text, end := "", " "
			if k < len(c) {
				text = c[k]
			}
			if k+1 < len(c) {
				end = "+"
			}
			if i > 0 {
				line.WriteString("| ")
			}
			line.WriteString(text + strings.Repeat(" ", width[i]-utf8.RuneCountInString(text)) + end)
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

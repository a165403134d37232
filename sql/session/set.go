package session

import (
	"context"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/settings"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// contextT keeps signatures short where the session's own context is used.
type contextT = context.Context

func itoa(v int64) string { return strconv.FormatInt(v, 10) }

// setStmt carries out SET and RESET.
func (s *Session) setStmt(n *ast.VariableSetStmt, w ResultWriter) (string, error) {
	if n.IsLocal && !s.t.block {
		s.notify(w, warning(types.CodeNoActiveTransaction, "SET LOCAL can only be used in transaction blocks"))
		return "SET", nil
	}
	s.keepSettings()
	var err error
	tag := "SET"
	switch n.Kind {
	case ast.VAR_SET_MULTI:
		err = s.setMulti(n, w)
	case ast.VAR_SET_VALUE:
		var v string
		if v, err = s.setValue(n); err == nil {
			err = s.assign(n.Name, v, n.IsLocal)
		}
	case ast.VAR_SET_DEFAULT:
		err = s.reset(n.Name, n.IsLocal)
	case ast.VAR_SET_CURRENT:
		v, _ := s.set.Get(n.Name)
		err = s.assign(n.Name, v, n.IsLocal)
	case ast.VAR_RESET:
		tag, err = "RESET", s.reset(n.Name, false)
	case ast.VAR_RESET_ALL:
		tag = "RESET"
		s.set.ResetAll()
	}
	if err != nil {
		return "", err
	}
	s.follow() // the client is told what follows from the setting, too
	return tag, nil
}

// assign sets one setting, those included that are the transaction's.
func (s *Session) assign(name, value string, local bool) error {
	switch strings.ToLower(name) {
	case "transaction_isolation", "transaction_read_only", "transaction_deferrable":
		return s.transactionModes([]ast.Node{&ast.DefElem{Defname: strings.ToLower(name), Arg: &ast.String{Sval: value}}})
	case "role":
		return s.setRole(value, local)
	case "session_authorization":
		return s.setAuthorization(value, local)
	}
	if err := s.maySet(name); err != nil {
		return err
	}
	return s.set.Set(name, value, local)
}

// maySet returns an error for a setting that is a superuser's when the user is none.
func (s *Session) maySet(name string) error {
	if d, ok := settings.Lookup(name); ok && d.Context == "superuser" && !s.snapshot().Superuser(s.user) {
		return types.Errorf(types.CodeInsufficientPrivilege, "permission denied to set parameter \"%s\"", name)
	}
	return nil
}

// setValue is the value of SET name TO a, b.
func (s *Session) setValue(n *ast.VariableSetStmt) (string, error) {
	if len(n.Args) == 1 && strings.EqualFold(n.Name, "timezone") {
		if c, ok := n.Args[0].(*ast.TypeCast); ok {
			return s.zoneInterval(c)
		}
	}
	parts := make([]string, 0, len(n.Args))
	for _, a := range n.Args {
		v := constText(a)
		if strings.EqualFold(n.Name, "search_path") && needsQuotes(v) {
			v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
		}
		parts = append(parts, v)
	}
	return strings.Join(parts, ", "), nil
}

// zoneInterval reads SET TIME ZONE INTERVAL '...': how many hours the zone is east
// of UTC.
func (s *Session) zoneInterval(c *ast.TypeCast) (string, error) {
	t, err := bind.TypeOf(s.resolve(), c.TypeName)
	if err != nil {
		return "", err
	}
	text := constText(c.Arg)
	if t.OID != types.IntervalOID {
		return text, nil
	}
	d, err := types.ParseText(t, text, s.set.Types())
	if err != nil {
		return "", err
	}
	v, shown := types.DecodeInterval(d.Bytes()), types.TextOf(types.IntervalOID, d, s.set.Types())
	switch {
	case v.Months != 0:
		return "", types.Errorf(types.CodeInvalidParameterValue, "invalid value for parameter \"TimeZone\": \"INTERVAL '%s'\"", shown).
			WithDetail("Cannot specify months in time zone interval.")
	case v.Days != 0:
		return "", types.Errorf(types.CodeInvalidParameterValue, "invalid value for parameter \"TimeZone\": \"INTERVAL '%s'\"", shown).
			WithDetail("Cannot specify days in time zone interval.")
	}
	return strconv.FormatFloat(float64(v.Micros)/float64(types.MicrosPerHour), 'f', -1, 64), nil
}

// needsQuotes reports whether a name in a list must be quoted to be read back.
func needsQuotes(v string) bool {
	if v == "" {
		return true
	}
	for i, c := range v {
		if c == '_' || c >= 'a' && c <= 'z' || c == '$' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return true
	}
	return false
}

// setMulti carries out SET TRANSACTION and SET SESSION CHARACTERISTICS.
func (s *Session) setMulti(n *ast.VariableSetStmt, w ResultWriter) error {
	switch n.Name {
	case "TRANSACTION":
		if !s.t.block {
			s.notify(w, warning(types.CodeNoActiveTransaction, "SET TRANSACTION can only be used in transaction blocks"))
		}
		return s.transactionModes(n.Args)
	case "SESSION CHARACTERISTICS":
		for _, a := range n.Args {
			d, ok := a.(*ast.DefElem)
			if !ok {
				continue
			}
			if err := s.set.Set("default_"+d.Defname, constText(d.Arg), false); err != nil {
				return err
			}
		}
		return nil
	case "TRANSACTION SNAPSHOT":
		return types.Errorf(types.CodeFeatureNotSupported, "SET TRANSACTION SNAPSHOT is not supported")
	}
	return types.Errorf(types.CodeUndefinedObject, "unrecognized configuration parameter \"%s\"", n.Name)
}

// getSetting returns a setting's value, those included that are the
// transaction's.
func (s *Session) getSetting(name string) (string, bool) {
	switch strings.ToLower(name) {
	case "transaction_isolation":
		iso, none := s.isolation(), s.set.Isolation() == uncommitted
		if s.t.open() {
			iso, none = s.t.iso, s.t.uncommitted
		}
		if none {
			return uncommitted, true
		}
		return isoName(iso), true
	case "transaction_read_only":
		if s.t.open() {
			return onOff(s.t.readOnly), true
		}
		return onOff(s.set.Bool("default_transaction_read_only")), true
	case "transaction_deferrable":
		if s.t.open() {
			return onOff(s.t.deferrable), true
		}
		return onOff(s.set.Bool("default_transaction_deferrable")), true
	}
	return s.set.Get(name)
}

func isoName(i api.Isolation) string { return i.String() }

func onOff(v bool) string {
	if v {
		return "on"
	}
	return "off"
}

func showColumns(name string) []plan.ResultColumn {
	if strings.EqualFold(name, "all") {
		return textColumns("name", "setting", "description")
	}
	return textColumns(strings.ToLower(name))
}

func textColumns(names ...string) []plan.ResultColumn {
	out := make([]plan.ResultColumn, len(names))
	for i, n := range names {
		out[i] = plan.ResultColumn{Name: n, Type: types.TextType}
	}
	return out
}

// show carries out SHOW.
func (s *Session) show(name string, w ResultWriter, formats []int16) error {
	var rows [][]string
	if strings.EqualFold(name, "all") {
		for _, v := range settings.All() {
			x, _ := s.getSetting(v.Name)
			rows = append(rows, []string{v.Name, x, v.Description})
		}
		return s.sendText(w, showColumns(name), rows, formats)
	}
	v, ok := s.getSetting(name)
	if !ok {
		return types.Errorf(types.CodeUndefinedObject, "unrecognized configuration parameter \"%s\"", name)
	}
	cols := showColumns(name)
	if d, ok := settings.Lookup(name); ok {
		cols[0].Name = d.Name
	}
	return s.sendText(w, cols, [][]string{{v}}, formats)
}

// sendText sends rows of text.
func (s *Session) sendText(w ResultWriter, cols []plan.ResultColumn, rows [][]string, formats []int16) error {
	if err := w.Columns(cols, formats); err != nil {
		return err
	}
	ts := make([]types.Type, len(cols))
	for i := range cols {
		ts[i] = cols[i].Type
	}
	for len(rows) > 0 {
		n := min(len(rows), vec.MaxBatch)
		b := vec.NewBatch(ts, n)
		for _, r := range rows[:n] {
			for i, v := range r {
				b.Cols[i].AppendStr(v)
			}
			b.N++
		}
		if err := w.Batch(b, s.set.Types()); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// discard carries out DISCARD.
func (s *Session) discard(n *ast.DiscardStmt) (string, error) {
	switch n.Target {
	case ast.DISCARD_ALL:
		if s.t.block {
			return "", types.Errorf(types.CodeActiveTransaction, "DISCARD ALL cannot run inside a transaction block")
		}
		s.closePortals()
		if err := s.discardTemp(); err != nil {
			return "", err
		}
		if err := s.reset("session_authorization", false); err != nil {
			return "", err
		}
		s.set.ResetAll()
		clear(s.stmts)
		clear(s.plans)
		clear(s.currvals)
		return "DISCARD ALL", nil
	case ast.DISCARD_PLANS:
		clear(s.plans)
		return "DISCARD PLANS", nil
	case ast.DISCARD_SEQUENCES:
		clear(s.currvals)
		return "DISCARD SEQUENCES", nil
	}
	return "DISCARD TEMP", s.discardTemp()
}

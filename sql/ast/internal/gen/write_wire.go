package main

import "bytes"

func writeLower(b *bytes.Buffer, s *schema) {
	p(b, "package parse\n\nimport \"github.com/pamirdb/pamir/sql/ast\"\n\n")
	p(b, "// node lowers one serialized node of any type; nil for an absent one.\n")
	p(b, "func (r *wireReader) node(b []byte) ast.Node {\n")
	p(b, "if len(b) == 0 { return nil }\nf, _, sub, _ := r.next(b)\nswitch f {\n")
	for _, m := range s.messages {
		p(b, "case %d:\nreturn r.lower%s(sub)\n", m.nodeNum, m.name)
	}
	p(b, "}\nr.unknown = f\nreturn nil\n}\n\n")
	for _, m := range s.messages {
		p(b, "func (r *wireReader) lower%s(b []byte) *ast.%s {\nn := &ast.%s{}\n", m.name, m.name, m.name)
		if len(m.fields) == 0 {
			p(b, "_ = b\nreturn n\n}\n\n")
			continue
		}
		p(b, "for len(b) > 0 {\nvar f int\nvar v uint64\nvar sub []byte\nf, v, sub, b = r.next(b)\nswitch f {\n")
		usesV, usesSub := false, false
		for _, f := range m.fields {
			v, sub := writeLowerField(b, f)
			usesV, usesSub = usesV || v, usesSub || sub
		}
		p(b, "}\n")
		if !usesV {
			p(b, "_ = v\n")
		}
		if !usesSub {
			p(b, "_ = sub\n")
		}
		p(b, "}\nreturn n\n}\n\n")
	}
}

func writeLowerField(b *bytes.Buffer, f field) (usesV, usesSub bool) {
	if f.kind == kindConst {
		for _, a := range f.alts {
			p(b, "case %d:\nn.%s = r.lower%s(sub)\n", a.num, f.name, a.goType)
		}
		return false, true
	}
	var value string
	switch f.kind {
	case kindNode:
		value, usesSub = "r.node(sub)", true
	case kindMessage:
		value, usesSub = "r.lower"+f.goType+"(sub)", true
	case kindEnum:
		value, usesV = "ast."+f.goType+"(v)", true
	default:
		switch f.goType {
		case "string":
			value, usesSub = "string(sub)", true
		case "bool":
			value, usesV = "v != 0", true
		case "int":
			value, usesV = "int(int32(v))", true
		default:
			value, usesV = f.goType+"(v)", true
		}
	}
	if f.repeated {
		if usesV {
			p(b, "case %d:\nif sub == nil { n.%s = append(n.%s, %s) }\n", f.num, f.name, f.name, value)
			p(b, "for len(sub) > 0 {\nv, sub = r.varint(sub)\nn.%s = append(n.%s, %s)\n}\n", f.name, f.name, value)
			return true, true
		}
		p(b, "case %d:\nn.%s = append(n.%s, %s)\n", f.num, f.name, f.name, value)
		return usesV, usesSub
	}
	p(b, "case %d:\nn.%s = %s\n", f.num, f.name, value)
	return usesV, usesSub
}

func writeRaise(b *bytes.Buffer, s *schema) {
	p(b, "package parse\n\nimport \"github.com/pamirdb/pamir/sql/ast\"\n\n")
	p(b, "// node appends any node as the serialized form has it.\n")
	p(b, "func (w *wireWriter) node(n ast.Node) {\nswitch n := n.(type) {\n")
	for _, m := range s.messages {
		p(b, "case *ast.%s:\nat := w.open(%d)\nw.raise%s(n)\nw.close(at)\n", m.name, m.nodeNum, m.name)
	}
	p(b, "default:\nw.other(n)\n}\n}\n\n")
	for _, m := range s.messages {
		p(b, "func (w *wireWriter) raise%s(n *ast.%s) {\n", m.name, m.name)
		if len(m.fields) == 0 {
			p(b, "_ = n\n")
		}
		for _, f := range m.fields {
			writeRaiseField(b, f)
		}
		p(b, "}\n\n")
	}
}

func writeRaiseField(b *bytes.Buffer, f field) {
	if f.kind == kindConst {
		p(b, "switch c := n.%s.(type) {\n", f.name)
		for _, a := range f.alts {
			p(b, "case *ast.%s:\nat := w.open(%d)\nw.raise%s(c)\nw.close(at)\n", a.goType, a.num, a.goType)
		}
		p(b, "}\n")
		return
	}
	v := "n." + f.name
	if f.repeated {
		p(b, "for _, v := range n.%s {\n", f.name)
		v = "v"
	}
	switch f.kind {
	case kindNode:
		if f.repeated {
			p(b, "at := w.open(%d)\nif v != nil { w.node(v) }\nw.close(at)\n", f.num)
		} else {
			p(b, "if %s != nil {\nat := w.open(%d)\nw.node(%s)\nw.close(at)\n}\n", v, f.num, v)
		}
	case kindMessage:
		p(b, "if %s != nil {\nat := w.open(%d)\nw.raise%s(%s)\nw.close(at)\n}\n", v, f.num, f.goType, v)
	case kindEnum:
		p(b, "w.integer(%d, uint64(%s))\n", f.num, v)
	default:
		switch f.goType {
		case "string":
			p(b, "w.text(%d, %s)\n", f.num, v)
		case "bool":
			p(b, "w.flag(%d, %s)\n", f.num, v)
		default:
			p(b, "w.integer(%d, uint64(%s))\n", f.num, v)
		}
	}
	if f.repeated {
		p(b, "}\n")
	}
}

package main

import "bytes"

func writeNodes(b *bytes.Buffer, s *schema) {
	p(b, "package ast\n\n")
	p(b, "// Tags of all nodes, named after them.\nconst (\n")
	for i, m := range s.messages {
		if i == 0 {
			p(b, "Tag%s NodeTag = iota + 1\n", m.name)
			continue
		}
		p(b, "Tag%s\n", m.name)
	}
	p(b, "firstHandTag\n)\n\nvar tagNames = [...]string{\n")
	for _, m := range s.messages {
		p(b, "Tag%s: %q,\n", m.name, m.name)
	}
	p(b, "}\n\n")
	for _, m := range s.messages {
		p(b, "// %s mirrors PostgreSQL's raw node of the same name.\ntype %s struct {\n", m.name, m.name)
		for _, f := range m.fields {
			p(b, "%s %s\n", f.name, fieldType(f, ""))
		}
		p(b, "}\n\n")
	}
	for _, m := range s.messages {
		p(b, "func (*%s) node() {}\n\n// Tag tells the node's type.\nfunc (*%s) Tag() NodeTag { return Tag%s }\n\n", m.name, m.name, m.name)
	}
	for _, e := range s.enums {
		p(b, "// %s mirrors PostgreSQL's enum of the same name.\ntype %s int32\n\n", e.name, e.name)
		p(b, "// Values of %s.\nconst (\n", e.name)
		for _, v := range e.values {
			p(b, "%s %s = %s\n", v.name, e.name, v.num)
		}
		p(b, ")\n\n")
	}
}

func fieldType(f field, pkg string) string {
	t := f.goType
	switch f.kind {
	case kindMessage:
		t = "*" + pkg + t
	case kindNode, kindEnum, kindConst:
		t = pkg + t
	}
	if f.repeated {
		t = "[]" + t
	}
	return t
}

func writeWalk(b *bytes.Buffer, s *schema) {
	p(b, "package ast\n\n")
	p(b, "// Children calls visit for every direct child of n, in the order of its fields.\n")
	p(b, "func Children(n Node, visit func(Node)) {\nswitch n := n.(type) {\n")
	for _, m := range s.messages {
		if !hasChildren(m) {
			continue
		}
		p(b, "case *%s:\nn.children(visit)\n", m.name)
	}
	p(b, "}\n}\n\n")
	p(b, "// MapChildren replaces every direct child of n by f's answer. A child whose field\n")
	p(b, "// admits one type only stays if the answer has another.\n")
	p(b, "func MapChildren(n Node, f func(Node) Node) {\nswitch n := n.(type) {\n")
	for _, m := range s.messages {
		if !hasChildren(m) {
			continue
		}
		p(b, "case *%s:\nn.mapChildren(f)\n", m.name)
	}
	p(b, "}\n}\n\n")
	for _, m := range s.messages {
		if !hasChildren(m) {
			continue
		}
		p(b, "func (n *%s) children(visit func(Node)) {\n", m.name)
		for _, f := range m.fields {
			writeVisit(b, f)
		}
		p(b, "}\n\nfunc (n *%s) mapChildren(f func(Node) Node) {\n", m.name)
		for _, f := range m.fields {
			writeMap(b, f)
		}
		p(b, "}\n\n")
	}
}

func isChild(f field) bool {
	return f.kind == kindNode || f.kind == kindMessage || f.kind == kindConst
}

func hasChildren(m *message) bool {
	for _, f := range m.fields {
		if isChild(f) {
			return true
		}
	}
	return false
}

func writeVisit(b *bytes.Buffer, f field) {
	switch {
	case !isChild(f):
	case f.repeated:
		p(b, "for _, c := range n.%s {\nif c != nil { visit(c) }\n}\n", f.name)
	default:
		p(b, "if n.%s != nil { visit(n.%s) }\n", f.name, f.name)
	}
}

func writeMap(b *bytes.Buffer, f field) {
	switch {
	case !isChild(f):
	case f.kind == kindMessage && f.repeated:
		p(b, "for i, c := range n.%s {\nif c == nil { continue }\nif r, ok := f(c).(*%s); ok { n.%s[i] = r }\n}\n", f.name, f.goType, f.name)
	case f.kind == kindMessage:
		p(b, "if n.%s != nil {\nif r, ok := f(n.%s).(*%s); ok { n.%s = r }\n}\n", f.name, f.name, f.goType, f.name)
	case f.repeated:
		p(b, "for i, c := range n.%s {\nif c != nil { n.%s[i] = f(c) }\n}\n", f.name, f.name)
	default:
		p(b, "if n.%s != nil { n.%s = f(n.%s) }\n", f.name, f.name, f.name)
	}
}

package builtin

func init() {
	row("booland_statefunc", func(c *Call) error { return c.RetBool(c.Bool(0) && c.Bool(1)) })
	row("boolor_statefunc", func(c *Call) error { return c.RetBool(c.Bool(0) || c.Bool(1)) })
}

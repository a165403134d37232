package plan

// ExplainFormat is the output format of EXPLAIN.
type ExplainFormat uint8

// The formats.
const (
	ExplainAsText ExplainFormat = iota
	ExplainAsJSON
)

// ExplainOptions are the options of EXPLAIN.
type ExplainOptions struct {
	Analyze bool
	Verbose bool
	Costs   bool
	Buffers bool
	Timing  bool
	Summary bool
	Format  ExplainFormat
}

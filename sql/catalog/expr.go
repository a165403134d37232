package catalog

import (
	"encoding/json"
	"errors"

	"github.com/pamirdb/pamir/sql/expr"
)

// Expr is a stored expression: its SQL text as given, and its bound tree, in
// which a column of the object's own table has its ColumnID as column id.
type Expr struct {
	Source string
	Tree   expr.Expr
}

type exprImage struct {
	Source string `json:"source"`
	Tree   []byte `json:"tree"`
}

// MarshalJSON stores the tree in its own versioned form.
func (e *Expr) MarshalJSON() ([]byte, error) {
	b, err := expr.Encode(nil, e.Tree)
	if err != nil {
		return nil, err
	}
	return json.Marshal(exprImage{e.Source, b})
}

// UnmarshalJSON reads what MarshalJSON stored.
func (e *Expr) UnmarshalJSON(b []byte) error {
	var im exprImage
	if err := json.Unmarshal(b, &im); err != nil {
		return err
	}
	tree, rest, err := expr.Decode(im.Tree)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return errors.New("catalog: trailing bytes after an expression")
	}
	e.Source, e.Tree = im.Source, tree
	return nil
}

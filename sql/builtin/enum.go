package builtin

import "github.com/pamirdb/pamir/sql/types"

// labelsOf returns the labels of the enum that an argument is declared as.
func labelsOf(c *Call) ([]types.Label, error) {
	if names := c.Ctx.Set().Names; names != nil {
		if _, labels, ok := names.EnumLabels(c.Info.ArgTypes[0].OID); ok {
			return labels, nil
		}
	}
	return nil, types.Errorf(types.CodeFeatureNotSupported, "could not determine actual enum type")
}

func enumEnd(c *Call, first bool) error {
	labels, err := labelsOf(c)
	if err != nil {
		return err
	}
	if len(labels) == 0 {
		return types.Errorf(types.CodeObjectNotInPrerequisite, "enum %s contains no values", types.Format(c.Info.ArgTypes[0].OID, -1))
	}
	if first {
		return c.Ret(types.NewEnum(labels[0]))
	}
	return c.Ret(types.NewEnum(labels[len(labels)-1]))
}

// enumRange gives the labels from one to another; NULL leaves a side open.
func enumRange(c *Call, from, to types.Datum) error {
	labels, err := labelsOf(c)
	if err != nil {
		return err
	}
	enum := c.Info.ArgTypes[0].OID
	var in []types.Datum
	for _, l := range labels {
		d := types.NewEnum(l)
		if (from.IsNull() || types.Compare(enum, from, d) <= 0) && (to.IsNull() || types.Compare(enum, d, to) <= 0) {
			in = append(in, d)
		}
	}
	return c.Ret(types.ArrayDatum(types.NewArray(enum, in)))
}

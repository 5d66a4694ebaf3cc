package dynamodb

import (
	"cmp"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/truora/minidyn/types"

	"ittybit-media/scripts/local/aws/endpoint"
)

// value is an attribute value; item maps attribute names to values. The
// expression library's type is used as it is: its field names are the wire
// format's, and items in tables are never changed in place.
type (
	value = types.Item
	item  = map[string]*value
)

// wire is a value in the form of the protocol: an object with its one type as
// key. types.Item marshals all types.
func wire(v *value) map[string]any {
	switch {
	case v.S != nil:
		return map[string]any{"S": *v.S}
	case v.N != nil:
		return map[string]any{"N": *v.N}
	case v.BOOL != nil:
		return map[string]any{"BOOL": *v.BOOL}
	case v.NULL != nil:
		return map[string]any{"NULL": *v.NULL}
	case v.B != nil:
		return map[string]any{"B": v.B}
	case v.M != nil:
		return map[string]any{"M": wireItem(v.M)}
	case v.SS != nil:
		return map[string]any{"SS": v.SS}
	case v.NS != nil:
		return map[string]any{"NS": v.NS}
	case v.BS != nil:
		return map[string]any{"BS": v.BS}
	}
	list := make([]any, len(v.L))
	for i, element := range v.L {
		list[i] = wire(element)
	}
	return map[string]any{"L": list}
}

func wireItem(it item) map[string]any {
	out := make(map[string]any, len(it))
	for name, v := range it {
		out[name] = wire(v)
	}
	return out
}

// check refuses values that are none of DynamoDB's types, or several.
func check(v *value) error {
	if v == nil {
		return invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	set := 0
	for _, present := range []bool{
		v.S != nil, v.N != nil, v.B != nil, v.BOOL != nil, v.NULL != nil, v.M != nil, v.L != nil, v.SS != nil, v.NS != nil, v.BS != nil,
	} {
		if present {
			set++
		}
	}
	if set != 1 {
		return invalid("Supplied AttributeValue has %d datatypes set, must contain exactly one of the supported datatypes", set)
	}
	if v.N != nil {
		if _, ok := number(*v.N); !ok {
			return invalid("The parameter cannot be converted to a numeric value: %s", *v.N)
		}
	}
	if (v.SS != nil && len(v.SS) == 0) || (v.NS != nil && len(v.NS) == 0) || (v.BS != nil && len(v.BS) == 0) {
		return invalid("One or more parameter values were invalid: a set may not be empty")
	}
	for _, element := range v.L {
		if err := check(element); err != nil {
			return err
		}
	}
	return checkAll(v.M)
}

func checkAll(it item) error {
	for name, v := range it {
		if err := check(v); err != nil {
			return err
		}
		if err := types.ValidateItemAttributeValue(v); err != nil {
			return invalid("%s: %s", name, err)
		}
	}
	return nil
}

// number reads a number. Rat alone would take fractions, and exponents that
// fill the memory.
func number(s string) (*big.Rat, bool) {
	if len(s) > 50 || strings.ContainsAny(s, "/_xXpP") {
		return nil, false
	}
	if _, exponent, found := strings.Cut(strings.ToLower(s), "e"); found && len(strings.TrimLeft(exponent, "+-")) > 3 {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// compare orders two values of one key attribute.
func compare(a, b *value) int {
	switch {
	case a.S != nil && b.S != nil:
		return cmp.Compare(*a.S, *b.S)
	case a.B != nil && b.B != nil:
		return cmp.Compare(string(a.B), string(b.B))
	case a.N != nil && b.N != nil:
		// Nearly all numbers are whole; sorting an index by fractions would take most
		// of a query's time.
		i, errI := strconv.ParseInt(*a.N, 10, 64)
		j, errJ := strconv.ParseInt(*b.N, 10, 64)
		if errI == nil && errJ == nil {
			return cmp.Compare(i, j)
		}
		x, okX := number(*a.N)
		y, okY := number(*b.N)
		if okX && okY {
			return x.Cmp(y)
		}
	}
	return 0
}

// identity tells the values of a key attribute apart: 1 and 1.0 are one number.
func identity(v *value) string {
	switch {
	case v == nil:
		return ""
	case v.N != nil:
		if n, ok := number(*v.N); ok {
			return n.RatString()
		}
		return *v.N
	case v.B != nil:
		return string(v.B)
	case v.S != nil:
		return *v.S
	}
	return ""
}

// size is what a value counts towards DynamoDB's limits, in bytes (DynamoDB
// Developer Guide, "DynamoDB item sizes and formats"; numbers are approximate
// there too).
func size(v *value) int {
	n := 0
	switch {
	case v.S != nil:
		n = len(*v.S)
	case v.N != nil:
		n = numberSize(*v.N)
	case v.B != nil:
		n = len(v.B)
	case v.BOOL != nil, v.NULL != nil:
		n = 1
	case v.M != nil:
		n = 3 + len(v.M) + itemSize(v.M)
	case v.L != nil:
		n = 3 + len(v.L)
	}
	for _, element := range v.L {
		n += size(element)
	}
	for _, s := range v.SS {
		n += len(*s)
	}
	for _, s := range v.NS {
		n += numberSize(*s)
	}
	for _, b := range v.BS {
		n += len(b)
	}
	return n
}

func numberSize(s string) int { return min(21, len(s)/2+2) }

func itemSize(it item) int {
	n := 0
	for name, v := range it {
		n += len(name) + size(v)
	}
	return n
}

func invalid(format string, args ...any) *endpoint.Fault {
	return &endpoint.Fault{Type: "ValidationException", Message: fmt.Sprintf(format, args...)}
}

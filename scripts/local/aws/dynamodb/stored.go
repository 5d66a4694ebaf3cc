package dynamodb

// stored is a row as a table keeps it: an attribute value of the expression
// library's takes ten times the room, and a long run has many rows.
type stored []attribute

type attribute struct {
	name string
	text string // of a string or a number
	kind byte   // 'S', 'N', or 0 for all else
	rest *value // all else
}

// pack takes the names from a set, which it adds to: they are the same in all
// rows.
func pack(row item, names map[string]string) stored {
	packed := make(stored, 0, len(row))
	for name, v := range row {
		if names[name] == "" {
			names[name] = name
		}
		a := attribute{name: names[name]}
		switch {
		case v.S != nil:
			a.kind, a.text = 'S', *v.S
		case v.N != nil:
			a.kind, a.text = 'N', *v.N
		default:
			a.rest = v
		}
		packed = append(packed, a)
	}
	return packed
}

func (s stored) item() item {
	row := make(item, len(s))
	for i := range s {
		row[s[i].name] = s[i].value()
	}
	return row
}

func (a *attribute) value() *value {
	switch a.kind {
	case 'S':
		return &value{S: &a.text}
	case 'N':
		return &value{N: &a.text}
	}
	return a.rest
}

// find is the attribute of a name; nil if there is none.
func (s stored) find(name string) *attribute {
	for i := range s {
		if s[i].name == name {
			return &s[i]
		}
	}
	return nil
}

// value is that of an attribute; nil if there is none of that name.
func (s stored) value(name string) *value {
	if a := s.find(name); a != nil {
		return a.value()
	}
	return nil
}

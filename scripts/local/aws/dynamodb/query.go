package dynamodb

import (
	"cmp"
	"maps"
	"slices"

	"github.com/truora/minidyn/interpreter"
	"github.com/truora/minidyn/interpreter/language"
)

// source is what a query or scan reads: a table or one of its indexes.
type source struct {
	*table
	keys      keySchema
	index     *index // nil: the table itself
	ascending bool
}

func (t *table) source(r *request) (*source, error) {
	s := &source{table: t, keys: t.keys, ascending: r.ScanIndexForward == nil || *r.ScanIndexForward}
	if r.IndexName == "" {
		return s, nil
	}
	idx, ok := t.indexes[r.IndexName]
	if !ok {
		return nil, invalid("The table does not have the specified index: %s", r.IndexName)
	}
	if r.ConsistentRead {
		return nil, invalid("Consistent reads are not supported on global secondary indexes")
	}
	s.index, s.keys = &idx, idx.keys
	return s, nil
}

// order compares rows as the source lists them: by sort key, then (an index's
// keys are not unique) by primary key.
func (s *source) order(a, b stored) int {
	c := 0
	if s.keys.sort != "" {
		c = compare(a.value(s.keys.sort), b.value(s.keys.sort))
	}
	if c == 0 {
		c = s.primaryOrder(a, b)
	}
	if !s.ascending {
		return -c
	}
	return c
}

func (t *table) primaryOrder(a, b stored) int {
	c := cmp.Compare(identity(a.value(t.keys.hash)), identity(b.value(t.keys.hash)))
	if c == 0 && t.keys.sort != "" {
		c = compare(a.value(t.keys.sort), b.value(t.keys.sort))
	}
	return c
}

// rowsOf gives the rows of one partition of the source in order.
func (s *source) rowsOf(partition string) []stored {
	var rows []stored
	if s.index == nil {
		rows = slices.Clone(s.partitions[partition])
	} else {
		for _, p := range s.partitions {
			for _, row := range p {
				if s.holds(row) && identity(row.value(s.keys.hash)) == partition {
					rows = append(rows, row)
				}
			}
		}
	}
	slices.SortFunc(rows, s.order)
	return rows
}

// all are all rows of the source, in the order of the primary key.
func (s *source) all() []stored {
	var rows []stored
	for _, p := range s.partitions {
		for _, row := range p {
			if s.holds(row) {
				rows = append(rows, row)
			}
		}
	}
	slices.SortFunc(rows, s.primaryOrder)
	return rows
}

// holds says whether a row is in the source: an index is sparse.
func (s *source) holds(row stored) bool {
	for _, name := range s.keys.attributes() {
		if row.find(name) == nil {
			return false
		}
	}
	return true
}

// visible is what the source shows of a row.
func (s *source) visible(row item) item {
	if s.index == nil || s.index.projection.ProjectionType == projectionAll {
		return row
	}
	names := slices.Concat(s.table.keys.attributes(), s.keys.attributes())
	if s.index.projection.ProjectionType == projectionChosen {
		names = append(names, s.index.projection.NonKeyAttributes...)
	}
	return pick(row, names...)
}

// position is the key that a page ends with.
func (s *source) position(row item) item {
	return pick(row, slices.Concat(s.table.keys.attributes(), s.keys.attributes())...)
}

func (s *source) validateStart(start item) error {
	if start == nil {
		return nil
	}
	if err := checkAll(start); err != nil {
		return err
	}
	if len(s.position(start)) != len(start) || len(pick(start, s.keys.attributes()...)) != len(s.keys.attributes()) || s.validatePrimaryKey(start) != nil {
		return invalid("The provided starting key is invalid")
	}
	return nil
}

func query(t *table, r *request) (any, error) {
	s, err := t.source(r)
	if err != nil {
		return nil, err
	}
	partition, err := s.partitionOf(r)
	if err != nil {
		return nil, err
	}
	s.table = t.seen(r, "Query", partition)
	return s.page(r, s.rowsOf(partition), s.order)
}

func scan(t *table, r *request) (any, error) {
	s, err := t.source(r)
	if err != nil {
		return nil, err
	}
	s.table = t.seen(r, "Scan", "")
	return s.page(r, s.all(), s.primaryOrder)
}

// page answers with the rows after the start key that fit the key condition, up
// to the limit of rows or 1 MB, both counted before the filter.
func (s *source) page(r *request, rows []stored, order func(a, b stored) int) (any, error) {
	if err := s.validateStart(r.ExclusiveStartKey); err != nil {
		return nil, err
	}
	if r.Limit != nil && *r.Limit < 1 {
		return nil, invalid("Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", *r.Limit)
	}
	if err := s.checkFilter(r); err != nil {
		return nil, err
	}
	if r.ExclusiveStartKey != nil {
		start := pack(r.ExclusiveStartKey, s.names)
		at := slices.IndexFunc(rows, func(row stored) bool { return order(row, start) > 0 })
		if at < 0 {
			at = len(rows)
		}
		rows = rows[at:]
	}
	answer := map[string]any{}
	items := []any{}
	scanned, bytes := 0, 0
	for _, packed := range rows {
		row := packed.item()
		shown := s.visible(row)
		// Rows outside the key condition are not read, so they do not count; a scan
		// has no such condition.
		inRange, err := r.expressions().match(r.KeyConditionExpression, interpreter.ExpressionTypeKey, pick(row, s.keys.attributes()...))
		if err != nil {
			return nil, err
		}
		if !inRange {
			continue
		}
		scanned++
		bytes += itemSize(shown)
		ok, err := r.expressions().match(r.FilterExpression, interpreter.ExpressionTypeFilter, shown)
		if err != nil {
			return nil, err
		}
		if ok {
			projected, err := r.expressions().project(r.ProjectionExpression, shown)
			if err != nil {
				return nil, err
			}
			items = append(items, wireItem(projected))
		}
		if bytes >= maxPageSize || (r.Limit != nil && scanned == *r.Limit) {
			answer["LastEvaluatedKey"] = wireItem(s.position(row))
			break
		}
	}
	answer["Items"], answer["Count"], answer["ScannedCount"] = items, len(items), scanned
	return answer, nil
}

// checkFilter refuses a filter on a key attribute of what is queried.
func (s *source) checkFilter(r *request) error {
	if r.KeyConditionExpression == "" {
		return nil
	}
	lexer := language.NewLexer(r.FilterExpression)
	for token := lexer.NextToken(); token.Type != language.EOF; token = lexer.NextToken() {
		if name := r.expressions().resolve(token.Literal); slices.Contains(s.keys.attributes(), name) {
			return invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", name)
		}
	}
	return nil
}

// partitionOf finds the partition that a key condition names. It refuses
// conditions that are not one of AWS's forms: the partition key equals a value,
// and at most one condition on the sort key.
func (s *source) partitionOf(r *request) (string, error) {
	parser := language.NewParser(language.NewLexer(r.KeyConditionExpression))
	parsed := parser.ParseConditionalExpression()
	if len(parser.Errors()) > 0 || parsed.Expression == nil {
		return "", invalid("Invalid KeyConditionExpression: %q", r.KeyConditionExpression)
	}
	conditions := map[string]language.Expression{}
	for _, x := range conjuncts(parsed.Expression) {
		name := r.expressions().subject(x)
		if !slices.Contains(s.keys.attributes(), name) || conditions[name] != nil {
			return "", invalid("Query key condition not supported: %s", x.String())
		}
		conditions[name] = x
	}
	equals, ok := conditions[s.keys.hash].(*language.InfixExpression)
	if !ok || equals.Operator != language.EQ {
		return "", invalid("Query condition missed key schema element: %s", s.keys.hash)
	}
	v := r.ExpressionAttributeValues[equals.Right.String()]
	if v == nil {
		return "", invalid("Invalid KeyConditionExpression: %s must be compared with a value", s.keys.hash)
	}
	for _, name := range slices.Sorted(maps.Keys(conditions)) {
		if x, ok := conditions[name].(*language.InfixExpression); ok {
			if v := r.ExpressionAttributeValues[x.Right.String()]; v != nil {
				if err := s.validateKeyAttribute(name, v); err != nil {
					return "", err
				}
			}
		}
	}
	return identity(v), nil
}

// conjuncts splits a condition at its top-level ANDs.
func conjuncts(x language.Expression) []language.Expression {
	if and, ok := x.(*language.InfixExpression); ok && and.Operator == language.AND {
		return append(conjuncts(and.Left), conjuncts(and.Right)...)
	}
	return []language.Expression{x}
}

// subject is the attribute that a key condition is about; empty for conditions
// that cannot be one.
func (e expressions) subject(x language.Expression) string {
	var left language.Expression
	switch x := x.(type) {
	case *language.InfixExpression:
		if !slices.Contains([]string{language.EQ, language.LT, language.LTE, language.GT, language.GTE}, x.Operator) {
			return ""
		}
		left = x.Left
	case *language.BetweenExpression:
		left = x.Left
	case *language.CallExpression:
		if x.Function.String() != "begins_with" || len(x.Arguments) != 2 {
			return ""
		}
		left = x.Arguments[0]
	default:
		return ""
	}
	if path, ok := e.path(left); ok && len(path) == 1 {
		return path[0]
	}
	return ""
}

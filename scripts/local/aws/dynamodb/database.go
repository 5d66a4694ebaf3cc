package dynamodb

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/truora/minidyn/interpreter"

	"ittybit-media/scripts/local/aws/endpoint"
)

// Database is DynamoDB's tables behind one lock: every operation is atomic. Its
// methods may be called concurrently.
type Database struct {
	mu     sync.Mutex
	tables map[string]*table
	stale  func(Read) bool // see [Database.Stale]
	limit  writeLimit      // see [Database.LimitWrites]
}

// New makes a database without tables.
func New() *Database { return &Database{tables: map[string]*table{}} }

// API is DynamoDB's API.
func (db *Database) API() endpoint.Service {
	return endpoint.Service{
		Name: endpoint.ServiceDynamoDB,
		Find: endpoint.Target("DynamoDB_20120810"),
		Operations: map[string]endpoint.Operation{
			"CreateTable": endpoint.JSON(db.createTable),
			"GetItem":     db.onTable(getItem),
			"PutItem":     db.onTable(putItem),
			"UpdateItem":  db.onTable(updateItem),
			"DeleteItem":  db.onTable(deleteItem),
			"Query":       db.onTable(query),
			"Scan":        db.onTable(scan),
		},
	}
}

// Row is a row in a table, to be looked at in [Database.Rows] only.
type Row struct{ attributes stored }

// Text is an attribute that is a string or a number, as the protocol writes it;
// empty if the row has none of that name.
func (r Row) Text(name string) string {
	if a := r.attributes.find(name); a != nil {
		return a.text
	}
	return ""
}

// Rows calls f for every row of a table, in no order, while nothing changes:
// for checks that are made often. f must be quick and not call the database.
func (db *Database) Rows(table string, f func(Row)) {
	db.mu.Lock()
	defer db.mu.Unlock()
	t := db.tables[table]
	if t == nil {
		return
	}
	for _, partition := range t.partitions {
		for _, row := range partition {
			f(Row{row})
		}
	}
}

// request has the parameters of every operation on rows. One that is not here
// is refused, not ignored.
type request struct {
	TableName                           string
	IndexName                           string
	Key                                 item
	Item                                item
	ExclusiveStartKey                   item
	ExpressionAttributeNames            map[string]string
	ExpressionAttributeValues           item
	ConditionExpression                 string
	UpdateExpression                    string
	KeyConditionExpression              string
	FilterExpression                    string
	ProjectionExpression                string
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
	Limit                               *int
	ScanIndexForward                    *bool
	ConsistentRead                      bool

	// Accepted, never answered.
	ReturnConsumedCapacity, ReturnItemCollectionMetrics json.RawMessage
}

func (r *request) expressions() expressions {
	return expressions{names: r.ExpressionAttributeNames, values: r.ExpressionAttributeValues}
}

// onTable decodes a request and runs f on its table, under the lock.
func (db *Database) onTable(f func(*table, *request) (any, error)) endpoint.Operation {
	return endpoint.JSON(func(_ context.Context, r request) (any, error) {
		texts := []string{r.ConditionExpression, r.UpdateExpression, r.KeyConditionExpression, r.FilterExpression, r.ProjectionExpression}
		if err := r.expressions().validate(texts...); err != nil {
			return nil, err
		}
		db.mu.Lock()
		defer db.mu.Unlock()
		t := db.tables[r.TableName]
		if t == nil {
			return nil, noTable(r.TableName)
		}
		return f(t, &r)
	})
}

func noTable(name string) *endpoint.Fault {
	return &endpoint.Fault{Type: "ResourceNotFoundException", Message: "Requested resource not found: Table: " + name + " not found"}
}

func getItem(t *table, r *request) (any, error) {
	if err := t.validateKey(r.Key); err != nil {
		return nil, err
	}
	row := t.seen(r, "GetItem", identity(r.Key[t.keys.hash])).get(r.Key)
	if row == nil {
		return map[string]any{}, nil
	}
	row, err := r.expressions().project(r.ProjectionExpression, row)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Item": wireItem(row)}, nil
}

func putItem(t *table, r *request) (any, error) {
	if err := t.validate(r.Item); err != nil {
		return nil, err
	}
	return t.replace(r, r.Item, r.Item)
}

func deleteItem(t *table, r *request) (any, error) {
	if err := t.validateKey(r.Key); err != nil {
		return nil, err
	}
	return t.replace(r, r.Key, nil)
}

// replace puts a row in the place of the one with a key; nil for none.
func (t *table) replace(r *request, key, row item) (any, error) {
	old := t.get(key)
	if err := r.condition(old); err != nil {
		return nil, err
	}
	answer, err := r.attributes(map[string]item{"ALL_OLD": old})
	if err != nil {
		return nil, err
	}
	return answer, t.store(key, old, row)
}

func updateItem(t *table, r *request) (any, error) {
	if err := t.validateKey(r.Key); err != nil {
		return nil, err
	}
	old := t.get(r.Key)
	if err := r.condition(old); err != nil {
		return nil, err
	}
	base := old
	if base == nil {
		base = r.Key
	}
	row, touched, err := r.expressions().update(r.UpdateExpression, base)
	if err != nil {
		return nil, err
	}
	for _, name := range t.keys.attributes() {
		if slices.Contains(touched, name) {
			return nil, invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", name)
		}
	}
	if err := t.validate(row); err != nil {
		return nil, err
	}
	answer, err := r.attributes(map[string]item{"ALL_OLD": old, "ALL_NEW": row})
	if err != nil {
		return nil, err
	}
	return answer, t.store(r.Key, old, row)
}

// condition checks the request's condition against the row as it is, nil if
// there is none.
func (r *request) condition(old item) error {
	ok, err := r.expressions().match(r.ConditionExpression, interpreter.ExpressionTypeConditional, old)
	if err != nil || ok {
		return err
	}
	fault := &endpoint.Fault{Type: "ConditionalCheckFailedException", Message: "The conditional request failed"}
	if r.ReturnValuesOnConditionCheckFailure == "ALL_OLD" {
		fault.Members = map[string]any{"Item": wireItem(old)}
	}
	return fault
}

// attributes returns the answer with the row that ReturnValues asks for, of
// those that it may ask for.
func (r *request) attributes(rows map[string]item) (any, error) {
	row, known := rows[r.ReturnValues]
	switch {
	case !known && r.ReturnValues != "" && r.ReturnValues != "NONE":
		return nil, invalid("ReturnValues can not be %s here", r.ReturnValues)
	case len(row) == 0:
		return map[string]any{}, nil
	}
	return map[string]any{"Attributes": wireItem(row)}, nil
}

// createInput is what the tables heed of CreateTable.
type createInput struct {
	TableName              string
	AttributeDefinitions   []attributeDefinition
	KeySchema              []keyElement
	GlobalSecondaryIndexes []indexInput

	// Accepted, and of no effect.
	BillingMode, ProvisionedThroughput, DeletionProtectionEnabled, SSESpecification, TableClass, Tags json.RawMessage
}

type attributeDefinition struct{ AttributeName, AttributeType string }

type keyElement struct{ AttributeName, KeyType string }

type indexInput struct {
	IndexName             string
	KeySchema             []keyElement
	Projection            projection
	ProvisionedThroughput json.RawMessage // accepted, and of no effect
}

func (db *Database) createTable(_ context.Context, in createInput) (any, error) {
	t, err := newTable(in)
	if err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.tables[in.TableName] != nil {
		return nil, &endpoint.Fault{Type: "ResourceInUseException", Message: "Table already exists: " + in.TableName}
	}
	t.limit = db.limit
	t.setStale(db.stale)
	db.tables[in.TableName] = t
	return map[string]any{"TableDescription": map[string]any{"TableName": t.name, "TableStatus": "ACTIVE"}}, nil
}

func newTable(in createInput) (*table, error) {
	t := &table{
		name: in.TableName, types: map[string]string{}, indexes: map[string]index{},
		partitions: map[string][]stored{}, names: map[string]string{},
	}
	if in.TableName == "" {
		return nil, invalid("TableName is missing")
	}
	declared := map[string]string{}
	for _, d := range in.AttributeDefinitions {
		declared[d.AttributeName] = d.AttributeType
	}
	var err error
	if t.keys, err = t.schema(in.KeySchema, declared); err != nil {
		return nil, err
	}
	for _, g := range in.GlobalSecondaryIndexes {
		keys, err := t.schema(g.KeySchema, declared)
		if err != nil {
			return nil, err
		}
		t.indexes[g.IndexName] = index{keys: keys, projection: g.Projection}
	}
	if !maps.Equal(declared, t.types) {
		return nil, invalid("One or more parameter values were invalid: AttributeDefinitions has attributes that no key schema uses")
	}
	return t, nil
}

// schema reads a key schema and notes the types of its attributes.
func (t *table) schema(elements []keyElement, declared map[string]string) (keys keySchema, err error) {
	for _, element := range elements {
		kind := declared[element.AttributeName]
		if kind != "S" && kind != "N" && kind != "B" {
			return keys, invalid("One or more parameter values were invalid: key attribute %s needs an attribute definition of type S, N or B", element.AttributeName)
		}
		t.types[element.AttributeName] = kind
		if element.KeyType == typeHash {
			keys.hash = element.AttributeName
		} else {
			keys.sort = element.AttributeName
		}
	}
	if keys.hash == "" {
		return keys, invalid("One or more parameter values were invalid: a key schema needs a HASH key")
	}
	return keys, nil
}

func (t *table) arn() string { return endpoint.ARN("dynamodb", "table/"+t.name) }

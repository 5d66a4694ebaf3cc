package dynamodb

import (
	"slices"
	"strings"
)

// DynamoDB's limits (DynamoDB Developer Guide, "Quotas").
const (
	maxItemSize      = 400 << 10
	maxPageSize      = 1 << 20
	maxPartitionKey  = 2048
	maxSortKey       = 1024
	typeHash         = "HASH"
	projectionAll    = "ALL"
	projectionChosen = "INCLUDE"
)

// keySchema names key attributes; a table or index may have no sort key.
type keySchema struct{ hash, sort string }

func (k keySchema) attributes() []string {
	if k.sort == "" {
		return []string{k.hash}
	}
	return []string{k.hash, k.sort}
}

// index is a global secondary index. It is computed when it is read: a row is in
// it exactly when it has the index's key attributes.
type index struct {
	keys       keySchema
	projection projection
}

type projection struct {
	ProjectionType   string
	NonKeyAttributes []string
}

// table holds rows by partition, each partition in the order of the sort key.
type table struct {
	name       string
	types      map[string]string // of key attributes: S, N or B
	keys       keySchema
	indexes    map[string]index
	partitions map[string][]stored
	names      map[string]string // of attributes
	stream     *stream           // nil: nobody reads it

	stale   func(Read) bool // see [Database.Stale]
	past    *table          // every row as it was before its last change; nil if no read is stale
	limit   writeLimit      // see [Database.LimitWrites]
	second  int64           // in which written was written
	written map[charge]int
}

// find gives a row's partition and its place there.
func (t *table) find(key item) (partition string, at int, found bool) {
	partition = identity(key[t.keys.hash])
	at, found = slices.BinarySearchFunc(t.partitions[partition], key, func(row stored, key item) int {
		if t.keys.sort == "" {
			return 0
		}
		return compare(row.value(t.keys.sort), key[t.keys.sort])
	})
	return partition, at, found
}

// get is the row with a key, nil if there is none.
func (t *table) get(key item) item {
	partition, at, found := t.find(key)
	if !found {
		return nil
	}
	return t.partitions[partition][at].item()
}

// put stores a row that has passed validate.
func (t *table) put(row item) {
	partition, at, found := t.find(row)
	if found {
		t.partitions[partition][at] = pack(row, t.names)
		return
	}
	t.partitions[strings.Clone(partition)] = slices.Insert(t.partitions[partition], at, pack(row, t.names))
}

func (t *table) delete(key item) {
	partition, at, found := t.find(key)
	if !found {
		return
	}
	if rest := slices.Delete(t.partitions[partition], at, at+1); len(rest) > 0 {
		t.partitions[partition] = rest
	} else {
		delete(t.partitions, partition)
	}
}

// pick is the named attributes of a row, as far as it has them.
func pick(row item, names ...string) item {
	out := item{}
	for _, name := range names {
		if v, ok := row[name]; ok {
			out[name] = v
		}
	}
	return out
}

// validateKey refuses a Key that is not exactly the table's primary key.
func (t *table) validateKey(key item) error {
	if err := checkAll(key); err != nil {
		return err
	}
	if len(key) != len(t.keys.attributes()) {
		return invalid("The number of conditions on the keys is invalid")
	}
	return t.validatePrimaryKey(key)
}

func (t *table) validatePrimaryKey(row item) error {
	for _, name := range t.keys.attributes() {
		v := row[name]
		if v == nil {
			return invalid("One or more of the required keys was not given a value: missing the key %s in the item", name)
		}
		if err := t.validateKeyAttribute(name, v); err != nil {
			return err
		}
		limit := maxSortKey
		if name == t.keys.hash {
			limit = maxPartitionKey
		}
		if size(v) > limit {
			return invalid("One or more parameter values were invalid: Size of key attribute %s has exceeded the maximum size limit of %d bytes", name, limit)
		}
	}
	return nil
}

// validateKeyAttribute refuses a key attribute that is empty or of another type
// than was declared.
func (t *table) validateKeyAttribute(name string, v *value) error {
	declared := t.types[name]
	if (declared == "S" && v.S == nil) || (declared == "N" && v.N == nil) || (declared == "B" && v.B == nil) {
		return invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %s", name, declared)
	}
	if identity(v) == "" {
		return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", name)
	}
	return nil
}

// validate refuses rows that AWS would not store.
func (t *table) validate(row item) error {
	if err := checkAll(row); err != nil {
		return err
	}
	if err := t.validatePrimaryKey(row); err != nil {
		return err
	}
	for _, idx := range t.indexes {
		for _, name := range idx.keys.attributes() {
			if v := row[name]; v != nil {
				if err := t.validateKeyAttribute(name, v); err != nil {
					return err
				}
			}
		}
	}
	if itemSize(row) > maxItemSize {
		return invalid("Item size has exceeded the maximum allowed size")
	}
	return nil
}

package dynamodb

import (
	"reflect"
	"time"

	"ittybit-media/scripts/local/aws/endpoint"
)

// Read is a read that may be stale: it did not ask for consistency, or it is of
// an index.
type Read struct {
	// Operation is GetItem, Query or Scan.
	Operation string
	// Index is the name of the index, "" for the table itself.
	Index string
	// Key is the partition key's value; "" for a scan.
	Key string
}

// Stale makes the reads that fits chooses see every row as it was before its
// last change, from the changes after this call on: a row that was inserted is
// not there yet, one that was deleted still is. nil, and a database at first:
// no read is stale. fits is called under the database's lock: it must be quick
// and not call the database.
func (db *Database) Stale(fits func(Read) bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.stale = fits
	for _, t := range db.tables {
		t.setStale(fits)
	}
}

func (t *table) setStale(fits func(Read) bool) {
	t.stale = fits
	switch {
	case fits == nil:
		t.past = nil
	case t.past == nil:
		t.past = t.clone()
	}
}

// seen returns the rows that a read sees: the table, or the table as it was.
func (t *table) seen(r *request, operation, key string) *table {
	if r.ConsistentRead || t.past == nil || !t.stale(Read{operation, r.IndexName, key}) {
		return t
	}
	return t.past
}

// store puts a row in the place of an old one, nil for none, and tells of the
// change.
func (t *table) store(key, old, row item) error {
	if err := t.take(key, old, row); err != nil {
		return err
	}
	t.set(key, row)
	// What leaves a row as it was does not make what was before it older.
	if t.past != nil && !reflect.DeepEqual(old, row) {
		t.past.set(key, old)
	}
	t.changed(old, row)
	return nil
}

func (t *table) set(key, row item) {
	if row == nil {
		t.delete(key)
	} else {
		t.put(row)
	}
}

// writeLimit is how much may be written to one partition key in one second, in
// the table and in each of its indexes.
type writeLimit struct {
	units int
	now   func() time.Time
}

// LimitWrites allows each partition key of a table, and of an index, so many
// write units a second by the clock now: AWS's limit is 1,000 (Amazon DynamoDB
// Developer Guide, "Designing partition keys to distribute your workload"). A
// unit is 1 KB begun. An index that is over the limit throttles the table, too.
// Without this call, and with 0 units, nothing is limited.
//
// Unlike on AWS, seconds are whole ones, and nothing is saved for a burst.
func (db *Database) LimitWrites(units int, now func() time.Time) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.limit = writeLimit{units, now}
	for _, t := range db.tables {
		t.limit, t.written = db.limit, nil
	}
}

// charge is what a write costs a partition key. The table's index is "".
type charge struct{ index, key string }

// take counts a write, or refuses it and counts nothing.
func (t *table) take(key, old, row item) error {
	if t.limit.units == 0 {
		return nil
	}
	if second := t.limit.now().Unix(); t.written == nil || t.second != second {
		t.second, t.written = second, map[charge]int{}
	}
	charges := t.charges(key, old, row)
	for c, units := range charges {
		if t.written[c]+units > t.limit.units {
			return t.tooMuch(c.index)
		}
	}
	for c, units := range charges {
		t.written[c] += units
	}
	return nil
}

// charges returns the units that a write costs. An index is written when what it
// shows of a row changes: twice if the row gets another key in it.
func (t *table) charges(key, old, row item) map[charge]int {
	all := map[charge]int{{"", identity(key[t.keys.hash])}: max(units(old), units(row))}
	for name := range t.indexes {
		s := &source{table: t, keys: t.indexes[name].keys}
		was, is := s.entry(name, old), s.entry(name, row)
		if reflect.DeepEqual(was, is) {
			continue
		}
		if was != nil && is != nil && reflect.DeepEqual(s.position(was), s.position(is)) {
			all[charge{name, identity(is[s.keys.hash])}] = max(units(was), units(is))
			continue
		}
		for _, entry := range []item{was, is} {
			if entry != nil {
				all[charge{name, identity(entry[s.keys.hash])}] += units(entry)
			}
		}
	}
	return all
}

// entry returns what an index has of a row; nil if the row is not in it.
func (s *source) entry(index string, row item) item {
	if len(pick(row, s.keys.attributes()...)) < len(s.keys.attributes()) {
		return nil
	}
	idx := s.indexes[index]
	s.index = &idx
	return s.visible(row)
}

// units returns what it costs to write a row of that size: at least 1.
func units(row item) int { return max(1, (itemSize(row)+1023)/1024) }

// tooMuch is the error of a hot key, of tables in either capacity mode
// ([ThrottlingReason], Amazon DynamoDB API Reference).
//
// [ThrottlingReason]: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ThrottlingReason.html
func (t *table) tooMuch(index string) error {
	reason, resource := "TableWriteKeyRangeThroughputExceeded", t.arn()
	if index != "" {
		reason, resource = "IndexWriteKeyRangeThroughputExceeded", t.arn()+"/index/"+index
	}
	return &endpoint.Fault{
		Type:    "ProvisionedThroughputExceededException",
		Message: "Too many writes to one partition key in a second. " + reason + ": " + resource,
		Members: map[string]any{"ThrottlingReasons": []map[string]string{{"reason": reason, "resource": resource}}},
	}
}

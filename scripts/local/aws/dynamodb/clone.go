package dynamodb

import (
	"maps"
	"slices"
)

// Clone returns a copy of the database as it is now, without readers of its
// streams, stale reads and limits: what becomes of one does not show in the other. Rows are shared, as
// they are never changed in place.
func (db *Database) Clone() *Database {
	db.mu.Lock()
	defer db.mu.Unlock()
	other := New()
	for name, t := range db.tables {
		other.tables[name] = t.clone()
	}
	return other
}

func (t *table) clone() *table {
	other := *t
	other.stream, other.stale, other.past = nil, nil, nil
	other.limit = writeLimit{}
	other.names = maps.Clone(t.names)
	other.partitions = maps.Clone(t.partitions)
	for partition, rows := range other.partitions {
		other.partitions[partition] = slices.Clone(rows)
	}
	return &other
}

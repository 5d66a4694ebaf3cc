package dynamodb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"ittybit-media/scripts/local/aws/endpoint"
)

// stream is who reads a table's stream, and how far it is.
type stream struct {
	read     func(record []byte)
	since    time.Time
	sequence int64 // of the last record
}

// Stream makes f read a table's stream from now on, with new and old images:
// the JSON of one record after the other, in the order of the changes. f is
// called while nothing else changes: it must be quick and not call the
// database.
//
// Unlike on AWS, each record comes once and at once, and sequence numbers are
// those of the one stream.
func (db *Database) Stream(table string, f func(record []byte)) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	t := db.tables[table]
	if t == nil {
		return noTable(table)
	}
	t.stream = &stream{read: f, since: time.Now()}
	return nil
}

// changed puts a change of a row into the stream. A row that is not there is
// nil. What leaves a row as it was is no change ("Change data capture for
// DynamoDB Streams", DynamoDB Developer Guide).
func (t *table) changed(old, row item) {
	if t.stream == nil || reflect.DeepEqual(old, row) {
		return
	}
	t.stream.sequence++
	change := map[string]any{
		"ApproximateCreationDateTime": time.Now().Unix(),
		"SequenceNumber":              fmt.Sprintf("%021d", t.stream.sequence),
		"SizeBytes":                   itemSize(old) + itemSize(row),
		"StreamViewType":              "NEW_AND_OLD_IMAGES",
	}
	name := "MODIFY"
	switch {
	case old == nil:
		name = "INSERT"
	case row == nil:
		name = "REMOVE"
	}
	for image, it := range map[string]item{"OldImage": old, "NewImage": row} {
		if it != nil {
			change[image] = wireItem(it)
			change["Keys"] = wireItem(pick(it, t.keys.attributes()...))
		}
	}
	var record bytes.Buffer
	encoder := json.NewEncoder(&record)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(map[string]any{ // maps, lists, texts and numbers: it cannot fail
		"eventID":        strconv.FormatInt(t.stream.sequence, 16),
		"eventName":      name,
		"eventVersion":   "1.1",
		"eventSource":    "aws:dynamodb",
		"awsRegion":      endpoint.Region,
		"eventSourceARN": t.arn() + "/stream/" + t.stream.since.UTC().Format("2006-01-02T15:04:05.000"),
		"dynamodb":       change,
	})
	t.stream.read(bytes.TrimSpace(record.Bytes()))
}

package results

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/media"
)

// The ledger of an upload is one item, under the upload's key, that has no
// state: readers of rows, the index and the pipe do not see it. It decides which
// id a job has: whoever writes first wins.
const ledgerPrefix = "ledger#"

// What the attributes of a ledger begin with, before #<attempt>#<job>.
const (
	ledgerID       = "id"
	ledgerReserved = "reserved"
	ledgerRefused  = "refused"
	ledgerRejected = "rejected"
)

// ledgerStay is how much longer than its rows a ledger stays: DynamoDB may be
// two days late to delete an item ("Using time to live (TTL) in DynamoDB",
// Amazon DynamoDB Developer Guide).
const ledgerStay = 48 * time.Hour

// Slot is the place of one job of an upload, in one attempt. Without a job's
// name it is that of the upload as a whole.
type Slot struct {
	Job     string
	Attempt int
}

// attribute is the name of one of the slot's attributes.
func (s Slot) attribute(prefix string) string {
	return prefix + "#" + strconv.Itoa(s.Attempt) + "#" + s.Job
}

// parseAttribute is the inverse of [Slot.attribute]; false for any other name.
func parseAttribute(name string) (s Slot, prefix string, ok bool) {
	parts := strings.SplitN(name, "#", 3)
	if len(parts) != 3 {
		return Slot{}, "", false
	}
	attempt, err := strconv.Atoi(parts[1])
	return Slot{Job: parts[2], Attempt: attempt}, parts[0], err == nil
}

// Entry is what a ledger says of a slot. An id counts for more than a rejection.
type Entry struct {
	ID       string     // Ittybit's; "" when no job is known
	Reserved string     // UTC date on which the job was reserved and may have been made; "" for none
	Refused  *Refusal   // Ittybit's first refusal of the request; nil for none
	Rejected *Rejection // nil for none
}

// Refusal is an answer of Ittybit's that ends a job when it is repeated.
type Refusal struct {
	Status int    `json:"status"`
	Kind   string `json:"kind"`
	At     Millis `json:"at"`
}

// Rejection is why a job, or a whole upload, will never run.
type Rejection struct {
	Why    string `json:"why"`    // as counted
	Reason string `json:"reason"` // for people
}

// Ledger is what is known of the jobs of an upload, of all attempts. The zero
// value is that of an upload that is not known.
type Ledger struct {
	WrittenAt time.Time // when dispatch last wrote it; zero: never
	Entries   map[Slot]Entry
}

// Has reports whether the job needs no dispatch in that attempt: it has an id,
// or it or its whole upload was rejected in that attempt or a later one.
func (l Ledger) Has(job string, attempt int) bool {
	if l.Entries[Slot{job, attempt}].ID != "" {
		return true
	}
	for slot, entry := range l.Entries {
		if entry.Rejected != nil && (slot.Job == job || slot.Job == "") && slot.Attempt >= attempt {
			return true
		}
	}
	return false
}

// Slots returns the slots that have an entry, by attempt and job.
func (l Ledger) Slots() []Slot {
	return slices.SortedFunc(maps.Keys(l.Entries), func(a, b Slot) int {
		if a.Attempt != b.Attempt {
			return a.Attempt - b.Attempt
		}
		return strings.Compare(a.Job, b.Job)
	})
}

// Ledger reads the ledger of an upload, as it is now; the zero value when there
// is none.
func (t *Table) Ledger(ctx context.Context, key, upload string) (Ledger, error) {
	const doing = "reading the ledger of an upload"
	if err := t.checkKeys(doing, key, upload); err != nil {
		return Ledger{}, err
	}
	out, err := t.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &t.name,
		Key:            rowKey(key, ledgerPrefix+upload),
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return Ledger{}, t.explain(doing, "GetItem", err)
	}
	l, err := readLedger(out.Item)
	if err != nil {
		return Ledger{}, t.explain(doing, "GetItem", err)
	}
	return l, nil
}

// UpdateLedger writes what is new of an upload's jobs and returns the ledger as
// it is then. An id or a rejection that is there already stays: whoever was
// first has won, which the returned ledger tells. Reservations and refusals
// replace what was there.
func (t *Table) UpdateLedger(ctx context.Context, now time.Time, key, upload string, entries map[Slot]Entry) (Ledger, error) {
	u, err := t.ledgerUpdate(now, entries)
	if err != nil {
		return Ledger{}, fmt.Errorf("table %s: writing the ledger of an upload: %w", t.name, err)
	}
	u.set("written_at", number(millis(now)))
	return t.writeLedger(ctx, key, upload, u)
}

// ClaimID writes the id of a job that dispatch has not noted yet, and returns the
// ledger as it is then: an id that is there already stays. The ledger does not
// count as written: what an earlier version knew of the upload is not in it.
func (t *Table) ClaimID(ctx context.Context, now time.Time, key, upload string, slot Slot, id string) (Ledger, error) {
	u, err := t.ledgerUpdate(now, map[Slot]Entry{slot: {ID: id}})
	if err != nil {
		return Ledger{}, fmt.Errorf("table %s: claiming a job's id: %w", t.name, err)
	}
	return t.writeLedger(ctx, key, upload, u)
}

func (t *Table) writeLedger(ctx context.Context, key, upload string, u *ledgerUpdate) (Ledger, error) {
	const (
		doing  = "writing the ledger of an upload"
		action = "UpdateItem"
	)
	if err := t.checkKeys(doing, key, upload); err != nil {
		return Ledger{}, err
	}
	out, err := t.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &t.name,
		Key:                       rowKey(key, ledgerPrefix+upload),
		UpdateExpression:          aws.String("SET " + strings.Join(u.sets, ", ")),
		ExpressionAttributeNames:  u.names,
		ExpressionAttributeValues: u.values,
		ReturnValues:              types.ReturnValueAllNew,
	})
	if err != nil {
		return Ledger{}, t.explain(doing, action, err)
	}
	l, err := readLedger(out.Attributes)
	if err != nil {
		return Ledger{}, t.explain(doing, action, err)
	}
	return l, nil
}

// ledgerUpdate is an update expression in the making. The names of its
// attributes are not known beforehand, unlike those of [update].
type ledgerUpdate struct {
	sets   []string
	names  map[string]string
	values item
}

func (t *Table) ledgerUpdate(now time.Time, entries map[Slot]Entry) (*ledgerUpdate, error) {
	u := &ledgerUpdate{names: map[string]string{}, values: item{}}
	if t.ttl != 0 {
		u.set(TTLAttribute, number(now.Add(t.ttl+t.giveUpAfter+ledgerStay).Unix()))
	}
	for _, slot := range (Ledger{Entries: entries}).Slots() {
		entry := entries[slot]
		if entry.ID != "" {
			u.fill(slot.attribute(ledgerID), text(entry.ID))
		}
		if entry.Reserved != "" {
			u.set(slot.attribute(ledgerReserved), text(entry.Reserved))
		}
		if entry.Refused != nil {
			m, err := marshal(entry.Refused)
			if err != nil {
				return nil, err
			}
			u.set(slot.attribute(ledgerRefused), &types.AttributeValueMemberM{Value: m})
		}
		if entry.Rejected != nil {
			m, err := marshal(Rejection{Why: entry.Rejected.Why, Reason: media.Redact(entry.Rejected.Reason)})
			if err != nil {
				return nil, err
			}
			u.fill(slot.attribute(ledgerRejected), &types.AttributeValueMemberM{Value: m})
		}
	}
	return u, nil
}

// placeholders declares an attribute and its value, and returns their names in
// the expression.
func (u *ledgerUpdate) placeholders(attribute string, v types.AttributeValue) (name, value string) {
	n := strconv.Itoa(len(u.names))
	u.names["#a"+n], u.values[":a"+n] = attribute, v
	return "#a" + n, ":a" + n
}

func (u *ledgerUpdate) set(attribute string, v types.AttributeValue) {
	name, value := u.placeholders(attribute, v)
	u.sets = append(u.sets, name+" = "+value)
}

// fill sets the attribute if it is not there.
func (u *ledgerUpdate) fill(attribute string, v types.AttributeValue) {
	name, value := u.placeholders(attribute, v)
	u.sets = append(u.sets, name+" = if_not_exists("+name+", "+value+")")
}

// readLedger reads a ledger's item; none is the zero value.
func readLedger(attributes item) (Ledger, error) {
	var head struct {
		WrittenAt Millis `json:"written_at"`
	}
	if err := unmarshal(attributes, &head); err != nil {
		return Ledger{}, err
	}
	l := Ledger{WrittenAt: head.WrittenAt.Time(), Entries: map[Slot]Entry{}}
	for name, value := range attributes {
		slot, prefix, ok := parseAttribute(name)
		if !ok {
			continue
		}
		entry := l.Entries[slot]
		if err := entry.read(prefix, value); err != nil {
			return Ledger{}, fmt.Errorf("attribute %s: %w", name, err)
		}
		l.Entries[slot] = entry
	}
	return l, nil
}

// read takes one attribute of the slot.
func (e *Entry) read(prefix string, value types.AttributeValue) error {
	one := item{"v": value}
	switch prefix {
	case ledgerID, ledgerReserved:
		var s struct{ V string }
		if err := unmarshal(one, &s); err != nil {
			return err
		}
		if prefix == ledgerID {
			e.ID = s.V
		} else {
			e.Reserved = s.V
		}
	case ledgerRefused:
		var r struct{ V Refusal }
		if err := unmarshal(one, &r); err != nil {
			return err
		}
		e.Refused = &r.V
	case ledgerRejected:
		var r struct{ V Rejection }
		if err := unmarshal(one, &r); err != nil {
			return err
		}
		e.Rejected = &r.V
	}
	return nil
}

// Ledger returns what the rows tell of the upload's jobs, for one that was
// dispatched before there were ledgers.
func (all UploadRows) Ledger() Ledger {
	l := Ledger{Entries: map[Slot]Entry{}}
	for _, row := range all {
		slot := Slot{row.Job, row.Attempt}
		switch {
		case row.State == media.Rejected:
			entry := l.Entries[slot]
			entry.Rejected = &Rejection{Reason: row.Error}
			l.Entries[slot] = entry
		case row.JobID() != "":
			entry := l.Entries[slot]
			entry.ID = row.JobID()
			l.Entries[slot] = entry
		}
	}
	return l
}

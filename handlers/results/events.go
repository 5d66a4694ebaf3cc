package results

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
)

// The result events: what a pipe makes of the table's stream, and puts onto a
// bus, when a row becomes final. events.schema.json says what they look like.
//
// Nothing of ours runs between a row and its event, so the row has to have what
// the event says, in a form that survives the pipe's template ("Amazon
// EventBridge Pipes input transformation", Amazon EventBridge User Guide): the
// pipe "doesn't escape values", so none may have what JSON would escape; and
// one that is not there "won't appear in the output", so all placeholders stand
// in quotes.

// EventSource is the source of the events, as rules select by it.
const EventSource = event.Source

// EventVersion is the version of the events' detail. Members may be added to it
// without another one.
const EventVersion = "1"

// The detail types of the events.
const (
	JobSucceeded   = "Media Job Succeeded"
	JobFailed      = "Media Job Failed" // or it was cancelled, or given up
	UploadRejected = "Upload Rejected"  // or one of its jobs
)

// detailTypes are those of the states that are final.
var detailTypes = map[string]string{
	media.Succeeded.String(): JobSucceeded,
	media.Failed.String():    JobFailed, // inferred ones too
	media.Cancelled.String(): JobFailed,
	media.Rejected:           UploadRejected,
}

// EventAttribute is a map in every final row: what an event says that the row
// does not have as an attribute that can stand in quotes as it is.
const EventAttribute = "event"

// Where a record of the stream has a row's attributes, and what is in the map.
const (
	newImage = "$.dynamodb.NewImage."
	inEvent  = newImage + EventAttribute + ".M."
)

// EventDetailType is where a record has its event's detail type.
const EventDetailType = inEvent + "type.S"

// eventMembers are the members of an event's detail and where they come from,
// after version and stack. Numbers are strings in a record.
var eventMembers = [...]struct{ name, path string }{
	{"bucket", newImage + "source_bucket.S"},
	{"key", inEvent + "key.S"},
	{"upload", newImage + "upload.S"},
	{"job", newImage + "job.S"},
	{"job_id", inEvent + "job_id.S"},
	{"attempt", newImage + "attempt.N"},
	{"state", newImage + "state.S"},
	{"status", newImage + "status.S"},
	{"kind", newImage + "kind.S"},
	{"output_url", newImage + "output_url.S"},
	{"error", inEvent + "error.S"},
	{"duration_ms", newImage + "duration_ms.N"},
	{"created_at", newImage + "created_at.N"},
	{"completed_at", newImage + "completed_at.N"},
	{"updated_at", newImage + "updated_at.N"},
}

// EventTemplate is the pipe's input template: it makes the detail of an event
// of that stack.
func EventTemplate(stack string) string {
	var b strings.Builder
	name, _ := json.Marshal(stack) // a string: it cannot fail
	fmt.Fprintf(&b, `{"version":"%s","stack":%s`, EventVersion, name)
	for _, m := range eventMembers {
		fmt.Fprintf(&b, `,"%s":"<%s>"`, m.name, m.path)
	}
	b.WriteByte('}')
	return b.String()
}

// EventFilters are the patterns of the pipe's filter: a record is an event if
// one of them matches it. They take rows that came into a final state from
// another one, or from nothing: a row is written again after its end, by
// dispatch, which completes it, and by Ittybit's word after ours, which is no
// news when both say that the job failed. A rejection is only ever replaced by
// that of a later attempt.
//
// Of a record they look at nothing but its images: other fields cannot be used
// ("Amazon EventBridge Pipes filtering", Amazon EventBridge User Guide). What
// was deleted has no new image.
func EventFilters() []string {
	var filters []string
	for _, state := range []string{media.Succeeded.String(), media.Failed.String(), media.Cancelled.String()} {
		filters = append(filters, eventFilter(state, object{"exists": false}, object{"anything-but": []string{state}}))
	}
	return append(filters, eventFilter(media.Rejected))
}

// object is one of JSON's.
type object map[string]any

// eventFilter is the pattern of rows in that state that were in one of the
// others before; without any, in whichever.
func eventFilter(state string, before ...any) string {
	record := object{"NewImage": object{
		"state":        object{"S": []string{state}},
		EventAttribute: object{"M": object{"type": object{"S": []string{detailTypes[state]}}}},
	}}
	if before != nil {
		record["OldImage"] = object{"state": object{"S": before}}
	}
	pattern, _ := json.Marshal(object{"dynamodb": record}) // maps, lists and strings: it cannot fail
	return string(pattern)
}

// attributes are those of the row as it is written: a final one has its event.
func (r Row) attributes() (item, error) {
	attributes, err := marshal(r)
	if err != nil {
		return nil, err
	}
	if detailType, final := detailTypes[r.State]; final {
		attributes[EventAttribute] = r.event(detailType)
	}
	return attributes, nil
}

// event is what the row's [EventAttribute] has.
func (r Row) event(detailType string) types.AttributeValue {
	texts := item{"type": text(detailType), "key": text(percent(r.Key, "%"))}
	if id := r.JobID(); id != "" {
		texts["job_id"] = text(plain(id))
	}
	if r.Error != "" {
		texts["error"] = text(plain(r.Error))
	}
	return &types.AttributeValueMemberM{Value: texts}
}

// escaped reports whether a string in JSON may not have the character as it is
// (RFC 8259, section 7).
func escaped(r rune) bool { return r < ' ' || r == '"' || r == '\\' }

// percent writes what JSON would escape, and the other characters, as URLs do.
// With "%" among these, who decodes the text has the very one that it was.
func percent(text, others string) string {
	var b strings.Builder
	for _, r := range text {
		if escaped(r) || strings.ContainsRune(others, r) {
			fmt.Fprintf(&b, "%%%02X", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plain is a text for people without what JSON would escape.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case escaped(r):
			return ' '
		}
		return r
	}, text)
}

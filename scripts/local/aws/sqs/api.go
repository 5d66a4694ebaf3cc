package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"ittybit-media/scripts/local/aws/endpoint"
)

// Limits of the API (Amazon SQS API Reference, "ReceiveMessage" and
// "ChangeMessageVisibilityBatch").
const (
	maxReceive = 10 // messages at a time
	maxWait    = 20 * time.Second
	maxBatch   = 10 // entries of a batch
)

// longPoll is how long a receive waits at most, whatever it asks for: SQS may
// answer early as well, so that callers ask again, and nobody at a keyboard or
// a test waits for nothing.
const longPoll = 200 * time.Millisecond

// API returns SQS's API in front of queues, as far as redrive uses it. Their
// URLs are below the endpoint's.
func API(queues ...*Queue) endpoint.Service {
	a := api{}
	for _, q := range queues {
		a[q.URL("")] = q
	}
	return endpoint.Service{
		Name: endpoint.ServiceSQS,
		Find: endpoint.Target("AmazonSQS"),
		Operations: map[string]endpoint.Operation{
			"ChangeMessageVisibilityBatch": endpoint.JSON(a.changeVisibilities),
			"DeleteMessage":                endpoint.JSON(a.deleteMessage),
			"GetQueueAttributes":           endpoint.JSON(a.attributes),
			"ReceiveMessage":               endpoint.JSON(a.receive),
		},
	}
}

// api has the queues by the path of their URLs.
type api map[string]*Queue

// The errors that the API Reference names. Those of the older protocol are what
// SDKs show.
var (
	errNoQueue     = &endpoint.Fault{Type: "QueueDoesNotExist", QueryCode: "AWS.SimpleQueueService.NonExistentQueue", Message: "The specified queue does not exist."}
	errReceipt     = &endpoint.Fault{Type: "ReceiptHandleIsInvalid", Message: "The input receipt handle is invalid."}
	errNotInFlight = &endpoint.Fault{Type: "MessageNotInflight", QueryCode: "AWS.SimpleQueueService.MessageNotInflight", Message: "The message is not in flight."}
	errEmptyBatch  = &endpoint.Fault{Type: "EmptyBatchRequest", QueryCode: "AWS.SimpleQueueService.EmptyBatchRequest", Message: "There should be at least one entry in the request."}
	errLargeBatch  = &endpoint.Fault{Type: "TooManyEntriesInBatchRequest", QueryCode: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", Message: "Maximum number of entries per request are 10."}
	errSameID      = &endpoint.Fault{Type: "BatchEntryIdsNotDistinct", QueryCode: "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", Message: "Two entries have one id."}
)

func invalid(format string, args ...any) error {
	return &endpoint.Fault{Type: "InvalidParameterValue", Message: fmt.Sprintf(format, args...)}
}

// find is the queue of a URL, wherever the endpoint has been reached.
func (a api) find(queueURL string) (*Queue, error) {
	u, err := url.Parse(queueURL)
	if err != nil || a[u.Path] == nil {
		return nil, errNoQueue
	}
	return a[u.Path], nil
}

func (a api) attributes(_ context.Context, in struct {
	QueueUrl       string
	AttributeNames []string
}) (any, error) {
	q, err := a.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	all := q.attributes()
	some := map[string]string{}
	for _, name := range in.AttributeNames {
		value, known := all[name]
		switch {
		case name == "All":
			some = all
		case !known && name != redrivePolicy:
			return nil, &endpoint.Fault{Type: "InvalidAttributeName", Message: "Unknown Attribute " + name + "."}
		case known:
			some[name] = value
		}
	}
	return map[string]any{"Attributes": some}, nil
}

// redrivePolicy is the attribute that a queue may lack.
const redrivePolicy = "RedrivePolicy"

// attributes are a queue's counts, which are exact here, and what tells whose
// dead letters it has (Amazon SQS API Reference, "GetQueueAttributes").
func (q *Queue) attributes() map[string]string {
	depth := q.Depth()
	all := map[string]string{
		"ApproximateNumberOfMessages":           strconv.Itoa(depth.Visible),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(depth.Delayed),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(depth.InFlight),
		"QueueArn":                              q.cfg.ARN,
	}
	if q.cfg.DeadLetter != nil {
		policy, _ := json.Marshal(struct { // it cannot fail
			Target string `json:"deadLetterTargetArn"`
			Most   int    `json:"maxReceiveCount"`
		}{q.cfg.DeadLetter.cfg.ARN, q.cfg.MaxReceives})
		all[redrivePolicy] = string(policy)
	}
	return all
}

// within reads a number of seconds.
func within(what string, seconds int, most time.Duration) (time.Duration, error) {
	d := time.Duration(seconds) * time.Second
	if seconds < 0 || d > most {
		return 0, invalid("%s: %d is not within 0 and %d", what, seconds, int(most/time.Second))
	}
	return d, nil
}

type receiveInput struct {
	QueueUrl                    string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             int
	MessageSystemAttributeNames []string // its older name, AttributeNames, is not known
	MessageAttributeNames       []string
}

func (a api) receive(ctx context.Context, in receiveInput) (any, error) {
	q, err := a.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	most := 1
	if in.MaxNumberOfMessages != nil {
		most = *in.MaxNumberOfMessages
	}
	if most < 1 || most > maxReceive {
		return nil, invalid("MaxNumberOfMessages: %d is not within 1 and %d", most, maxReceive)
	}
	hide := q.cfg.Visibility
	if in.VisibilityTimeout != nil {
		if hide, err = within("VisibilityTimeout", *in.VisibilityTimeout, maxVisibility); err != nil {
			return nil, err
		}
	}
	wait, err := within("WaitTimeSeconds", in.WaitTimeSeconds, maxWait)
	if err != nil {
		return nil, err
	}
	system, err := selection(in.MessageSystemAttributeNames, systemAttributes)
	if err != nil {
		return nil, err
	}
	records := q.poll(ctx, most, hide, min(wait, longPoll))
	answer := make([]map[string]any, 0, len(records))
	for _, r := range records {
		answer = append(answer, wire(r, system, in.MessageAttributeNames))
	}
	if len(answer) == 0 {
		return map[string]any{}, nil
	}
	return map[string]any{"Messages": answer}, nil
}

// systemAttributes are what there is to be known of a local message.
var systemAttributes = []string{sentAt, receiveCount, firstReceivedAt, senderID, sourceARN}

// selection is what a list of names, or All, selects of the known ones.
func selection(names, known []string) ([]string, error) {
	for _, name := range names {
		if name == "All" {
			return known, nil
		}
		if !slices.Contains(known, name) {
			return nil, &endpoint.Fault{Type: "InvalidAttributeName", Message: "Unknown Attribute " + name + "."}
		}
	}
	return names, nil
}

type deleteInput struct{ QueueUrl, ReceiptHandle string }

func (a api) deleteMessage(_ context.Context, in deleteInput) (any, error) {
	q, err := a.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return struct{}{}, q.deleteReceived(in.ReceiptHandle)
}

// change is an entry of a batch.
type change struct {
	Id, ReceiptHandle string
	VisibilityTimeout int
}

// changeVisibilities does every change of a batch. One that fails does not fail
// the others.
func (a api) changeVisibilities(_ context.Context, in struct {
	QueueUrl string
	Entries  []change
}) (any, error) {
	q, err := a.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.Entries); err != nil {
		return nil, err
	}
	successful, failed := []any{}, []any{}
	for _, e := range in.Entries {
		if err := q.changeVisibility(e.ReceiptHandle, e.VisibilityTimeout); err != nil {
			failed = append(failed, failure(e.Id, err))
			continue
		}
		successful = append(successful, map[string]any{"Id": e.Id})
	}
	return map[string]any{"Successful": successful, "Failed": failed}, nil
}

func checkBatch(entries []change) error {
	ids := map[string]bool{}
	for _, e := range entries {
		ids[e.Id] = true
	}
	switch {
	case len(entries) == 0:
		return errEmptyBatch
	case len(entries) > maxBatch:
		return errLargeBatch
	case len(ids) < len(entries):
		return errSameID
	}
	return nil
}

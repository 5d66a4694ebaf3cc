package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ittybit-media/scripts/local/aws/endpoint"
)

// Limits of the API (Amazon SQS API Reference, "ReceiveMessage" and
// "DeleteMessageBatch").
const (
	maxReceive = 10 // messages at a time
	maxWait    = 20 * time.Second
	maxBatch   = 10 // entries of a batch
)

// longPoll is how long a receive waits at most, whatever it asks for: SQS may
// answer early as well, so that callers ask again, and nobody at a keyboard or a
// test waits for nothing.
const longPoll = 200 * time.Millisecond

// API is SQS's API in front of queues, whose URLs are below the endpoint's.
func API(baseURL string, queues ...*Queue) endpoint.Service {
	a := api{baseURL: baseURL, queues: map[string]*Queue{}}
	for _, q := range queues {
		a.queues[q.URL("")] = q
	}
	return endpoint.Service{
		Name: endpoint.ServiceSQS,
		Find: endpoint.Target("AmazonSQS"),
		Operations: map[string]endpoint.Operation{
			"ChangeMessageVisibility":      endpoint.JSON(a.changeVisibility),
			"ChangeMessageVisibilityBatch": endpoint.JSON(a.changeVisibilities),
			"DeleteMessage":                endpoint.JSON(a.deleteMessage),
			"DeleteMessageBatch":           endpoint.JSON(a.deleteMessages),
			"GetQueueAttributes":           endpoint.JSON(a.attributes),
			"GetQueueUrl":                  endpoint.JSON(a.url),
			"ReceiveMessage":               endpoint.JSON(a.receive),
			"SendMessage":                  endpoint.JSON(a.send),
		},
	}
}

type api struct {
	baseURL string
	queues  map[string]*Queue // by the path of their URLs
}

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
	if err != nil || a.queues[u.Path] == nil {
		return nil, errNoQueue
	}
	return a.queues[u.Path], nil
}

func (a api) url(_ context.Context, in struct{ QueueName, QueueOwnerAWSAccountId string }) (any, error) {
	for _, q := range a.queues {
		owner := q.URL("")
		if q.cfg.Name == in.QueueName && (in.QueueOwnerAWSAccountId == "" || strings.HasPrefix(owner, "/"+in.QueueOwnerAWSAccountId+"/")) {
			return map[string]string{"QueueUrl": q.URL(a.baseURL)}, nil
		}
	}
	return nil, errNoQueue
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

// attributes are a queue's settings and counts (Amazon SQS API Reference,
// "GetQueueAttributes"). Here the counts are exact.
func (q *Queue) attributes() map[string]string {
	depth := q.Depth()
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	made := strconv.FormatInt(q.made.Unix(), 10)
	all := map[string]string{
		"ApproximateNumberOfMessages":           strconv.Itoa(depth.Visible),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(depth.Delayed),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(depth.InFlight),
		"CreatedTimestamp":                      made,
		"DelaySeconds":                          seconds(q.cfg.Delay),
		"LastModifiedTimestamp":                 made,
		"MaximumMessageSize":                    strconv.Itoa(MaxMessageBytes),
		"MessageRetentionPeriod":                seconds(q.cfg.Retention),
		"QueueArn":                              q.cfg.ARN,
		"ReceiveMessageWaitTimeSeconds":         "0",
		"SqsManagedSseEnabled":                  "true",
		"VisibilityTimeout":                     seconds(q.cfg.Visibility),
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

// attribute is a message's as the API has it; the local queues know texts only.
type attribute struct {
	DataType, StringValue string
}

type sendInput struct {
	QueueUrl, MessageBody string
	DelaySeconds          *int
	MessageAttributes     map[string]attribute
}

func (a api) send(_ context.Context, in sendInput) (any, error) {
	q, err := a.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBody(in.MessageBody); err != nil {
		return nil, invalid("%v", err)
	}
	delay := q.cfg.Delay
	if in.DelaySeconds != nil {
		if delay, err = within("DelaySeconds", *in.DelaySeconds, maxDelay); err != nil {
			return nil, err
		}
	}
	texts := map[string]string{}
	for name, value := range in.MessageAttributes {
		if value.DataType != stringType || name == "" || value.StringValue == "" {
			return nil, invalid("the local run takes message attributes that have a name, the type String and a value; %q has not", name)
		}
		texts[name] = value.StringValue
	}
	answer := map[string]string{"MessageId": q.send(in.MessageBody, texts, delay), "MD5OfMessageBody": digest(in.MessageBody)}
	if len(texts) > 0 {
		answer["MD5OfMessageAttributes"] = attributesDigest(texts)
	}
	return answer, nil
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

type changeInput struct {
	QueueUrl, ReceiptHandle string
	VisibilityTimeout       int
}

func (a api) changeVisibility(_ context.Context, in changeInput) (any, error) {
	q, err := a.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return struct{}{}, q.changeVisibility(in.ReceiptHandle, in.VisibilityTimeout)
}

// entry is one of a batch.
type entry struct {
	Id, ReceiptHandle string
	VisibilityTimeout int
}

// each does something with every entry of a batch. What fails for one does not
// fail the others.
func each(entries []entry, do func(entry) error) (any, error) {
	switch {
	case len(entries) == 0:
		return nil, errEmptyBatch
	case len(entries) > maxBatch:
		return nil, errLargeBatch
	}
	ids := map[string]bool{}
	for _, e := range entries {
		if ids[e.Id] {
			return nil, errSameID
		}
		ids[e.Id] = true
	}
	successful, failed := []any{}, []any{}
	for _, e := range entries {
		if err := do(e); err != nil {
			failed = append(failed, failure(e.Id, err))
			continue
		}
		successful = append(successful, map[string]any{"Id": e.Id})
	}
	return map[string]any{"Successful": successful, "Failed": failed}, nil
}

func (a api) deleteMessages(_ context.Context, in struct {
	QueueUrl string
	Entries  []struct{ Id, ReceiptHandle string }
}) (any, error) {
	q, err := a.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, len(in.Entries))
	for i, e := range in.Entries {
		entries[i] = entry{Id: e.Id, ReceiptHandle: e.ReceiptHandle}
	}
	return each(entries, func(e entry) error { return q.deleteReceived(e.ReceiptHandle) })
}

func (a api) changeVisibilities(_ context.Context, in struct {
	QueueUrl string
	Entries  []entry
}) (any, error) {
	q, err := a.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return each(in.Entries, func(e entry) error { return q.changeVisibility(e.ReceiptHandle, e.VisibilityTimeout) })
}

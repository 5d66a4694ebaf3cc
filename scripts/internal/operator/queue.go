package operator

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Depth is how many messages a queue holds, about: SQS counts a little late.
type Depth struct {
	Visible  int64 `json:"visible"`
	InFlight int64 `json:"in_flight"` // being tried, or until the next try
	Delayed  int64 `json:"delayed"`
}

// All is how many there are.
func (d Depth) All() int64 { return d.Visible + d.InFlight + d.Delayed }

// QueueDepth asks how many messages a queue holds; nil with an error.
func (s *Stack) QueueDepth(ctx context.Context, queueURL string) (*Depth, error) {
	out, err := s.SQS().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &queueURL,
		AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages,
			types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
			types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("counting the messages of %s: %w", queueURL, err)
	}
	count := func(name types.QueueAttributeName) int64 {
		n, _ := strconv.ParseInt(out.Attributes[string(name)], 10, 64)
		return n
	}
	return &Depth{
		Visible:  count(types.QueueAttributeNameApproximateNumberOfMessages),
		InFlight: count(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
		Delayed:  count(types.QueueAttributeNameApproximateNumberOfMessagesDelayed),
	}, nil
}

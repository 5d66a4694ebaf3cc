package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"ittybit-media/scripts/internal/cli"
)

// A queue cannot be listed. To look at a message is to receive it, which hides
// it from everybody for a time; if it were shown again at once, the next
// receive could bring the same one, and the rest never come. So a visit hides
// what it receives for longer than it takes, keeps the receipt of what it does
// not delete, and shows that again in the end, however it ends. A receipt is
// some 400 bytes, and there are at most mostHeld of them: SQS itself lets no
// more than 120,000 messages be in flight ("Amazon SQS message quotas", Amazon
// SQS Developer Guide).
const (
	mostHeld   = 100_000
	lookTime   = 10 * time.Minute
	mostHidden = 12 * time.Hour // SQS's own
	margin     = time.Minute    // to show the messages again in
)

// batch is the most that SQS takes or gives at a time.
const batch = 10

// longPoll is how long an empty queue is listened to, in seconds: only a
// receive that waits asks all of SQS's servers ("Amazon SQS short and long
// polling", Amazon SQS Developer Guide).
const longPoll = 2

// releasing is how many batches are shown again at a time.
const releasing = 32

// visit is one pass over the dead letters.
type visit struct {
	*redrive
	// hidden is how long a message is hidden once it is received. The visit is
	// over before.
	hidden time.Duration
	most   int // messages held
	// do is done with each dead letter once, and reports whether it is deleted.
	// Those of one batch are done at once.
	do func(ctx context.Context, l letter) (deleted bool, err error)

	mu   sync.Mutex
	held map[string]string // message id → receipt
	seen int
}

func (r *redrive) visit(hidden time.Duration, do func(context.Context, letter) (bool, error)) *visit {
	return &visit{redrive: r, hidden: min(hidden, mostHidden), most: mostHeld, do: do, held: map[string]string{}}
}

// errLate ends a visit whose first messages are about to show again.
var errLate = errors.New("it took too long and was ended early, before those seen first show again: -limit takes fewer at a time")

// run goes through the queue until isFull says so, nothing is left, or the time
// is over.
func (v *visit) run(ctx context.Context, isFull func() bool) (err error) {
	defer func() { err = errors.Join(err, v.release(ctx)) }()
	about, err := v.stack.QueueDepth(ctx, v.url)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, v.hidden-margin, errLate)
	defer cancel()
	progress := v.Progress()
	defer progress.End()
	for !isFull() && len(v.held) < v.most {
		letters, err := v.receive(limited)
		if err == nil && len(letters) == 0 {
			return nil
		}
		if err == nil {
			err = v.batch(limited, letters)
		}
		if errors.Is(context.Cause(limited), errLate) {
			return errLate
		}
		if err != nil {
			return err
		}
		progress.Show(func() string { return fmt.Sprintf("%d of about %d dead letters…", v.seen, about.Visible) })
	}
	if len(v.held) >= v.most {
		v.Note("These are the first %d: SQS gives no more at a time.", len(v.held))
	}
	return nil
}

// receive gets the next dead letters. It leaves out those that come twice, as
// they may. An interruption does not cut it off: what the answer would have
// brought would be hidden, and nobody have its receipts.
func (v *visit) receive(ctx context.Context) ([]letter, error) {
	finish, cancel := cli.Finish(ctx)
	defer cancel()
	for ctx.Err() == nil {
		out, err := v.sqs.ReceiveMessage(finish, &sqs.ReceiveMessageInput{
			QueueUrl:                    &v.url,
			MaxNumberOfMessages:         batch,
			VisibilityTimeout:           int32(v.hidden / time.Second),
			WaitTimeSeconds:             longPoll,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
			MessageAttributeNames:       []string{"ERROR_CODE", "ERROR_MESSAGE"},
		})
		if err != nil {
			return nil, fmt.Errorf("receiving from the dead letters: %w", err)
		}
		var letters []letter
		for _, m := range out.Messages {
			l := read(m)
			if _, ok := v.held[l.id]; !ok {
				letters = append(letters, l)
			}
			v.held[l.id] = l.receipt
		}
		if len(letters) > 0 || len(out.Messages) == 0 {
			return letters, nil
		}
	}
	return nil, ctx.Err()
}

// batch does with some dead letters what there is to do. Those that were begun
// with are ended.
func (v *visit) batch(ctx context.Context, letters []letter) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range letters {
		v.seen++
		group.Go(func() error {
			deleted, err := v.do(ctx, l)
			if deleted {
				v.mu.Lock()
				defer v.mu.Unlock()
				delete(v.held, l.id)
			}
			return err
		})
	}
	return group.Wait()
}

// release shows the messages again that were not deleted. An interruption does
// not keep it from that.
func (v *visit) release(ctx context.Context) error {
	ctx, cancel := cli.Finish(ctx)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(releasing)
	var mu sync.Mutex
	failed := 0
	var first error
	for receipts := range slices.Chunk(slices.Collect(maps.Values(v.held)), batch) {
		group.Go(func() error {
			n, err := v.unhide(ctx, receipts)
			mu.Lock()
			defer mu.Unlock()
			failed += n
			if first == nil {
				first = err
			}
			return nil
		})
	}
	_ = group.Wait()
	if failed > 0 {
		return fmt.Errorf("%s cannot be shown again, but will be within %s: %w", cli.Count(failed, "dead letter"), cli.Roughly(v.hidden), first)
	}
	return nil
}

// notInFlight is the end of the code of what is visible already, or was
// deleted: only the answer was lost.
const notInFlight = "MessageNotInflight"

// unhide makes messages visible, and counts those that are not.
func (v *visit) unhide(ctx context.Context, receipts []string) (failed int, err error) {
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(receipts))
	for i := range receipts {
		id := strconv.Itoa(i)
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: &id, ReceiptHandle: &receipts[i]}
	}
	out, err := v.sqs.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &v.url, Entries: entries})
	if err != nil {
		return len(receipts), err
	}
	for _, f := range out.Failed {
		code := aws.ToString(f.Code)
		if strings.HasSuffix(code, notInFlight) {
			continue
		}
		failed++
		err = fmt.Errorf("%s: %s", code, aws.ToString(f.Message))
	}
	return failed, err
}

// remove deletes a message for good.
func (r *redrive) remove(ctx context.Context, l letter) error {
	_, err := r.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &r.url, ReceiptHandle: &l.receipt})
	if err != nil {
		return fmt.Errorf("deleting a dead letter: %w", err)
	}
	return nil
}

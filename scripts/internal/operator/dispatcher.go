package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"golang.org/x/time/rate"

	"ittybit-media/handlers/event"
	"ittybit-media/scripts/internal/cli"
)

// Dispatcher sends uploads to dispatch, one after the other at a pace. Its
// methods may be called by any goroutine.
type Dispatcher struct {
	lambda   *lambda.Client
	function string
	turns    *rate.Limiter
}

// Dispatcher returns what invokes the stack's dispatch at most so many times a
// second. Requests that are sent again, because Lambda throttled or did not
// answer, count, too.
func (s *Stack) Dispatcher(perSecond float64) Dispatcher {
	return Dispatcher{s.Lambda(), s.Outputs.Functions["dispatch"], rate.NewLimiter(rate.Limit(perSecond), 1)}
}

// ErrNoTurn means that ctx's deadline is before the turn.
var ErrNoTurn = errors.New("the time is over before its turn")

// Turn waits until the pace allows another request. It returns ctx's error when
// ctx ends before, or at once [ErrNoTurn].
func (d Dispatcher) Turn(ctx context.Context) error {
	if d.turns.Wait(ctx) != nil {
		return cmp.Or(context.Cause(ctx), ErrNoTurn)
	}
	return nil
}

// Ask sends dispatch an upload, after [Dispatcher.Turn]: detailType is one of
// event.Backfill, event.Redrive and event.Retry. It returns once Lambda has the
// event; what then fails goes the way of every failure, to the retry queue.
func (d Dispatcher) Ask(ctx context.Context, detailType string, r event.Request) error {
	payload, err := event.EncodeRequest(detailType, r)
	if err != nil {
		return fmt.Errorf("%s: the request cannot be written: %w", cli.Printable(r.Upload.Key), err)
	}
	if err := d.send(ctx, payload); err != nil {
		return fmt.Errorf("handing %s to dispatch: %w", cli.Printable(r.Upload.Key), err)
	}
	return nil
}

// Probe sends dispatch a probe: it fails at it, for Lambda to put it into the
// retry queue, and is done with it when it comes from there. Dispatch logs both
// under the id.
func (d Dispatcher) Probe(ctx context.Context, id string) error {
	payload, err := event.EncodeProbe(id, time.Now())
	if err == nil {
		err = d.send(ctx, payload)
	}
	if err != nil {
		return fmt.Errorf("sending dispatch a probe: %w", err)
	}
	return nil
}

func (d Dispatcher) send(ctx context.Context, payload []byte) error {
	_, err := d.lambda.Invoke(ctx, &lambda.InvokeInput{
		FunctionName:   &d.function,
		InvocationType: types.InvocationTypeEvent,
		Payload:        payload,
	}, func(o *lambda.Options) {
		o.Retryer = &paced{RetryerV2: o.Retryer.(aws.RetryerV2), turns: d.turns}
	})
	return err
}

// paced has every attempt at a request after the first one wait for its turn.
type paced struct {
	aws.RetryerV2
	turns *rate.Limiter
	again bool
}

func (p *paced) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	if p.again {
		if err := p.turns.Wait(ctx); err != nil {
			return nil, err
		}
	}
	p.again = true
	return p.RetryerV2.GetAttemptToken(ctx)
}

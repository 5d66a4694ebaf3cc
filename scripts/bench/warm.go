package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/results"
)

// warmPost is how long the fake Ittybit takes for a POST.
const warmPost = 50 * time.Millisecond

// maxDispatch is how much longer than one POST, one read and one write, one
// after the other, dispatch may take with three jobs.
const maxDispatch = 1.2 // ×

// warm measures dispatch and webhook once they are running.
func (b *bench) warm(ctx context.Context) (figures, error) {
	t, err := b.warmTimes(ctx, cmp.Or(b.runs, 40))
	if err != nil {
		return nil, err
	}
	var out figures
	out.add(fmt.Sprintf("one POST of %v, one read, one write", warmPost), "ms", t.baseline, nil)
	for i, n := range jobCounts {
		var limit *Limit
		if n == 3 {
			limit = atMost(maxDispatch)
		}
		out.add("dispatch, "+jobs(n), "ms", t.dispatch[i], nil)
		out.add("dispatch, "+jobs(n)+" / one of each", "×", pairs(t.dispatch[i], t.baseline, ratio), limit)
	}
	out.add("webhook", "ms", t.webhook, nil)
	return out, nil
}

// warmTimes are milliseconds that were measured in turn.
type warmTimes struct {
	baseline, webhook sample
	dispatch          []sample // in the order of jobCounts
}

func newWarmTimes() *warmTimes { return &warmTimes{dispatch: make([]sample, len(jobCounts))} }

func (b *bench) warmTimes(ctx context.Context, runs int) (*warmTimes, error) {
	s, err := b.services(ctx, 0, warmPost)
	if err != nil {
		return nil, err
	}
	defer s.close()
	w, err := s.workers(ctx, setup{})
	if err != nil {
		return nil, err
	}
	defer w.close()
	d, err := s.direct()
	if err != nil {
		return nil, err
	}
	if err := w.round(ctx, d, newWarmTimes()); err != nil { // opens the connections
		return nil, err
	}
	t := newWarmTimes()
	for range runs {
		if err := w.round(ctx, d, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// round measures each once.
func (w workers) round(ctx context.Context, d direct, t *warmTimes) error {
	baseline, err := w.oneOfEach(ctx, d)
	if err != nil {
		return err
	}
	t.baseline.add(milliseconds(baseline))
	for i, n := range jobCounts {
		u, err := w.dispatchUpload(ctx, w.dispatch, n)
		if err != nil {
			return err
		}
		t.dispatch[i].add(milliseconds(u.took))
		took, err := w.callBack(ctx, u, "video-0")
		if err != nil {
			return err
		}
		t.webhook.add(milliseconds(took))
	}
	return nil
}

// direct calls the emulators without a function in between.
type direct struct {
	ittybit *ittybit.Client
	table   *dynamodb.Client
}

func (s *services) direct() (direct, error) {
	key := rand.Text()
	settings := s.Access().Outputs.Settings
	s.Secrets.Set(settings.APIKeySecret, key)
	s.Ittybit.SetKeys(key)
	client, err := ittybit.New(ittybit.Options{
		BaseURL: settings.IttybitAPIURL,
		Key:     func(context.Context) (string, error) { return key, nil },
	})
	return direct{client, s.DynamoDB()}, err
}

// oneOfEach is how long a POST, a read and a write take, one after the other.
func (s *services) oneOfEach(ctx context.Context, d direct) (time.Duration, error) {
	u, _ := s.upload(1)
	key := map[string]types.AttributeValue{
		results.PartitionKey: &types.AttributeValueMemberS{Value: "baseline"},
		results.SortKey:      &types.AttributeValueMemberS{Value: u.Key},
	}
	table := aws.String(s.Table)
	begin := time.Now()
	if _, err := d.ittybit.Create(ctx, fmt.Appendf(nil, `{"input":%q,"kind":"video"}`, u.URL()), u.Key); err != nil {
		return 0, err
	}
	if _, err := d.table.GetItem(ctx, &dynamodb.GetItemInput{TableName: table, Key: key}); err != nil {
		return 0, err
	}
	_, err := d.table.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: key})
	return time.Since(begin), err
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/results"
)

// maxDispatch is how much longer than one POST, one read and one write, one
// after the other, dispatch may take with three jobs when a POST takes 50 ms.
const maxDispatch = 1.2 // ×

// warm measures dispatch and webhook when they are at work already.
func (b *bench) warm(ctx context.Context) error {
	if err := b.warmDispatch(ctx); err != nil {
		return err
	}
	return b.warmWebhook(ctx)
}

func (b *bench) warmDispatch(ctx context.Context) error {
	posts := []time.Duration{0, 50 * time.Millisecond}
	worlds := make([]*world, len(posts))
	dispatch := make([]*function, len(posts))
	for i, post := range posts {
		w, err := b.world(ctx, 0, latency{post: post})
		if err != nil {
			return err
		}
		defer w.close()
		if dispatch[i], err = w.function(ctx, "dispatch", setup{}); err != nil {
			return err
		}
		worlds[i] = w
	}
	floors := make([]sample, len(posts))
	took := make([]map[int]*sample, len(posts))
	for i := range took {
		took[i] = map[int]*sample{}
		for _, n := range jobCounts {
			took[i][n] = &sample{}
		}
	}
	for run := range b.often(40) + 1 { // the first opens the connections
		for i, w := range worlds {
			floor, err := w.oneOfEach(ctx)
			if err != nil {
				return err
			}
			for _, n := range jobCounts {
				_, _, d, err := w.dispatched(ctx, dispatch[i], n)
				if err != nil {
					return err
				}
				if run > 0 {
					took[i][n].add(milliseconds(d))
				}
			}
			if run > 0 {
				floors[i].add(milliseconds(floor))
			}
		}
	}
	for i, post := range posts {
		b.report(fmt.Sprintf("one POST of %v, one read, one write", post), "ms", floors[i], nil)
		for _, n := range jobCounts {
			name := fmt.Sprintf("dispatch, %s, POST %v", jobs(n), post)
			b.report(name, "ms", *took[i][n], nil)
			if n == 3 && post > 0 {
				b.compare(name+" / one of each", "×", *took[i][n], floors[i], ratio, atMost(maxDispatch))
			}
		}
	}
	return nil
}

func (b *bench) warmWebhook(ctx context.Context) error {
	tables := []time.Duration{0, 5 * time.Millisecond}
	worlds := make([]*world, len(tables))
	webhook, dispatch := make([]*function, len(tables)), make([]*function, len(tables))
	for i, table := range tables {
		w, err := b.world(ctx, 0, latency{table: table})
		if err != nil {
			return err
		}
		defer w.close()
		if webhook[i], err = w.function(ctx, "webhook", setup{}); err != nil {
			return err
		}
		if dispatch[i], err = w.function(ctx, "dispatch", setup{}); err != nil {
			return err
		}
		worlds[i] = w
	}
	took := make([]sample, len(tables))
	for run := range b.often(100) + 1 {
		for i, w := range worlds {
			u, ids, _, err := w.dispatched(ctx, dispatch[i], 1)
			if err != nil {
				return err
			}
			for job, id := range ids {
				d, err := w.called(ctx, webhook[i], u, job, id)
				if err != nil {
					return err
				}
				if run > 0 {
					took[i].add(milliseconds(d))
				}
			}
		}
	}
	for i, table := range tables {
		b.report(fmt.Sprintf("webhook, table %v", table), "ms", took[i], nil)
	}
	return nil
}

// oneOfEach is how long a POST, a read and a write take, one after the other,
// for a client that is as near as the functions.
func (w *world) oneOfEach(ctx context.Context) (time.Duration, error) {
	u, _ := w.upload(1)
	key := map[string]types.AttributeValue{
		results.PartitionKey: &types.AttributeValueMemberS{Value: "floor"},
		results.SortKey:      &types.AttributeValueMemberS{Value: u.Key},
	}
	begin := time.Now()
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, w.apiURL+"/jobs",
		bytes.NewReader(fmt.Appendf(nil, `{"input":%q,"kind":"video"}`, u.URL())))
	if err != nil {
		return 0, err
	}
	post.Header.Set("Authorization", "Bearer "+w.apiKey)
	post.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(post)
	if err != nil {
		return 0, err
	}
	if err := resp.Body.Close(); err != nil {
		return 0, err
	}
	if resp.StatusCode/100 != 2 {
		return 0, fmt.Errorf("the stand-in of Ittybit answered %s", resp.Status)
	}
	if _, err := w.table.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(w.Table), Key: key}); err != nil {
		return 0, err
	}
	if _, err := w.table.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(w.Table), Item: key}); err != nil {
		return 0, err
	}
	return time.Since(begin), nil
}

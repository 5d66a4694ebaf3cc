package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

// counts are requests so far, by service and operation.
func (w *world) counts() map[string]int {
	all := w.AWS.Calls()
	for op, n := range w.Ittybit.Requests() {
		all["Ittybit."+string(op)] = n
	}
	return all
}

// since is what was requested since the counts were before.
func (w *world) since(before map[string]int) map[string]int {
	now := w.counts()
	for name, n := range before {
		if now[name] -= n; now[name] == 0 {
			delete(now, name)
		}
	}
	return now
}

// calls counts what warm invocations request, on the usual path: the secrets are
// cached, the first event of an upload, the first callback of a job.
func (b *bench) calls(ctx context.Context) error {
	for _, limit := range []int{0, 1_000_000} {
		if err := b.callsWith(ctx, limit); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) callsWith(ctx context.Context, limit int) error {
	w, err := b.world(ctx, limit, latency{})
	if err != nil {
		return err
	}
	defer w.close()
	dispatch, err := w.function(ctx, "dispatch", setup{})
	if err != nil {
		return err
	}
	webhook, err := w.function(ctx, "webhook", setup{})
	if err != nil {
		return err
	}
	u, ids, _, err := w.dispatched(ctx, dispatch, 3) // warms up
	if err != nil {
		return err
	}
	if _, err := w.called(ctx, webhook, u, "video-0", ids["video-0"]); err != nil {
		return err
	}
	with := ""
	if limit > 0 {
		with = ", daily limit"
	}
	for _, n := range jobCounts {
		before := w.counts()
		if _, _, _, err := w.dispatched(ctx, dispatch, n); err != nil {
			return err
		}
		made := w.since(before)
		one := func(what, name string, limit *Limit) {
			b.report(fmt.Sprintf("dispatch, %s%s: %s", jobs(n), with, what), "calls", sample{float64(made[name])}, limit)
			delete(made, name)
		}
		one("POSTs to Ittybit", "Ittybit."+string(fakeittybit.Create), exactly(float64(n)))
		one("reads of rows", endpoint.ServiceDynamoDB+".Query", exactly(1))
		one("writes of rows", endpoint.ServiceDynamoDB+".PutItem", exactly(float64(n)))
		if limit > 0 {
			one("reads of the day's count", endpoint.ServiceDynamoDB+".GetItem", atMost(1))
			one("writes of the day's count", endpoint.ServiceDynamoDB+".UpdateItem", atMost(1))
		}
		b.others(fmt.Sprintf("dispatch, %s%s", jobs(n), with), made)
	}
	before := w.counts()
	if _, err := w.called(ctx, webhook, u, "video-1", ids["video-1"]); err != nil {
		return err
	}
	made := w.since(before)
	const update = endpoint.ServiceDynamoDB + ".UpdateItem"
	b.report("webhook"+with+": writes of rows", "calls", sample{float64(made[update])}, exactly(1))
	delete(made, update)
	b.others("webhook"+with, made)

	most, err := w.writesAtOnce(ctx, dispatch, 10)
	if err != nil {
		return err
	}
	b.report("dispatch, 10 jobs"+with+": writes at once", "calls", sample{float64(most)}, exactly(10))
	return nil
}

// others reports what is left of the requests: there must be none.
func (b *bench) others(who string, made map[string]int) {
	sum := 0
	for _, n := range made {
		sum += n
	}
	if sum > 0 {
		b.note("%s: %v", who, slices.Sorted(maps.Keys(made)))
	}
	b.report(who+": other calls", "calls", sample{float64(sum)}, exactly(0))
}

// writesAtOnce is how many rows of one upload are being written at the same
// moment, at most: each write waits for the others.
func (w *world) writesAtOnce(ctx context.Context, dispatch *function, n int) (most int, err error) {
	const patience = 500 * time.Millisecond // less than what the functions' clients have
	var mu sync.Mutex
	running := 0
	all := make(chan struct{})
	count := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		if running += by; running > most {
			if most = running; most == n {
				close(all)
			}
		}
	}
	w.AWS.Intercept(func(ctx context.Context, c endpoint.Call) error {
		if c.Operation != "PutItem" {
			return nil
		}
		count(1)
		defer count(-1)
		select {
		case <-all:
		case <-time.After(patience):
		case <-ctx.Done():
		}
		return nil
	})
	defer w.AWS.Intercept(nil)
	_, _, _, err = w.dispatched(ctx, dispatch, n)
	mu.Lock()
	defer mu.Unlock()
	return most, err
}

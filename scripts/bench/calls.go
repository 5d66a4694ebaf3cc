package main

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

// The names of calls, as counts has them.
const (
	createJob  = "Ittybit." + string(fakeittybit.Create)
	query      = endpoint.ServiceDynamoDB + ".Query"
	getItem    = endpoint.ServiceDynamoDB + ".GetItem"
	putItem    = endpoint.ServiceDynamoDB + ".PutItem"
	updateItem = endpoint.ServiceDynamoDB + ".UpdateItem"
)

// counts returns the calls so far, by service and operation.
func (s *services) counts() map[string]int {
	all := s.AWS.Calls()
	for op, n := range s.Ittybit.Requests() {
		all["Ittybit."+string(op)] = n
	}
	return all
}

// since returns the calls after the counts were before.
func (s *services) since(before map[string]int) map[string]int {
	now := s.counts()
	for name, n := range before {
		if now[name] -= n; now[name] == 0 {
			delete(now, name)
		}
	}
	return now
}

// calls counts what warm invocations call on the usual path: the secrets are
// cached, the event is the first of its upload, the callback of its job.
func (b *bench) calls(ctx context.Context) (figures, error) {
	unlimited, err := b.callsWith(ctx, 0)
	if err != nil {
		return nil, err
	}
	limited, err := b.callsWith(ctx, 1_000_000)
	return append(unlimited, limited...), err
}

func (b *bench) callsWith(ctx context.Context, dailyJobLimit int) (figures, error) {
	s, err := b.services(ctx, dailyJobLimit, 0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	w, err := s.workers(ctx, setup{})
	if err != nil {
		return nil, err
	}
	defer w.close()
	d, err := w.dispatchUpload(ctx, w.dispatch, 3) // warms up
	if err != nil {
		return nil, err
	}
	if _, err := w.callBack(ctx, d, "video-0"); err != nil {
		return nil, err
	}
	with, ledger := "", call{"writes of the ledger", updateItem, exactly(1)}
	if dailyJobLimit > 0 {
		with, ledger = ", daily limit", call{"writes of the ledger and the day's count", updateItem, exactly(2)}
	}
	var out figures
	for _, n := range jobCounts {
		before := w.counts()
		if _, err := w.dispatchUpload(ctx, w.dispatch, n); err != nil {
			return nil, err
		}
		b.compareCalls(&out, "dispatch, "+jobs(n)+with, w.since(before), []call{
			{"POSTs to Ittybit", createJob, exactly(float64(n))},
			{"reads of the ledger", getItem, exactly(1)},
			ledger,
			{"writes of rows", putItem, exactly(float64(n))},
		})
	}
	before := w.counts()
	if _, err := w.callBack(ctx, d, "video-1"); err != nil {
		return nil, err
	}
	b.compareCalls(&out, "webhook"+with, w.since(before), []call{{"writes of rows", updateItem, exactly(1)}})

	most, err := w.writesAtOnce(ctx, 10)
	out.add("dispatch, 10 jobs"+with+": writes at once", "calls", sample{float64(most)}, exactly(10))
	return out, err
}

// call is a call that is expected so often.
type call struct {
	what, name string
	limit      *Limit
}

// compareCalls adds the calls that were made to the figures; there may be no
// others than the expected.
func (b *bench) compareCalls(out *figures, who string, made map[string]int, expected []call) {
	for _, c := range expected {
		out.add(who+": "+c.what, "calls", sample{float64(made[c.name])}, c.limit)
		delete(made, c.name)
	}
	others := 0
	for _, n := range made {
		others += n
	}
	if others > 0 {
		b.note("%s: %v", who, slices.Sorted(maps.Keys(made)))
	}
	out.add(who+": other calls", "calls", sample{float64(others)}, exactly(0))
}

// writesAtOnce is how many rows of an upload with n jobs are written at the same
// moment: each write waits for the others before it is answered.
func (w workers) writesAtOnce(ctx context.Context, n int) (int, error) {
	const patience = 500 * time.Millisecond // less than the functions' clients have
	var arrived, missing atomic.Int64
	all := make(chan struct{})
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation != "PutItem" {
			return nil
		}
		if arrived.Add(1) == int64(n) {
			close(all)
		}
		select {
		case <-all:
		case <-time.After(patience):
			missing.CompareAndSwap(0, int64(n)-arrived.Load())
		}
		return nil
	})
	defer w.AWS.Intercept(nil)
	_, err := w.dispatchUpload(ctx, w.dispatch, n)
	return n - int(missing.Load()), err
}

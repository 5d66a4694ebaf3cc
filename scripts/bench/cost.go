package main

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/prices"
	"ittybit-media/scripts/local/aws/endpoint"
)

// uploadUsage is what one upload takes of what AWS charges for.
type uploadUsage struct {
	jobs                  int
	dispatchMS, webhookMS float64 // webhook: each callback
	logBytes              float64 // without Lambda's own lines
	// Calls of the table. A row is under 1 KB, so each takes one request unit.
	reads, writes float64
}

// indexWrites are those of the index of open jobs: a row enters it when it is
// queued and leaves it with the result.
func (u uploadUsage) indexWrites() float64 { return 2 * float64(u.jobs) }

// countWrites are those of the ledger and the daily count: what is left after two
// for each row.
func (u uploadUsage) countWrites() float64 { return u.writes - 2*float64(u.jobs) }

// item is a part of the price of a million uploads, in dollars.
type item struct {
	name    string
	dollars float64
}

// bill is the price of a million uploads, by service.
func bill(p prices.List, u uploadUsage, memoryMB int, architecture string) []item {
	callbacks := float64(u.jobs)
	invocations := 1 + callbacks
	seconds := (u.dispatchMS + callbacks*u.webhookMS) / 1000
	gbSeconds := 1e6 * seconds * float64(memoryMB) / 1024
	logGB := 1e6 * (u.logBytes + invocations*p.PlatformBytes) / 1e9
	return []item{
		{"EventBridge", p.PerMillion.Event},
		{"Lambda", invocations*p.PerMillion.LambdaRequest + gbSeconds*p.GBSecond[architecture]},
		{"API Gateway", callbacks * p.PerMillion.APIRequest},
		{"DynamoDB", (u.writes+u.indexWrites())*p.PerMillion.Write + u.reads*p.PerMillion.Read},
		{"CloudWatch Logs", logGB * p.LogsGB},
	}
}

func total(bill []item) (dollars float64) {
	for _, i := range bill {
		dollars += i.dollars
	}
	return dollars
}

// What AWS and Ittybit are assumed to take: neither is here to be measured.
const (
	assumedPost  = 300 * time.Millisecond
	assumedTable = 5 * time.Millisecond // each call of DynamoDB
)

// cost measures what uploads take and prices them, with the default memory.
func (b *bench) cost(ctx context.Context) (figures, error) {
	p, err := prices.Known()
	if err != nil {
		return nil, err
	}
	c, _, err := stack.Parse(nil)
	if err != nil {
		return nil, err
	}
	b.note("prices of %s in %s; a POST takes %v and a call of the table %v", p.Date, p.Region, assumedPost, assumedTable)
	b.note("durations with a whole core, billed at %d MB", c.MemoryMB)
	s, err := b.services(ctx, int(c.DailyJobLimit)*1000, assumedPost) // a limit that is not reached
	if err != nil {
		return nil, err
	}
	defer s.close()
	var out figures
	for _, n := range jobCounts[:2] {
		u, err := s.usage(ctx, cmp.Or(b.runs, 12), n)
		if err != nil {
			return nil, err
		}
		out.addBill(p, u, c)
	}
	for _, what := range p.Unknown {
		b.note("not included: %s", what)
	}
	return out, nil
}

// addBill adds the bill of a million uploads, and what some of it is for.
func (fs *figures) addBill(p prices.List, u uploadUsage, c stack.Config) {
	add := func(what, unit string, v float64) { fs.add(jobs(u.jobs)+": "+what, unit, sample{v}, nil) }
	add("dispatch", "ms", u.dispatchMS)
	add("webhook", "ms", u.webhookMS)
	add("log of an upload, without Lambda's own lines", "bytes", u.logBytes)
	add("writes of an upload", "units", u.writes+u.indexWrites())
	priced := bill(p, u, c.MemoryMB, c.Architecture)
	all := total(priced)
	for _, i := range priced {
		add(i.name, "$", i.dollars)
		add(i.name+", share", "%", 100*i.dollars/all)
	}
	add("total", "$", all)
	add("of these for the index of open jobs", "$", u.indexWrites()*p.PerMillion.Write)
	add("of these for the queued row and the index", "$", (float64(u.jobs)+u.indexWrites())*p.PerMillion.Write)
	add("of these for the ledger and the daily limit", "$", u.countWrites()*p.PerMillion.Write)
}

// usage runs uploads of n jobs through dispatch and webhook and returns the
// median durations and the mean of the rest.
func (s *services) usage(ctx context.Context, runs, n int) (uploadUsage, error) {
	var log byteCounter
	w, err := s.workers(ctx, setup{log: &log})
	if err != nil {
		return uploadUsage{}, err
	}
	defer w.close()
	if _, _, err := w.timeUpload(ctx, n); err != nil { // opens the connections
		return uploadUsage{}, err
	}
	s.AWS.Intercept(takeTime)
	defer s.AWS.Intercept(nil)
	before := s.counts()
	var dispatch, webhook sample
	for range runs {
		first, callbacks, err := w.timeUpload(ctx, n)
		if err != nil {
			return uploadUsage{}, err
		}
		dispatch.add(first)
		webhook = append(webhook, callbacks...)
	}
	calls, of := s.since(before), float64(runs)
	w.close() // the log is complete
	return uploadUsage{
		jobs: n, dispatchMS: dispatch.median(), webhookMS: webhook.median(),
		logBytes: float64(log.Load()) / (of + 1),
		reads:    float64(calls[query]+calls[getItem]) / of,
		writes:   float64(calls[putItem]+calls[updateItem]) / of,
	}, nil
}

// takeTime makes a call of the table take as long as is assumed.
func takeTime(ctx context.Context, c endpoint.Call) error {
	if c.Service != endpoint.ServiceDynamoDB {
		return nil
	}
	select {
	case <-time.After(assumedTable):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// timeUpload runs one upload and its callbacks, and returns their milliseconds.
func (w workers) timeUpload(ctx context.Context, n int) (dispatch float64, callbacks sample, err error) {
	d, err := w.dispatchUpload(ctx, w.dispatch, n)
	if err != nil {
		return 0, nil, err
	}
	for job := range d.jobs {
		took, err := w.callBack(ctx, d, job)
		if err != nil {
			return 0, nil, err
		}
		callbacks.add(milliseconds(took))
	}
	return milliseconds(d.took), callbacks, nil
}

// byteCounter counts the bytes that are written to it.
type byteCounter struct{ atomic.Int64 }

func (c *byteCounter) Write(p []byte) (int, error) {
	c.Add(int64(len(p)))
	return len(p), nil
}

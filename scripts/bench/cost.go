package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os/exec"
	"slices"
	"sync"
	"time"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/prices"
	"ittybit-media/scripts/local/aws/endpoint"
)

// load is what one upload takes.
type load struct {
	jobs                 int
	dispatchMS           sample
	webhookMS            sample  // each callback
	dispatchLog          float64 // bytes
	webhookLog           float64
	queued, final, index float64 // write units of rows and of the index
	count                float64 // of the daily count
	reads                float64
}

// item is a part of the price of a million uploads, in dollars.
type item struct {
	name    string
	dollars float64
}

// bill is the price of a million uploads, by service.
func bill(p prices.List, u load, memoryMB int, architecture string) []item {
	callbacks := float64(u.jobs)
	gb := float64(memoryMB) / 1024
	logs := u.dispatchLog + p.PlatformBytes + callbacks*(u.webhookLog+p.PlatformBytes)
	return []item{
		{"EventBridge", p.PerMillion.Event},
		{"Lambda", (1+callbacks)*p.PerMillion.LambdaRequest + (u.dispatchMS.median()+callbacks*u.webhookMS.median())*1000*gb*p.GBSecond[architecture]},
		{"API Gateway", callbacks * p.PerMillion.APIRequest},
		{"DynamoDB", (u.queued+u.final+u.index+u.count)*p.PerMillion.Write + u.reads*p.PerMillion.Read},
		{"CloudWatch Logs", logs / 1000 * p.LogsGB}, // a million times so many bytes are a thousandth as many GB
	}
}

func sum(bill []item) (dollars float64) {
	for _, i := range bill {
		dollars += i.dollars
	}
	return dollars
}

// What is assumed of the others, for nobody here can measure it.
var assumed = latency{post: 300 * time.Millisecond, table: 5 * time.Millisecond}

// cost measures what an upload takes at each memory size and prices it.
func (b *bench) cost(ctx context.Context) error {
	p, err := prices.Known()
	if err != nil {
		return err
	}
	c, _, err := stack.Parse(nil)
	if err != nil {
		return err
	}
	b.note("prices of %s in %s; a POST takes %v and a call of the table %v", p.Date, p.Region, assumed.post, assumed.table)
	w, err := b.world(ctx, int(c.DailyJobLimit)*1000, assumed) // a limit, that is not reached
	if err != nil {
		return err
	}
	defer w.close()
	sums := map[int]float64{} // by MB
	for _, mb := range memorySizes {
		group, err := newCPUGroup(min(float64(mb)/wholeCore, 1))
		if err != nil {
			b.note("no CPU shares, the durations are the whole machine's: %v", err)
			mb = c.MemoryMB
		}
		var start func(*exec.Cmd) error
		if group != nil {
			start = group.start
		}
		used := map[int]load{}
		for _, n := range jobCounts[:2] {
			if used[n], err = w.measure(ctx, b.often(12), n, start); err != nil {
				return err
			}
		}
		if group != nil {
			group.remove()
		}
		three := used[3]
		b.report(fmt.Sprintf("at %d MB: dispatch, 3 jobs", mb), "ms", three.dispatchMS, nil)
		b.report(fmt.Sprintf("at %d MB: webhook", mb), "ms", three.webhookMS, nil)
		priced := bill(p, three, mb, c.Architecture)
		b.report(fmt.Sprintf("at %d MB: Lambda", mb), "$", sample{priced[1].dollars}, nil)
		sums[mb] = sum(priced)
		b.report(fmt.Sprintf("at %d MB: all of it", mb), "$", sample{sums[mb]}, nil)
		if mb == c.MemoryMB {
			b.shares(p, used, c)
		}
		if group == nil {
			break
		}
	}
	if len(sums) > 1 { // without CPU shares there is nothing to compare
		cheapest := slices.MinFunc(slices.Collect(maps.Keys(sums)), func(x, y int) int { return cmp.Compare(sums[x], sums[y]) })
		b.report(fmt.Sprintf("all of it at the default of %d MB / at %d MB, the cheapest", c.MemoryMB, cheapest), "×", sample{sums[c.MemoryMB] / sums[cheapest]}, nil)
	}
	for _, what := range p.Unknown {
		b.note("not in it: %s", what)
	}
	return nil
}

// shares reports the bill of a stack of the default memory.
func (b *bench) shares(p prices.List, used map[int]load, c stack.Config) {
	for _, n := range jobCounts[:2] {
		priced := bill(p, used[n], c.MemoryMB, c.Architecture)
		all := sum(priced)
		for _, i := range priced {
			b.report(fmt.Sprintf("%s: %s", jobs(n), i.name), "$", sample{i.dollars}, nil)
			b.report(fmt.Sprintf("%s: %s, share", jobs(n), i.name), "%", sample{100 * i.dollars / all}, nil)
		}
		b.report(fmt.Sprintf("%s: all of it", jobs(n)), "$", sample{all}, nil)
		less := func(what string, u load) {
			b.report(fmt.Sprintf("%s: %s", jobs(n), what), "$", sample{all - sum(bill(p, u, c.MemoryMB, c.Architecture))}, nil)
		}
		u := used[n]
		u.index = 0
		less("of these for the index of open jobs", u)
		u.queued = 0
		less("of these for the queued row and the index", u)
		u = used[n]
		u.count = 0
		less("of these for the daily limit", u)
		b.report(fmt.Sprintf("%s: log bytes of an upload, without Lambda's own", jobs(n)), "bytes", sample{u.dispatchLog + float64(n)*u.webhookLog}, nil)
		b.report(fmt.Sprintf("%s: write units of an upload", jobs(n)), "units", sample{u.queued + u.final + u.index + used[n].count}, nil)
	}
}

// measure takes uploads through dispatch and webhook.
func (w *world) measure(ctx context.Context, runs, n int, start func(*exec.Cmd) error) (load, error) {
	var dispatchLog, webhookLog counter
	dispatch, err := w.function(ctx, "dispatch", setup{log: &dispatchLog, start: start})
	if err != nil {
		return load{}, err
	}
	defer dispatch.Close()
	webhook, err := w.function(ctx, "webhook", setup{log: &webhookLog, start: start})
	if err != nil {
		return load{}, err
	}
	defer webhook.Close()
	sizes := writes{rows: map[string]float64{}}
	w.AWS.Intercept(func(ctx context.Context, c endpoint.Call) error {
		if c.Service != endpoint.ServiceDynamoDB {
			return nil
		}
		sizes.add(c)
		return sleep(ctx, assumed.table)
	})
	var dispatched, called sample
	for run := range runs + 1 { // the first opens the connections
		if run == 1 {
			dispatchLog.reset()
			webhookLog.reset()
			sizes.reset()
		}
		u, ids, took, err := w.dispatched(ctx, dispatch, n)
		if err != nil {
			return load{}, err
		}
		if run > 0 {
			dispatched.add(milliseconds(took))
		}
		for job, id := range ids {
			took, err := w.called(ctx, webhook, u, job, id)
			if err != nil {
				return load{}, err
			}
			if run > 0 {
				called.add(milliseconds(took))
			}
		}
	}
	of := float64(runs)
	queued, final, count, reads := sizes.units()
	return load{
		jobs:       n,
		dispatchMS: dispatched, webhookMS: called,
		dispatchLog: dispatchLog.bytes() / of, webhookLog: webhookLog.bytes() / of / float64(n),
		queued: queued / of, final: final / of, count: count / of, reads: reads / of,
		// The row enters the index when it is queued and leaves it in the end; an
		// entry is under 1 KB (results.OpenIndexAttributes).
		index: 2 * float64(n),
	}, nil
}

// counter counts bytes.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += len(p)
	return len(p), nil
}

func (c *counter) bytes() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return float64(c.n)
}

func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n = 0
}

// writes are what the table was asked for, in units.
type writes struct {
	mu                          sync.Mutex
	rows                        map[string]float64 // bytes of each, by sort key
	queued, final, count, query float64
}

// unit is what one write unit writes, in bytes ("DynamoDB throughput capacity",
// Amazon DynamoDB Developer Guide).
const unit = 1024

func (w *writes) add(c endpoint.Call) {
	var in struct {
		Item                      map[string]any
		ExpressionAttributeValues map[string]any
		Key                       struct {
			Sort struct{ S string } `json:"sk"`
		}
	}
	if json.Unmarshal(c.Body, &in) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch c.Operation {
	case "PutItem":
		n := attributeBytes(in.Item)
		if sk, ok := in.Item["sk"].(map[string]any); ok {
			w.rows[fmt.Sprint(sk["S"])] = n
		}
		w.queued += math.Ceil(n / unit)
	case "UpdateItem":
		before, isRow := w.rows[in.Key.Sort.S]
		if !isRow {
			w.count++
			return
		}
		// The larger of before and after counts; after is at most both together.
		w.final += math.Ceil((before + attributeBytes(in.ExpressionAttributeValues)) / unit)
	case "Query":
		w.query++
	}
}

// attributeBytes is about what attributes take: names and values as text.
func attributeBytes(attributes map[string]any) float64 {
	n := 0
	for name, value := range attributes {
		n += len(name)
		if v, ok := value.(map[string]any); ok {
			for _, x := range v {
				text, _ := json.Marshal(x) // it was JSON
				n += len(text)
			}
		}
	}
	return float64(n)
}

func (w *writes) units() (queued, final, count, reads float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queued, w.final, w.count, w.query
}

func (w *writes) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queued, w.final, w.count, w.query = 0, 0, 0, 0
}

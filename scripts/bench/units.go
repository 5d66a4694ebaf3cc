package main

import (
	"context"
	"encoding/json"
	"math"
	"sync"
	"time"

	"ittybit-media/scripts/local/aws/endpoint"
)

// unitBytes is what one write unit writes ("DynamoDB throughput capacity",
// Amazon DynamoDB Developer Guide).
const unitBytes = 1024

// units are request units of the table.
type units struct {
	queued, final float64 // writes of rows: with the job, and with its result
	index         float64 // writes of the index of open jobs
	count         float64 // writes of the daily count
	reads         float64
}

func (u units) writes() float64 { return u.queued + u.final + u.index + u.count }

// meter counts the units of calls to the table.
type meter struct {
	mu   sync.Mutex
	rows map[string]float64 // bytes, by sort key
	sum  units
}

func newMeter() *meter { return &meter{rows: map[string]float64{}} }

// intercept counts a call and makes it take as long as is assumed.
func (m *meter) intercept(ctx context.Context, c endpoint.Call) error {
	if c.Service != endpoint.ServiceDynamoDB {
		return nil
	}
	if err := m.add(c); err != nil {
		return err
	}
	select {
	case <-time.After(assumedTable):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attribute is a value in DynamoDB's JSON, by its type.
type attribute map[string]json.RawMessage

func (m *meter) add(c endpoint.Call) error {
	var req struct {
		Item, Key                 map[string]attribute
		ExpressionAttributeValues map[string]attribute
	}
	if err := json.Unmarshal(c.Body, &req); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch c.Operation {
	case "PutItem":
		n := size(req.Item)
		m.rows[string(req.Item["sk"]["S"])] = n
		m.sum.queued += math.Ceil(n / unitBytes)
	case "UpdateItem":
		row, isRow := m.rows[string(req.Key["sk"]["S"])]
		if !isRow {
			m.sum.count++
			return nil
		}
		// The larger of before and after counts; after is at most both together.
		m.sum.final += math.Ceil((row + size(req.ExpressionAttributeValues)) / unitBytes)
	case "Query":
		m.sum.reads++
	}
	return nil
}

// perUpload returns the mean of so many uploads of n jobs.
func (m *meter) perUpload(uploads, n int) units {
	m.mu.Lock()
	defer m.mu.Unlock()
	of := float64(uploads)
	return units{
		queued: m.sum.queued / of, final: m.sum.final / of, count: m.sum.count / of, reads: m.sum.reads / of,
		// A row enters the index when it is queued and leaves it with the result; an
		// entry is under 1 KB (results.OpenIndexAttributes).
		index: 2 * float64(n),
	}
}

// size is about how many bytes attributes take: names and values as text.
func size(attributes map[string]attribute) float64 {
	n := 0
	for name, value := range attributes {
		n += len(name)
		for _, v := range value {
			n += len(v)
		}
	}
	return float64(n)
}

// Package pipes is an emulator of EventBridge Pipes: it makes events of the
// records of a table's stream.
//
// Where the service's documentation leaves open what comes out, it refuses:
// templates other than a JSON object with its placeholders in quotes, values
// that are no strings, and those that JSON would escape. What is not there
// "won't appear in the output", and leaves the quotes ("Amazon EventBridge
// Pipes input transformation", Amazon EventBridge User Guide).
package pipes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"ittybit-media/scripts/local/aws/eventbridge"
	"ittybit-media/scripts/local/quiet"
)

// maxFilters is how many patterns a pipe may have (FilterCriteria, Amazon
// EventBridge Pipes API Reference).
const maxFilters = 5

// Config says what a pipe does. Its functions are called by one goroutine, in
// the order of the records.
type Config struct {
	Account, Region string
	Filters         []string // patterns: one of them must match a record
	Template        string   // of the detail
	Source          string   // of the events
	DetailType      string   // of the events; a path in the record if it begins with "$."
	Now             func() time.Time
	Send            func(event []byte)             // puts an event onto the bus
	Fail            func(record []byte, err error) // takes what cannot be sent
}

// Pipe is a running pipe.
type Pipe struct {
	cfg        Config
	filters    []*eventbridge.Pattern
	template   template
	detailType path // nil: it is the same for all

	mu      sync.Mutex
	changed *quiet.Cond
	waiting [][]byte
	busy    bool
	closed  bool
	done    chan struct{}
}

// Start runs a pipe until Close.
func Start(c Config) (*Pipe, error) {
	p := &Pipe{cfg: c, done: make(chan struct{})}
	p.changed = quiet.NewCond(&p.mu)
	if n := len(c.Filters); n > maxFilters {
		return nil, fmt.Errorf("pipe: %d filters; there may be %d", n, maxFilters)
	}
	for _, f := range c.Filters {
		pattern, err := eventbridge.Compile([]byte(f))
		if err != nil {
			return nil, fmt.Errorf("pipe: %w", err)
		}
		p.filters = append(p.filters, pattern)
	}
	var err error
	if p.template, err = compileTemplate(c.Template); err != nil {
		return nil, fmt.Errorf("pipe: the template: %w", err)
	}
	if strings.HasPrefix(c.DetailType, "$.") {
		if p.detailType, err = compilePath(c.DetailType); err != nil {
			return nil, fmt.Errorf("pipe: the detail type: %w", err)
		}
	}
	go p.run()
	return p, nil
}

// Put gives the pipe a record of the stream. It does not wait.
func (p *Pipe) Put(record []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, record)
	p.changed.Broadcast()
}

// Close ends the pipe once it has done all that it was given.
func (p *Pipe) Close() {
	p.mu.Lock()
	p.closed = true
	p.changed.Broadcast()
	p.mu.Unlock()
	<-p.done
}

// Idle waits until the pipe has done all that it was given. It returns ctx's
// cause when ctx ends first.
func (p *Pipe) Idle(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed.Until(ctx, func() bool { return !p.busy && len(p.waiting) == 0 })
}

func (p *Pipe) run() {
	defer close(p.done)
	for {
		records := p.next()
		if records == nil {
			return
		}
		for _, record := range records {
			p.do(record)
		}
	}
}

// next waits for records and takes them all; nil: there will be no more.
func (p *Pipe) next() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	p.changed.Broadcast()
	for len(p.waiting) == 0 {
		if p.closed {
			return nil
		}
		p.changed.Wait()
	}
	records := p.waiting
	p.waiting, p.busy = nil, true
	return records
}

func (p *Pipe) do(record []byte) {
	matches, err := p.matches(record)
	if err == nil && !matches {
		return
	}
	var event []byte
	if err == nil {
		event, err = p.event(record)
	}
	if err != nil {
		p.cfg.Fail(record, err)
		return
	}
	p.cfg.Send(event)
}

func (p *Pipe) matches(record []byte) (bool, error) {
	for _, f := range p.filters {
		if matches, err := f.Matches(record); matches || err != nil {
			return matches, err
		}
	}
	return len(p.filters) == 0, nil
}

func (p *Pipe) event(text []byte) ([]byte, error) {
	var record any
	if err := json.Unmarshal(text, &record); err != nil {
		return nil, err
	}
	detail, err := p.template.render(record)
	if err != nil {
		return nil, err
	}
	detailType := p.cfg.DetailType
	if p.detailType != nil {
		if detailType, err = p.detailType.text(record); err != nil {
			return nil, err
		}
	}
	if detailType == "" {
		return nil, fmt.Errorf("the event has no detail type: there is nothing at %s", p.detailType)
	}
	return eventbridge.Custom(eventbridge.Entry{
		Account: p.cfg.Account, Region: p.cfg.Region, Time: p.cfg.Now(),
		Source: p.cfg.Source, DetailType: detailType, Detail: detail,
	}), nil
}

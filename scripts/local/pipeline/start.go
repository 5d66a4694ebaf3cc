package pipeline

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	localdynamodb "ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/eventbridge"
	"ittybit-media/scripts/local/aws/logs"
	"ittybit-media/scripts/local/aws/pipes"
	"ittybit-media/scripts/local/aws/secretsmanager"
	"ittybit-media/scripts/local/aws/sqs"
	"ittybit-media/scripts/local/aws/ssm"
	"ittybit-media/scripts/local/aws/sts"
	"ittybit-media/scripts/local/clock"
)

// Start runs the pipeline until Close. Its error is one line that says what is
// in the way.
func Start(ctx context.Context, o Options) (*Pipeline, error) {
	settings, err := o.Stack.Settings()
	if err != nil {
		return nil, err
	}
	p := &Pipeline{
		Bucket:       cmp.Or(o.Stack.BucketName, DefaultBucket),
		AccessKey:    AccessKey("operator") + rand.Text()[:7],
		SecretKey:    rand.Text() + rand.Text()[:14],
		CallbackKeys: []string{rand.Text() + rand.Text()},
		Table:        tableName,
		opts:         o,
		settings:     settings,
		clock:        o.Clock,
	}
	if p.clock == nil {
		p.clock = clock.New()
	}
	if err := p.start(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// start starts the parts, each before those that call it.
func (p *Pipeline) start(ctx context.Context) error {
	dir, err := p.folder()
	if err != nil {
		return err
	}
	if err := p.startAWS(ctx); err != nil {
		return err
	}
	if err := p.startIttybit(dir); err != nil {
		return err
	}
	if err := p.startQueues(); err != nil {
		return err
	}
	if err := p.startFunctions(ctx, dir); err != nil {
		return err
	}
	p.startSchedule()
	return p.startS3(dir)
}

// folder is where everything on disk is.
func (p *Pipeline) folder() (string, error) {
	if p.opts.Dir != "" {
		return p.opts.Dir, nil
	}
	dir, err := os.MkdirTemp("", "ittybit-media-")
	if err != nil {
		return "", err
	}
	p.stops = append(p.stops, func() { _ = os.RemoveAll(dir) })
	return dir, nil
}

const loopback = "127.0.0.1:0"

// serve runs a handler on an address and returns its URL.
func (p *Pipeline) serve(what, addr string, h http.Handler) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("%s cannot listen: %w", what, err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	p.stops = append(p.stops, func() {
		_ = server.Close()
		<-done
	})
	return "http://" + l.Addr().String(), nil
}

func (p *Pipeline) startAWS(ctx context.Context) (err error) {
	p.logs = logs.New(p.clock.Now)
	p.AWS, p.Tables = endpoint.New(), localdynamodb.New()
	p.Secrets, p.Parameters = secretsmanager.New(), ssm.New()
	for _, service := range []endpoint.Service{
		p.Tables.API(), p.Secrets.API(), p.Parameters.API(), sts.API(endpoint.Account), p.logs.API(),
	} {
		p.AWS.Mount(service)
	}
	if p.awsURL, err = p.serve("the AWS endpoint", loopback, p.AWS); err != nil {
		return err
	}
	p.setCallbackKeys()
	if _, err := p.DynamoDB().CreateTable(ctx, results.CreateTableInput(tableName)); err != nil {
		return err
	}
	if !p.opts.Stack.ResultEvents {
		return nil
	}
	return p.startEvents()
}

// startEvents sends the result events.
func (p *Pipeline) startEvents() (err error) {
	p.Events, err = pipes.Start(pipes.Config{
		Account:    endpoint.Account,
		Region:     endpoint.Region,
		Filters:    results.EventFilters(),
		Template:   results.EventTemplate(cmp.Or(p.opts.Name, "local")),
		Source:     results.EventSource,
		DetailType: results.EventDetailType,
		Now:        p.clock.Now,
		Send:       p.resultEvent,
		Fail:       p.lostEvent,
	})
	if err != nil {
		return err
	}
	p.stops = append(p.stops, p.Events.Close)
	return p.Tables.Stream(tableName, p.Events.Put)
}

func (p *Pipeline) startQueues() (err error) {
	p.DeadLetter, err = sqs.New(p.clock, sqs.Config{
		Name:      "dead-letters",
		ARN:       endpoint.ARN("sqs", "dead-letters"),
		Retention: media.RetryRetention,
	})
	if err != nil {
		return err
	}
	p.RetryQueue, err = sqs.New(p.clock, sqs.Config{
		Name:        "retry",
		ARN:         endpoint.ARN("sqs", "retry"),
		Delay:       media.RetryDelay,
		Visibility:  media.RetryVisibility,
		Retention:   media.RetryRetention,
		MaxReceives: media.RetryReceives,
		DeadLetter:  p.DeadLetter,
		Observe:     p.queueEvent,
	})
	if err != nil {
		return err
	}
	p.AWS.Mount(sqs.API(p.RetryQueue, p.DeadLetter))
	return nil
}

// startSchedule has sweep run as often as the stack says.
func (p *Pipeline) startSchedule() {
	var mu sync.Mutex
	var timer *clock.Timer // nil: stopped
	var run func()
	run = func() {
		mu.Lock()
		defer mu.Unlock()
		if timer == nil {
			return
		}
		_, _ = p.Sweep.InvokeAsync(p.scheduled()) // what cannot run now runs the next time
		timer = p.clock.AfterFunc(p.opts.Stack.SweepInterval, run)
	}
	timer = p.clock.AfterFunc(p.opts.Stack.SweepInterval, run)
	p.stops = append(p.stops, func() {
		mu.Lock()
		defer mu.Unlock()
		timer.Stop() // or the clock would keep the pipeline
		timer = nil
	})
}

func (p *Pipeline) scheduled() []byte {
	return eventbridge.Scheduled(eventbridge.Schedule{Account: endpoint.Account, Region: endpoint.Region, ARN: endpoint.ARN("events", "rule/sweep"), Time: p.clock.Now()})
}

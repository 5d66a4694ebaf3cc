// Package pipeline is the whole pipeline on this machine: the real handler
// binaries between stand-ins of S3, EventBridge, Lambda, SQS, API Gateway,
// DynamoDB and Ittybit, all in one process and all on loopback. Each stand-in
// is a package of its own; here they are put together as the stack puts the
// services together.
package pipeline

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/env"
	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/aws/apigateway"
	localdynamodb "ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/eventbridge"
	"ittybit-media/scripts/local/aws/lambda"
	"ittybit-media/scripts/local/aws/logs"
	"ittybit-media/scripts/local/aws/pipes"
	"ittybit-media/scripts/local/aws/s3"
	"ittybit-media/scripts/local/aws/secretsmanager"
	"ittybit-media/scripts/local/aws/sqs"
	"ittybit-media/scripts/local/aws/ssm"
	"ittybit-media/scripts/local/aws/sts"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
)

// What things are called in the local run.
const (
	DefaultBucket  = "my-media-bucket" // when the stack makes its bucket
	tableName      = "results"
	ruleName       = "uploads"
	apiKeySecret   = "ittybit-api-key"
	callbackSecret = "callback-keys"
)

// Options say what to run.
type Options struct {
	Stack    stack.Config
	Name     string            // of the stack, in its result events; "": local
	Binaries map[string]string // handler → path, as bundle.Compile returns them
	Addr     string            // of the S3 endpoint; "": a free port on loopback
	Dir      string            // an existing folder for objects and outputs; "": a temporary one, removed by Close
	Clock    *clock.Clock      // nil: the wall clock
	Observe  func(Step)        // is told what happens, by several goroutines
	// OnEvent gets the result events, one after the other, if the stack sends any.
	OnEvent func(payload []byte)
	// Versioned has the bucket keep all versions of its objects.
	Versioned bool
	// Concurrency is how many processes each function may have; 0: two for each
	// CPU.
	Concurrency int
	// Deliveries says when an upload's event reaches dispatch, by the clock: two
	// double it, different times put events out of order. Nil: once, at once.
	Deliveries func(media.Upload) []time.Duration
	// NoDestination has what dispatch fails at go nowhere, as where its role may
	// not send to the retry queue.
	NoDestination bool
	// Ittybit changes how the stand-in works or misbehaves, before it starts.
	Ittybit func(*fakeittybit.Options)
	// Env is set on top of the functions' environment, by function.
	Env map[string]map[string]string
}

// Pipeline is a running pipeline.
type Pipeline struct {
	Bucket       string
	S3URL        string
	WebhookURL   string // without a token
	AccessKey    string // the user's and the scripts'; the functions have their own, see [AccessKey]
	SecretKey    string
	CallbackKeys []string // newest first
	Table        string

	// Objects has the bucket, whose events EventBridge gets from the start: also
	// where the stack leaves an existing bucket's notifications alone, since
	// nobody else could turn them on here. They can be turned off, as on AWS.
	Objects    *s3.Store
	AWS        *endpoint.Server // every service but S3
	Tables     *localdynamodb.Database
	Secrets    *secretsmanager.Secrets
	Parameters *ssm.Parameters
	Ittybit    *fakeittybit.Server
	Dispatch   *lambda.Function
	Webhook    *lambda.Function
	Sweep      *lambda.Function
	RetryQueue *sqs.Queue
	DeadLetter *sqs.Queue
	Events     *pipes.Pipe // makes the result events; nil: the stack sends none

	opts     Options
	settings stack.Settings // but for what the stand-ins decide
	clock    *clock.Clock
	logs     *logs.Groups
	awsURL   string
	apiURL   string // Ittybit's
	rule     *eventbridge.Pattern
	late     atomic.Int64 // events on their way to dispatch
	stops    []func()     // in the order in which they were started
}

// Start runs the pipeline until Close. Its error is one line that says what is
// in the way.
func Start(ctx context.Context, o Options) (*Pipeline, error) {
	p := &Pipeline{
		Bucket:       o.Stack.BucketName,
		AccessKey:    AccessKey("operator") + rand.Text()[:7],
		SecretKey:    rand.Text() + rand.Text()[:14],
		CallbackKeys: []string{rand.Text() + rand.Text()},
		Table:        tableName,
		opts:         o,
		clock:        o.Clock,
	}
	if p.Bucket == "" {
		p.Bucket = DefaultBucket
	}
	if p.clock == nil {
		p.clock = clock.New()
	}
	var err error
	if p.settings, err = o.Stack.Settings(); err != nil {
		return nil, err
	}
	if err := p.start(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Pipeline) start(ctx context.Context) error {
	dir := p.opts.Dir
	if dir == "" {
		temp, err := os.MkdirTemp("", "ittybit-media-")
		if err != nil {
			return err
		}
		p.stops = append(p.stops, func() { _ = os.RemoveAll(temp) })
		dir = temp
	}
	for _, step := range []func(context.Context, string) error{p.startAWS, p.startIttybit, p.startQueues, p.startFunctions, p.startSchedule, p.startS3} {
		if err := step(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

// Close ends everything, the last started first, and returns when it is gone.
func (p *Pipeline) Close() {
	for i := len(p.stops) - 1; i >= 0; i-- {
		p.stops[i]()
	}
	p.stops = nil
}

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

const loopback = "127.0.0.1:0"

func (p *Pipeline) startAWS(ctx context.Context, _ string) (err error) {
	p.logs = logs.New(p.clock.Now)
	p.AWS, p.Tables, p.Secrets = endpoint.New(), localdynamodb.New(), secretsmanager.New()
	p.Parameters = ssm.New()
	for _, service := range []endpoint.Service{
		p.Tables.API(), p.Secrets.API(), p.Parameters.API(), sts.API(endpoint.Account), p.logs.API(),
	} {
		p.AWS.Mount(service)
	}
	if p.awsURL, err = p.serve("the AWS endpoint", loopback, p.AWS); err != nil {
		return err
	}
	keys, err := json.Marshal(p.CallbackKeys)
	if err != nil {
		return err
	}
	p.Secrets.Set(callbackSecret, string(keys))
	if _, err = p.DynamoDB().CreateTable(ctx, results.CreateTableInput(tableName)); err != nil || !p.opts.Stack.ResultEvents {
		return err
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

// DynamoDB is a client for the table.
func (p *Pipeline) DynamoDB() *dynamodb.Client { return localdynamodb.Client(p.awsURL) }

// S3 is a client for the bucket.
func (p *Pipeline) S3() *awss3.Client {
	return awss3.New(awss3.Options{
		Region:       endpoint.Region,
		BaseEndpoint: aws.String(p.S3URL),
		Credentials:  credentials.NewStaticCredentialsProvider(p.AccessKey, p.SecretKey, ""),
		UsePathStyle: true,
		APIOptions:   []func(*middleware.Stack) error{awsclient.KeepConnections},
	})
}

func (p *Pipeline) startIttybit(_ context.Context, dir string) error {
	outputs := filepath.Join(dir, "outputs")
	if err := os.MkdirAll(outputs, 0o700); err != nil {
		return err
	}
	o := fakeittybit.Options{
		Clock:   ittybitClock{p.clock},
		Storage: objects{p},
		Dir:     outputs,
	}
	if p.opts.Ittybit != nil {
		p.opts.Ittybit(&o)
	}
	server, err := fakeittybit.New(o)
	if err != nil {
		return err
	}
	p.Ittybit = server
	p.stops = append(p.stops, func() { _ = server.Close() })
	p.RotateAPIKey()
	return nil
}

// RotateAPIKey gives Ittybit and the functions' secret a new key; the old one
// is refused from now on.
func (p *Pipeline) RotateAPIKey() {
	key := "local_" + rand.Text()
	p.Secrets.Set(apiKeySecret, key)
	p.Ittybit.SetKeys(key)
}

func (p *Pipeline) startQueues(context.Context, string) (err error) {
	p.DeadLetter, err = sqs.New(p.clock, sqs.Config{
		Name:      "dead-letters",
		ARN:       arn("sqs", "dead-letters"),
		Retention: media.RetryRetention,
	})
	if err != nil {
		return err
	}
	p.RetryQueue, err = sqs.New(p.clock, sqs.Config{
		Name:        "retry",
		ARN:         arn("sqs", "retry"),
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

func (p *Pipeline) startFunctions(ctx context.Context, dir string) (err error) {
	if p.apiURL, err = p.serve("Ittybit's stand-in", loopback, p.Ittybit); err != nil {
		return err
	}
	if p.Webhook, err = p.function(ctx, dir, function{name: "webhook", timeout: media.WebhookTimeout}); err != nil {
		return err
	}
	gateway, err := apigateway.Handler(apigateway.Config{Function: p.Webhook, Route: media.WebhookRoute, Account: endpoint.Account, Now: p.clock.Now})
	if err != nil {
		return err
	}
	if p.WebhookURL, err = p.serve("the API gateway", loopback, gateway); err != nil {
		return err
	}
	p.WebhookURL += media.WebhookPath
	routes, err := p.opts.Stack.Routes.JSON()
	if err != nil {
		return err
	}
	if p.Sweep, err = p.function(ctx, dir, function{name: "sweep", timeout: media.SweepTimeout}); err != nil {
		return err
	}
	dispatch := function{
		name:      "dispatch",
		timeout:   media.DispatchTimeout,
		files:     map[string][]byte{media.RoutesFile: routes},
		onFailure: p.retryLater,
	}
	if p.opts.NoDestination {
		dispatch.onFailure = nil
	}
	p.Dispatch, err = p.function(ctx, dir, dispatch)
	if err != nil {
		return err
	}
	p.AWS.Mount(lambda.API(p.Dispatch, p.Webhook, p.Sweep))
	consuming, stop := context.WithCancel(context.WithoutCancel(ctx))
	done, err := p.RetryQueue.Consume(consuming, sqs.Mapping{
		BatchSize:      media.RetryBatch,
		MaxConcurrency: media.RetryConcurrency,
		Invoke:         p.invokeDispatch,
	})
	if err != nil {
		stop()
		return err
	}
	p.stops = append(p.stops, func() {
		stop()
		<-done
	})
	return nil
}

// startSchedule has sweep run as often as the stack says.
func (p *Pipeline) startSchedule(context.Context, string) error {
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
	return nil
}

func (p *Pipeline) scheduled() []byte {
	return eventbridge.Scheduled(eventbridge.Schedule{Account: endpoint.Account, Region: endpoint.Region, ARN: arn("events", "rule/sweep"), Time: p.clock.Now()})
}

// RunSweep runs sweep now, beside its schedule, and waits for its answer; see
// [lambda.Function.Invoke].
func (p *Pipeline) RunSweep(ctx context.Context) (lambda.Result, error) {
	return p.Sweep.Invoke(ctx, p.scheduled())
}

// AccessKey is the id of the key with which a function signs its AWS requests:
// as with the roles of the real ones, each has its own.
func AccessKey(function string) string { return "LOCAL" + strings.ToUpper(function) }

// FunctionEnv is the environment that a function is configured with.
func (p *Pipeline) FunctionEnv(name string) map[string]string {
	vars := map[string]string{
		"AWS_ACCESS_KEY_ID":     AccessKey(name),
		"AWS_SECRET_ACCESS_KEY": p.SecretKey,
		"AWS_ENDPOINT_URL":      p.awsURL,
		env.TableName:           tableName,
		env.LogLevel:            p.opts.Stack.LogLevel.String(),
		env.ResultTTLDays:       strconv.FormatInt(p.opts.Stack.ResultTTLDays, 10),
	}
	if name != "sweep" {
		vars[env.CallbackKeySecret] = callbackSecret
	}
	if name != "webhook" {
		maps.Copy(vars, map[string]string{
			env.IttybitAPIURL:       p.apiURL,
			env.IttybitAPIKeySecret: apiKeySecret,
			env.OverdueAfter:        p.opts.Stack.OverdueAfter.String(),
		})
	}
	switch name {
	case "dispatch":
		maps.Copy(vars, map[string]string{
			env.WebhookURL:          p.WebhookURL,
			env.IttybitConnectionID: p.opts.Stack.ConnectionID,
			env.ConnectionPlacement: string(p.opts.Stack.ConnectionPlacement),
			env.OutputPrefix:        p.opts.Stack.OutputPrefix,
			env.DailyJobLimit:       strconv.FormatInt(p.opts.Stack.DailyJobLimit, 10),
		})
	case "sweep":
		vars[env.GiveUpAfter] = p.opts.Stack.GiveUpAfter.String()
	}
	maps.Copy(vars, p.opts.Env[name])
	return vars
}

func (p *Pipeline) invokeDispatch(ctx context.Context, payload []byte) ([]byte, error) {
	r, err := p.Dispatch.Invoke(ctx, payload)
	if err != nil {
		return nil, err
	}
	if r.FunctionError != "" {
		return nil, errors.New(r.FunctionError)
	}
	return r.Payload, nil
}

// function says what is particular about one.
type function struct {
	name      string
	timeout   time.Duration
	files     map[string][]byte // beside the binary
	onFailure func(envelope []byte)
}

// function starts a handler's binary and checks that its init succeeds.
func (p *Pipeline) function(ctx context.Context, dir string, c function) (*lambda.Function, error) {
	binary, ok := p.opts.Binaries[c.name]
	if !ok {
		return nil, fmt.Errorf("there is no binary of the handler %s", c.name)
	}
	root := filepath.Join(dir, "functions", c.name)
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	for file, content := range c.files {
		if err := os.WriteFile(filepath.Join(root, file), content, 0o600); err != nil {
			return nil, err
		}
	}
	f, err := lambda.Start(context.WithoutCancel(ctx), lambda.Config{
		Name:           c.name,
		ARN:            arn("lambda", "function:"+c.name),
		Binary:         binary,
		Dir:            root,
		Env:            p.FunctionEnv(c.name),
		Timeout:        c.timeout,
		MaxConcurrency: cmp.Or(p.opts.Concurrency, 2*runtime.NumCPU()),
		Log:            io.MultiWriter(p.logs.Writer(lambda.LogGroup(c.name)), stepWriter{p, c.name}),
		OnFailure:      c.onFailure,
		Observe:        p.functionEvent,
		Now:            p.clock.Now,
	})
	if err != nil {
		return nil, err
	}
	p.stops = append(p.stops, f.Close)
	if _, err := f.Check(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

func arn(service, name string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, endpoint.Region, endpoint.Account, name)
}

func (p *Pipeline) startS3(_ context.Context, dir string) (err error) {
	pattern, err := event.Pattern(p.Bucket, p.opts.Stack.Routes)
	if err != nil {
		return err
	}
	if p.rule, err = eventbridge.Compile([]byte(pattern)); err != nil {
		return err
	}
	p.Objects, err = s3.New(s3.Options{
		Dir:       dir,
		AccessKey: p.AccessKey,
		SecretKey: p.SecretKey,
		Buckets:   []s3.Bucket{{Name: p.Bucket, Versioned: p.opts.Versioned, EventBridge: true}},
		Now:       p.clock.Now,
		OnCreated: p.created,
	})
	if err != nil {
		return err
	}
	p.stops = append(p.stops, func() { _ = p.Objects.Close() })
	addr := p.opts.Addr
	if addr == "" {
		addr = loopback
	}
	p.S3URL, err = p.serve("the S3 endpoint", addr, p.Objects.Handler())
	return err
}

// objects is Ittybit's connection to the bucket.
type objects struct{ p *Pipeline }

func (o objects) Open(_ context.Context, bucket, key string) (string, func(), error) {
	path, release, err := o.p.Objects.Open(bucket, key)
	if errors.Is(err, s3.ErrNotFound) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return path, release, err
}

func (o objects) Put(ctx context.Context, bucket, key, path string) error {
	return o.p.Objects.PutFile(ctx, bucket, key, path)
}

// ittybitClock lets the stand-in live by the clock.
type ittybitClock struct{ *clock.Clock }

func (c ittybitClock) AfterFunc(d time.Duration, f func()) { c.Clock.AfterFunc(d, f) }

package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
	"ittybit-media/scripts/local/aws/apigateway"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/lambda"
	"ittybit-media/scripts/local/aws/sqs"
)

// startFunctions starts the handlers and what calls them.
func (p *Pipeline) startFunctions(ctx context.Context, dir string) (err error) {
	if p.Webhook, err = p.function(ctx, dir, function{name: "webhook", timeout: media.WebhookTimeout}); err != nil {
		return err
	}
	if err := p.startGateway(); err != nil {
		return err
	}
	if p.Sweep, err = p.function(ctx, dir, function{name: "sweep", timeout: media.SweepTimeout}); err != nil {
		return err
	}
	routes, err := p.opts.Stack.Routes.JSON()
	if err != nil {
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
	if p.Dispatch, err = p.function(ctx, dir, dispatch); err != nil {
		return err
	}
	p.AWS.Mount(lambda.API(p.Dispatch, p.Webhook, p.Sweep))
	return p.consume(ctx)
}

// startGateway serves webhook, whose URL dispatch gets.
func (p *Pipeline) startGateway() error {
	gateway, err := apigateway.Handler(apigateway.Config{Function: p.Webhook, Route: media.WebhookRoute, Account: endpoint.Account, Now: p.clock.Now})
	if err != nil {
		return err
	}
	base, err := p.serve("the API gateway", loopback, gateway)
	p.WebhookURL = base + media.WebhookPath
	return err
}

// consume gives dispatch what is in the retry queue.
func (p *Pipeline) consume(ctx context.Context) error {
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
		ARN:            endpoint.ARN("lambda", "function:"+c.name),
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
		env.GiveUpAfter:         p.opts.Stack.GiveUpAfter.String(),
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
	}
	maps.Copy(vars, p.opts.Env[name])
	return vars
}

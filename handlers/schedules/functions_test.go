package schedules_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/dispatch/dispatcher"
	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/sweep/sweeper"
	"ittybit-media/handlers/webhook/receiver"
)

const (
	apiKeySecret   = "ittybit/key"
	callbackSecret = "callback/keys"
	oldCallbackKey = "oooooooooooooooooooooooooooooooo"
	newCallbackKey = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
)

var began = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // as every process's clock

var upload = media.Upload{Bucket: "uploads", Key: "film.mov", Size: 1, ETag: "0123", Time: began}

// runs is what a process of a scenario runs.
type runs func(ctx context.Context, c *http.Client, input string) error

// functions are the Lambda functions as one environment configures them. Every
// process wires its own, as a cold start does.
type functions struct {
	names []string // of the jobs that an upload gets
	root  string   // folder of dispatch's zip
	limit int      // of new jobs a day; 0: none
}

// deploy writes the routes of jobs with these names.
func deploy(t *testing.T, limit int, names ...string) functions {
	t.Helper()
	var jobs []string
	for _, name := range names {
		jobs = append(jobs, fmt.Sprintf(`{"name":%q,"kind":"video","options":{"format":"mp4"}}`, name))
	}
	f := functions{names: names, root: t.TempDir(), limit: limit}
	routes := `{"routes":[{"prefix":"","suffixes":[".mov"],"jobs":[` + strings.Join(jobs, ",") + `]}]}`
	if err := os.WriteFile(filepath.Join(f.root, media.RoutesFile), []byte(routes), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f functions) environment(name string) string {
	return map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"AWS_ENDPOINT_URL_DYNAMODB": "http://dynamodb.test", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://secrets.test",
		"LAMBDA_TASK_ROOT":      f.root,
		env.TableName:           tableName,
		env.WebhookURL:          "https://hook.test/webhook",
		env.IttybitConnectionID: "conn_1",
		env.IttybitAPIURL:       "https://ittybit.test",
		env.IttybitAPIKeySecret: apiKeySecret,
		env.CallbackKeySecret:   callbackSecret,
		env.DailyJobLimit:       fmt.Sprint(f.limit),
	}[name]
}

func options(c *http.Client) function.Options {
	return function.Options{HTTP: c, Log: slog.New(slog.DiscardHandler), Metrics: io.Discard}
}

// at is a context of an invocation that began that long after midnight.
func at(ctx context.Context, after, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, began.Add(after+timeout))
}

// s3Event is S3's event about the upload, as EventBridge delivers it.
func s3Event() []byte {
	e := map[string]any{"source": "aws.s3", "detail-type": "Object Created", "time": upload.Time, "detail": map[string]any{
		"bucket": map[string]any{"name": upload.Bucket},
		"object": map[string]any{"key": upload.Key, "size": upload.Size, "etag": upload.ETag},
	}}
	return mustJSON(e)
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// direct delivers the event straight to dispatch, that long after the upload.
func (f functions) direct(after time.Duration) runs {
	return func(ctx context.Context, c *http.Client, _ string) error {
		_, err := f.dispatch(ctx, c, after, s3Event())
		return err
	}
}

// queued delivers the event from the retry queue, that long after the upload.
func (f functions) queued(after time.Duration) runs {
	batch := mustJSON(events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m0", Body: string(s3Event()), EventSource: "aws:sqs"}}})
	return func(ctx context.Context, c *http.Client, _ string) error {
		out, err := f.dispatch(ctx, c, after, batch)
		if err != nil {
			return err
		}
		var resp events.SQSEventResponse
		if err := json.Unmarshal(out, &resp); err != nil {
			return err
		}
		if len(resp.BatchItemFailures) > 0 {
			return errors.New("the message stays in the queue")
		}
		return nil
	}
}

func (f functions) dispatch(ctx context.Context, c *http.Client, after time.Duration, payload []byte) ([]byte, error) {
	h, err := dispatcher.Wire(f.environment, options(c))
	if err != nil {
		panic(err)
	}
	ctx, cancel := at(ctx, after, media.DispatchTimeout)
	defer cancel()
	return h.Invoke(ctx, payload)
}

// callback ends the job of the input at Ittybit, which then calls back.
func (f functions) callback(ctx context.Context, c *http.Client, id string) error {
	ended, err := move(ctx, c, id)
	if err != nil {
		return err
	}
	return f.webhook(ctx, c, ended.WebhookURL, map[string]any{"event": "job.succeeded", "data": ended})
}

// webhook delivers a callback once; an answer other than 2xx is an error.
func (f functions) webhook(ctx context.Context, c *http.Client, url string, body any) error {
	h, err := receiver.Wire(f.environment, options(c))
	if err != nil {
		panic(err)
	}
	ctx, cancel := at(ctx, time.Minute, media.WebhookTimeout)
	defer cancel()
	_, token, _ := strings.Cut(url, "?token=")
	resp, err := h.Handle(ctx, events.APIGatewayV2HTTPRequest{QueryStringParameters: map[string]string{"token": token}, Body: string(mustJSON(body))})
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 == 4:
		return fmt.Errorf("%w: %d %s", errRefused, resp.StatusCode, resp.Body)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%d %s", resp.StatusCode, resp.Body)
	}
	return nil
}

// errRefused: a callback of Ittybit's was taken for somebody else's.
var errRefused = errors.New("refused")

// move ends a job at Ittybit.
func move(ctx context.Context, c *http.Client, id string) (job, error) {
	return ask(ctx, c, http.MethodPost, "https://ittybit.test/jobs/"+id+"/succeeded")
}

// childCallback is about a task of the job of the input, at the job's URL.
func (f functions) childCallback(ctx context.Context, c *http.Client, id string) error {
	parent, err := ask(ctx, c, http.MethodGet, "https://ittybit.test/jobs/"+id)
	if err != nil {
		return err
	}
	return f.webhook(ctx, c, parent.WebhookURL, map[string]any{
		"event": "task.succeeded", "data": map[string]any{"id": "task_of_" + id, "kind": "video", "status": "succeeded"},
	})
}

func ask(ctx context.Context, c *http.Client, method, url string) (job, error) {
	var j job
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return j, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return j, err
	}
	defer func() { _ = resp.Body.Close() }()
	return j, json.NewDecoder(resp.Body).Decode(&j)
}

// rotate puts a new callback key before the old one.
func (f functions) rotate(ctx context.Context, c *http.Client, _ string) error {
	cfg, err := awsclient.FromEnv(f.environment)
	if err != nil {
		panic(err)
	}
	cfg.HTTPClient = c
	client := awsclient.NewClient(cfg, awsclient.Service{Name: "Secrets Manager", ID: "Secrets Manager", Signed: "secretsmanager", Target: "secretsmanager"})
	var none struct{}
	return client.Call(ctx, "PutSecretValue", map[string]string{"SecretId": callbackSecret, "SecretString": `["` + newCallbackKey + `","` + oldCallbackKey + `"]`}, &none)
}

// sweep makes a run that long after the upload.
func (f functions) sweep(after time.Duration) runs {
	return func(ctx context.Context, c *http.Client, _ string) error {
		h, err := sweeper.Wire(f.environment, options(c))
		if err != nil {
			panic(err)
		}
		ctx, cancel := at(ctx, after, media.SweepTimeout)
		defer cancel()
		_, err = h.Handle(ctx)
		return err
	}
}

// sweepAtLast makes a run so late that every copy of the table is up to date.
func (f functions) sweepAtLast(ctx context.Context, c *http.Client, input string) error {
	if err := forget(ctx, c, "http://dynamodb.test/past"); err != nil {
		return err
	}
	return f.sweep(afterAll)(ctx, c, input)
}

// tryAtLast delivers the event from the queue so late that Ittybit knows no
// idempotency key any more.
func (f functions) tryAtLast(ctx context.Context, c *http.Client, input string) error {
	if err := forget(ctx, c, "https://ittybit.test/keys"); err != nil {
		return err
	}
	return f.queued(tomorrow)(ctx, c, input)
}

func forget(ctx context.Context, c *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

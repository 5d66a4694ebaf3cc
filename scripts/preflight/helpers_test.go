package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/access"
	"ittybit-media/scripts/local/aws/s3"
	"ittybit-media/scripts/local/pipelinetest"
)

// The CLI that is on PATH for all tests says what the files in a folder of the
// module say: NAME is printed; NAME.err is printed as an error, and it fails;
// with NAME.hangs, it does not answer.
const (
	fakePulumi = `#!/bin/sh
case $1 in
version) name=version ;;
whoami) name=whoami ;;
stack) name=outputs ;;
esac
if [ -f pulumi/$name.hangs ]; then exec sleep 600; fi
if [ -f pulumi/$name.err ]; then cat pulumi/$name.err >&2; exit 1; fi
cat pulumi/$name
`
	noStack = "error: no stack named 'dev' found\n"
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "preflight-")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if err := os.WriteFile(filepath.Join(dir, "pulumi"), []byte(fakePulumi), 0o700); err != nil {
			panic(err)
		}
		for name, value := range map[string]string{
			"PATH": dir + string(os.PathListSeparator) + os.Getenv("PATH"),
			// Nobody's credentials but those that a test gives.
			"AWS_EC2_METADATA_DISABLED":   "true",
			"AWS_CONFIG_FILE":             os.DevNull,
			"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
			"AWS_PROFILE":                 "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
			"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "",
		} {
			if err := os.Setenv(name, value); err != nil {
				panic(err)
			}
		}
		pauses = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
		return m.Run()
	}())
}

// The secrets of a world; none may show.
const (
	apiKey = "ittybit_live_0123456789"
	hook   = "whsec_abcdefghijklmnop"
)

// What a world's stack file names.
const (
	keyName       = "media/ittybit"
	parameterName = "/media/ittybit"
	hookName      = "media/webhook"
	kmsARN        = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
)

// world is a module with a stack file, and a pipeline in the place of AWS and
// Ittybit. As it is made, nothing is to be fixed.
type world struct {
	*pipelinetest.Run
	t      *testing.T
	root   string
	values map[string]any // of the stack file, by whole name
	toS3   *front
	toAWS  *front        // to every other service
	access access.Access // to the pipeline, by the fronts
	heard  func(string)  // is told what preflight prints, as it does; nil: nobody
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return around(t, pipelinetest.Start(t, nil))
}

// around makes a world of a pipeline that another world was made of before.
func around(t *testing.T, run *pipelinetest.Run) *world {
	t.Helper()
	w := &world{Run: run, t: t, root: t.TempDir()}
	w.put(&types.NotificationConfiguration{EventBridgeConfiguration: &types.EventBridgeConfiguration{}})
	w.access = w.Access()
	w.toAWS, w.toS3 = newFront(t, w.access.AWSURL), newFront(t, w.access.S3URL)
	w.access.AWSURL, w.access.S3URL = w.toAWS.URL, w.toS3.URL
	w.toAWS.answer("DescribeEventBus", says(http.StatusOK, `{"Name":"media-results"}`)) // which the local run has not
	w.Ittybit.SetKeys(apiKey)
	w.Secrets.Set(keyName, apiKey)
	w.Secrets.Set(hookName, hook)
	w.Parameters.Set(parameterName, apiKey)
	w.Secrets.Set(w.access.Outputs.Settings.APIKeySecret, apiKey)
	w.values = map[string]any{
		"aws:region":                         "us-east-1",
		"ittybit-media:bucketName":           w.Bucket,
		"ittybit-media:manageNotifications":  false,
		"ittybit-media:connectionId":         "conn_mine",
		"ittybit-media:ittybitApiUrl":        w.access.Outputs.Settings.IttybitAPIURL,
		"ittybit-media:ittybitApiKeySecret":  keyName,
		"ittybit-media:webhookAuth":          "both",
		"ittybit-media:ittybitWebhookSecret": hookName,
		"ittybit-media:routes":               json.RawMessage(pipelinetest.Routes),
		"ittybit-media:reservedConcurrency":  50,
		"ittybit-media:resultEvents":         true,
		"ittybit-media:resultEventBus":       "media-results",
	}
	repo, err := bundle.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile(filepath.Join(repo, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("go.mod", string(gomod))
	w.write("pulumi/version", "v3.259.0\n")
	w.write("pulumi/whoami", `{"user":"ann","url":"https://api.pulumi.com/ann"}`)
	w.write("pulumi/outputs.err", noStack)
	return w
}

func (w *world) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.root, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// set changes the stack file; nil removes a key.
func (w *world) set(name string, value any) {
	if !strings.Contains(name, ":") {
		name = stack.Namespace + ":" + name
	}
	if value == nil {
		delete(w.values, name)
		return
	}
	w.values[name] = value
}

// deploy has Pulumi tell outputs, which change may change.
func (w *world) deploy(change func(*stack.Outputs)) {
	w.t.Helper()
	o := w.Access().Outputs
	o.RetryQueueURL = "https://sqs.us-east-1.amazonaws.com/000000000000/retry"
	o.Console = map[string]string{"table": "https://console"}
	if change != nil {
		change(&o)
	}
	text, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("pulumi/outputs", string(text))
	if err := os.Remove(filepath.Join(w.root, "pulumi/outputs.err")); err != nil {
		w.t.Fatal(err)
	}
}

// result is how preflight ended.
type result struct{ pipelinetest.Result }

// local runs preflight against the pipeline as a local run.
func (w *world) local(args ...string) result {
	w.t.Helper()
	return w.run(w.t.Context(), append([]string{w.localFlag()}, args...)...)
}

func (w *world) localFlag() string {
	w.t.Helper()
	return "-local=" + pipelinetest.WriteAccess(w.t, w.access)
}

// onAWS runs preflight with the pipeline in the place of AWS. It changes
// the environment of the test.
func (w *world) onAWS(args ...string) result {
	w.t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL":      w.access.AWSURL,
		"AWS_ENDPOINT_URL_S3":   w.access.S3URL,
		"AWS_ACCESS_KEY_ID":     w.access.AccessKey,
		"AWS_SECRET_ACCESS_KEY": w.access.SecretKey,
	} {
		w.t.Setenv(name, value)
	}
	return w.run(w.t.Context(), args...)
}

func (w *world) run(ctx context.Context, args ...string) result {
	w.t.Helper()
	if w.values != nil {
		text, err := json.Marshal(map[string]any{"config": w.values}) // YAML, too
		if err != nil {
			w.t.Fatal(err)
		}
		w.write("Pulumi.dev.yaml", string(text))
	}
	var stdout, stderr bytes.Buffer
	code := script(func() (string, error) { return w.root, nil }).Run(ctx, args, strings.NewReader(""), listener{&stdout, w.heard}, &stderr)
	for _, secret := range []string{apiKey, hook, w.access.SecretKey} {
		if secret != "" && strings.Contains(stdout.String()+stderr.String(), secret) {
			w.t.Errorf("a secret shows:\n%s%s", &stdout, &stderr)
		}
	}
	return result{pipelinetest.Result{Code: code, Stdout: stdout.String(), Stderr: stderr.String()}}
}

// listener is told what is written before it is.
type listener struct {
	io.Writer
	heard func(string)
}

func (l listener) Write(p []byte) (int, error) {
	if l.heard != nil {
		l.heard(string(p))
	}
	return l.Writer.Write(p)
}

// findings reads what -json printed.
func (r result) findings(t *testing.T) []finding {
	t.Helper()
	return pipelinetest.Lines[finding](t, r.Stdout)
}

// foreign gives the bucket the notifications of others, and takes EventBridge
// from it.
func (w *world) foreign() {
	w.t.Helper()
	w.put(foreign())
}

func foreign() *types.NotificationConfiguration {
	return &types.NotificationConfiguration{
		TopicConfigurations: []types.TopicConfiguration{{
			Id: aws.String("thumbnails"), TopicArn: aws.String("arn:aws:sns:us-east-1:000000000000:images"), Events: []types.Event{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"},
			Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: []types.FilterRule{
				{Name: types.FilterRuleNamePrefix, Value: aws.String("images/")}, {Name: types.FilterRuleNameSuffix, Value: aws.String(".tif")},
			}}},
		}},
		QueueConfigurations: []types.QueueConfiguration{{
			Id: aws.String("audit"), QueueArn: aws.String("arn:aws:sqs:us-east-1:000000000000:audit"), Events: []types.Event{"s3:ObjectRemoved:*"},
		}},
		LambdaFunctionConfigurations: []types.LambdaFunctionConfiguration{{
			Id: aws.String("scan"), LambdaFunctionArn: aws.String("arn:aws:lambda:us-east-1:000000000000:function:scan"), Events: []types.Event{"s3:ObjectCreated:Put"},
		}},
	}
}

// put writes the notifications of the bucket, as anybody may.
func (w *world) put(c *types.NotificationConfiguration) {
	w.t.Helper()
	_, err := w.S3().PutBucketNotificationConfiguration(w.t.Context(), &awss3.PutBucketNotificationConfigurationInput{Bucket: &w.Bucket, NotificationConfiguration: c})
	if err != nil {
		w.t.Fatal(err)
	}
}

// has reads the notifications of the bucket.
func (w *world) has() *types.NotificationConfiguration {
	w.t.Helper()
	c, err := getNotifications(w.t.Context(), w.S3(), w.Bucket)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// bucketIn makes a bucket in another region.
func (w *world) bucketIn(region, name string) {
	w.t.Helper()
	if err := w.Objects.CreateBucket(s3.Bucket{Name: name, Region: region}); err != nil {
		w.t.Fatal(err)
	}
}

// parameter has the stack file name a parameter for the key.
func (w *world) parameter(name string) {
	w.set("ittybitApiKeySecret", nil)
	w.set("ittybitApiKeyParameter", name)
}

// ittybit puts an API in the place of Ittybit's that always gives one answer.
func (w *world) ittybit(status int, body string) {
	w.t.Helper()
	server := httptest.NewServer(says(status, "%s", body))
	w.t.Cleanup(server.Close)
	w.set("ittybitApiUrl", server.URL)
}

// quota sets the account's concurrent executions.
func (w *world) quota(all, unreserved int) {
	w.toAWS.answer("GET /2016-08-19/account-settings", says(200, `{"AccountLimit":{"ConcurrentExecutions":%d,"UnreservedConcurrentExecutions":%d}}`, all, unreserved))
}

// Package pipeline is the whole pipeline on this machine: the real handler
// binaries between emulators of S3, EventBridge, Lambda, SQS, API Gateway and
// DynamoDB and the fake of Ittybit, all in one process and all on loopback. Each
// of these is a package of its own; here they are put together as the stack puts
// the services together.
package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/infra/stack"
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
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
)

// What things are called in the local pipeline.
const (
	DefaultBucket  = "my-media-bucket" // when the stack makes its bucket
	tableName      = "results"
	ruleName       = "uploads"
	apiKeySecret   = "ittybit-api-key"
	callbackSecret = "callback-keys"
)

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
	settings stack.Settings // but for what the emulators decide
	clock    *clock.Clock
	logs     *logs.Groups
	awsURL   string
	apiURL   string // Ittybit's
	rule     *eventbridge.Pattern
	late     atomic.Int64 // events on their way to dispatch
	stops    []func()     // in the order in which they were started
}

// Close ends everything, the last started first, and returns when it is gone.
func (p *Pipeline) Close() {
	for i := len(p.stops) - 1; i >= 0; i-- {
		p.stops[i]()
	}
	p.stops = nil
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

// RotateAPIKey gives Ittybit and the functions' secret a new key; the old one
// is refused from now on.
func (p *Pipeline) RotateAPIKey() {
	key := "local_" + rand.Text()
	p.Secrets.Set(apiKeySecret, key)
	p.Ittybit.SetKeys(key)
}

// RotateCallbackKey has callbacks signed with a new key from now on, and returns
// all keys, newest first: tokens of the old ones stay valid. CallbackKeys must
// not be read at the same time.
func (p *Pipeline) RotateCallbackKey() []string {
	p.CallbackKeys = append([]string{rand.Text() + rand.Text()}, p.CallbackKeys...)
	p.setCallbackKeys()
	return slices.Clone(p.CallbackKeys)
}

func (p *Pipeline) setCallbackKeys() {
	keys, _ := json.Marshal(p.CallbackKeys) // strings always encode
	p.Secrets.Set(callbackSecret, string(keys))
}

// RunSweep runs sweep now, beside its schedule, and waits for its answer; see
// [lambda.Function.Invoke].
func (p *Pipeline) RunSweep(ctx context.Context) (lambda.Result, error) {
	return p.Sweep.Invoke(ctx, p.scheduled())
}

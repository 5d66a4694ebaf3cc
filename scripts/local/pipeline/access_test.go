package pipeline_test

import (
	"context"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/eventbridge"
	"ittybit-media/scripts/local/pipeline"
)

func TestTheScriptsGetWhatADeployedStackTells(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	a := r.Access()
	if a.PID != os.Getpid() || a.S3URL != r.S3URL || a.AccessKey != r.AccessKey || a.SecretKey != r.SecretKey {
		t.Errorf("access %+v", a)
	}
	if !strings.HasPrefix(a.AccessKey, pipeline.AccessKey("operator")) {
		t.Errorf("access key %s", a.AccessKey)
	}
	// Every output but those that not every stack has.
	outputs := reflect.ValueOf(a.Outputs)
	for i := range outputs.NumField() {
		field := outputs.Type().Field(i)
		if outputs.Field(i).IsZero() && !strings.HasSuffix(field.Tag.Get("json"), ",omitempty") {
			t.Errorf("the output %s is not there", field.Name)
		}
	}
	for _, function := range []string{"dispatch", "webhook", "sweep"} {
		if a.Outputs.Functions[function] == "" || a.Outputs.LogGroups[function] == "" {
			t.Errorf("%s: function %q, log group %q", function, a.Outputs.Functions[function], a.Outputs.LogGroups[function])
		}
	}
	routes, err := a.Outputs.Settings.ParseRoutes()
	if err != nil || len(routes) != 1 || len(routes[0].Jobs) != 3 {
		t.Errorf("routes %+v, %v", routes, err)
	}
	if s := a.Outputs.Settings; !strings.HasPrefix(s.IttybitAPIURL, "http://127.0.0.1:") || s.APIKeySecret == "" || s.ConnectionID != "conn_abc123" {
		t.Errorf("settings %+v", s)
	}
}

// With what the access says, and as themselves, the scripts reach every
// service.
func TestTheScriptsReachEveryService(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	a := r.Access()
	ctx, out := t.Context(), a.Outputs
	cfg := aws.Config{
		Region: out.Region, BaseEndpoint: &a.AWSURL,
		Credentials: credentials.NewStaticCredentialsProvider(a.AccessKey, a.SecretKey, ""),
	}
	var mu sync.Mutex
	calls := map[string]bool{} // services that were called with the scripts' key
	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		mu.Lock()
		defer mu.Unlock()
		if c.AccessKey == a.AccessKey {
			calls[c.Service] = true
		}
		return nil
	})

	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || !strings.HasSuffix(*who.Arn, a.AccessKey) {
		t.Errorf("caller %+v, %v", who, err)
	}
	secret, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &out.Settings.APIKeySecret})
	if err != nil || *secret.SecretString == "" {
		t.Errorf("Ittybit's key: %v", err)
	}

	// While Ittybit refuses the key, an event waits in the queue.
	functions := lambda.NewFromConfig(cfg)
	event := eventbridge.ObjectCreated(eventbridge.Object{Account: "0", Region: out.Region, Bucket: out.Bucket, Key: "a.mov", Size: 1, ETag: "e", Time: r.Clock.Now()})
	r.Ittybit.SetKeys("another key")
	dispatch := out.Functions["dispatch"]
	if _, err := functions.Invoke(ctx, &lambda.InvokeInput{FunctionName: &dispatch, InvocationType: lambdatypes.InvocationTypeEvent, Payload: event}); err != nil {
		t.Fatal(err)
	}
	r.Quiet()
	queues := sqs.NewFromConfig(cfg)
	depth, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &out.RetryQueueURL, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	if err != nil || depth.Attributes["ApproximateNumberOfMessagesDelayed"] != "1" || !strings.Contains(depth.Attributes["RedrivePolicy"], "dead-letters") {
		t.Errorf("the retry queue has %v, %v", depth, err)
	}
	r.Pass(80 * time.Hour)
	dead, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &out.DeadLetterQueueURL, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"}})
	if err != nil || len(dead.Messages) != 1 || !strings.Contains(*dead.Messages[0].Body, `"requestPayload"`) ||
		dead.Messages[0].Attributes["DeadLetterQueueSourceArn"] != depth.Attributes["QueueArn"] {
		t.Fatalf("the dead letters have %+v, %v", dead, err)
	}

	// Redriven, it gets its jobs.
	r.RotateAPIKey()
	answer, err := functions.Invoke(ctx, &lambda.InvokeInput{FunctionName: &dispatch, Payload: event})
	if err != nil || answer.FunctionError != nil {
		t.Fatalf("%+v, %v", answer, err)
	}
	if _, err := queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &out.DeadLetterQueueURL, ReceiptHandle: dead.Messages[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	r.Pass(time.Minute)
	rows, err := dynamodb.NewFromConfig(cfg).Scan(ctx, &dynamodb.ScanInput{TableName: &out.Table})
	if err != nil || rows.Count < 3 || len(r.DeadLetter.Messages()) != 0 {
		t.Errorf("%d rows, %v, and %d dead letters", rows.Count, err, len(r.DeadLetter.Messages()))
	}

	group := out.LogGroups["dispatch"]
	lines, err := cloudwatchlogs.NewFromConfig(cfg).FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &group, FilterPattern: aws.String(`{ $.key = "a.mov" }`),
	})
	if err != nil || len(lines.Events) == 0 || !json.Valid([]byte(*lines.Events[0].Message)) {
		t.Errorf("log lines %+v, %v", lines, err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, service := range []string{endpoint.ServiceDynamoDB, endpoint.ServiceSecrets, endpoint.ServiceLambda, endpoint.ServiceSQS, endpoint.ServiceSTS, endpoint.ServiceLogs} {
		if !calls[service] {
			t.Errorf("%s was not called with the scripts' key", service)
		}
	}
}

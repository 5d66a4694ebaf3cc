package s3_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
)

func (f *fixture) notifications(t *testing.T) *awss3.GetBucketNotificationConfigurationOutput {
	t.Helper()
	out, err := f.client.GetBucketNotificationConfiguration(t.Context(), &awss3.GetBucketNotificationConfigurationInput{Bucket: aws.String(uploads)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (f *fixture) notify(t *testing.T, c types.NotificationConfiguration) error {
	t.Helper()
	_, err := f.client.PutBucketNotificationConfiguration(t.Context(), &awss3.PutBucketNotificationConfigurationInput{Bucket: aws.String(uploads), NotificationConfiguration: &c})
	return err
}

// What others have set comes back as it was, with EventBridge beside it.
func TestNotificationsAreMerged(t *testing.T) {
	t.Parallel()
	f := start(t)
	if n := f.notifications(t); n.EventBridgeConfiguration == nil || len(n.TopicConfigurations)+len(n.QueueConfigurations)+len(n.LambdaFunctionConfigurations) > 0 {
		t.Fatalf("at first: %+v", n)
	}
	others := types.NotificationConfiguration{
		TopicConfigurations: []types.TopicConfiguration{
			{Id: aws.String("topic"), TopicArn: aws.String("arn:aws:sns:us-east-1:1:t"), Events: []types.Event{types.EventS3ObjectCreated, types.EventS3ObjectRemovedDelete}},
			{TopicArn: aws.String("arn:aws:sns:us-east-1:1:u"), Events: []types.Event{types.EventS3ObjectRestore}},
		},
		QueueConfigurations: []types.QueueConfiguration{{
			Id: aws.String("queue <&>"), QueueArn: aws.String("arn:aws:sqs:us-east-1:1:q"), Events: []types.Event{types.EventS3ObjectCreatedPut},
			Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: []types.FilterRule{
				{Name: types.FilterRuleNamePrefix, Value: aws.String("in/é & <x>")}, {Name: types.FilterRuleNameSuffix, Value: aws.String(".csv")},
			}}},
		}},
		LambdaFunctionConfigurations: []types.LambdaFunctionConfiguration{{Id: aws.String("f"), LambdaFunctionArn: aws.String("arn:aws:lambda:us-east-1:1:function:f"), Events: []types.Event{types.EventS3ObjectCreated}}},
	}
	if err := f.notify(t, others); err != nil {
		t.Fatal(err)
	}
	n := f.notifications(t)
	if n.EventBridgeConfiguration != nil {
		t.Error("EventBridge is on, though nobody said so")
	}
	merged := types.NotificationConfiguration{
		TopicConfigurations: n.TopicConfigurations, QueueConfigurations: n.QueueConfigurations, LambdaFunctionConfigurations: n.LambdaFunctionConfigurations,
		EventBridgeConfiguration: &types.EventBridgeConfiguration{},
	}
	if err := f.notify(t, merged); err != nil {
		t.Fatal(err)
	}
	n = f.notifications(t)
	if n.EventBridgeConfiguration == nil || len(n.TopicConfigurations) != 2 || len(n.QueueConfigurations) != 1 || len(n.LambdaFunctionConfigurations) != 1 {
		t.Fatalf("merged: %+v", n)
	}
	if topics := n.TopicConfigurations; *topics[0].Id != "topic" || *topics[0].TopicArn != "arn:aws:sns:us-east-1:1:t" || len(topics[0].Events) != 2 || topics[0].Filter != nil || aws.ToString(topics[1].Id) == "" {
		t.Errorf("topics %+v", topics)
	}
	queue := n.QueueConfigurations[0]
	if *queue.Id != "queue <&>" || *queue.QueueArn != "arn:aws:sqs:us-east-1:1:q" || queue.Events[0] != types.EventS3ObjectCreatedPut {
		t.Errorf("queue %+v", queue)
	}
	if rules := queue.Filter.Key.FilterRules; len(rules) != 2 || rules[0].Name != types.FilterRuleNamePrefix || *rules[0].Value != "in/é & <x>" || *rules[1].Value != ".csv" {
		t.Errorf("rules %+v", rules)
	}
	if function := n.LambdaFunctionConfigurations[0]; *function.LambdaFunctionArn != "arn:aws:lambda:us-east-1:1:function:f" {
		t.Errorf("function %+v", function)
	}
	if err := f.notify(t, types.NotificationConfiguration{}); err != nil {
		t.Fatal(err)
	}
	if n = f.notifications(t); n.EventBridgeConfiguration != nil || len(n.QueueConfigurations) > 0 {
		t.Errorf("after an empty one: %+v", n)
	}
}

func TestEventsFlowWhileEventBridgeIsOn(t *testing.T) {
	t.Parallel()
	f := start(t)
	on := func(key string) bool {
		t.Helper()
		f.put(t, key, strings.NewReader("x"))
		got := f.events.of(key)
		if len(got) != 1 {
			t.Fatalf("%d events for %s", len(got), key)
		}
		return got[0].EventBridge
	}
	if !on("at first") {
		t.Error("it is off at first")
	}
	if err := f.notify(t, types.NotificationConfiguration{}); err != nil {
		t.Fatal(err)
	}
	if on("off") {
		t.Error("it is on after it was turned off")
	}
	if err := f.notify(t, types.NotificationConfiguration{EventBridgeConfiguration: &types.EventBridgeConfiguration{}}); err != nil {
		t.Fatal(err)
	}
	if !on("on again") {
		t.Error("it is off after it was turned on")
	}
	for _, want := range []bool{false, true} {
		if err := f.store.SetEventBridge(uploads, want); err != nil {
			t.Fatal(err)
		}
		if got := on(map[bool]string{true: "true", false: "false"}[want]); got != want {
			t.Errorf("set to %t, it is %t", want, got)
		}
	}
	if err := f.store.SetEventBridge("none", true); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a bucket that is not there: %v", err)
	}
}

func TestWrongNotifications(t *testing.T) {
	t.Parallel()
	f := start(t)
	queue := func(change func(*types.QueueConfiguration)) error {
		q := types.QueueConfiguration{QueueArn: aws.String("arn:aws:sqs:us-east-1:1:q"), Events: []types.Event{types.EventS3ObjectCreated}}
		change(&q)
		return f.notify(t, types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{q}})
	}
	if err := queue(func(q *types.QueueConfiguration) { q.QueueArn = aws.String("q") }); endpointtest.Code(err) != "InvalidArgument" {
		t.Errorf("no ARN: %v", err)
	}
	if err := queue(func(q *types.QueueConfiguration) { q.Events = []types.Event{} }); endpointtest.Code(err) != "MalformedXML" {
		t.Errorf("no event: %v", err)
	}
	none := aws.String("none")
	if _, err := f.client.GetBucketNotificationConfiguration(t.Context(), &awss3.GetBucketNotificationConfigurationInput{Bucket: none}); endpointtest.Code(err) != "NoSuchBucket" {
		t.Errorf("get of a bucket that is not there: %v", err)
	}
	if _, err := f.client.PutBucketNotificationConfiguration(t.Context(), &awss3.PutBucketNotificationConfigurationInput{Bucket: none, NotificationConfiguration: &types.NotificationConfiguration{}}); endpointtest.Code(err) != "NoSuchBucket" {
		t.Errorf("put of a bucket that is not there: %v", err)
	}
	for why, tt := range map[string]struct {
		method, body string
		signed       bool
		want         int
	}{
		"not signed":           {http.MethodPut, `<NotificationConfiguration/>`, false, http.StatusForbidden},
		"no XML":               {http.MethodPut, `<NotificationConfiguration`, true, http.StatusBadRequest},
		"an unknown element":   {http.MethodPut, `<NotificationConfiguration><Fax/></NotificationConfiguration>`, true, http.StatusBadRequest},
		"another inside":       {http.MethodPut, `<NotificationConfiguration><QueueConfiguration><Queue>arn:q</Queue><Event>e</Event><Fax/></QueueConfiguration></NotificationConfiguration>`, true, http.StatusBadRequest},
		"another's target":     {http.MethodPut, `<NotificationConfiguration><QueueConfiguration><Topic>arn:q</Topic><Event>e</Event></QueueConfiguration></NotificationConfiguration>`, true, http.StatusBadRequest},
		"two targets":          {http.MethodPut, `<NotificationConfiguration><QueueConfiguration><Queue>arn:q</Queue><Topic>arn:t</Topic><Event>e</Event></QueueConfiguration></NotificationConfiguration>`, true, http.StatusBadRequest},
		"no such method":       {http.MethodDelete, ``, true, http.StatusBadRequest},
		"what is right passes": {http.MethodPut, `<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>`, true, http.StatusOK},
	} {
		if got := f.raw(t, tt.method, "/"+uploads+"?notification=", tt.body, tt.signed); got != tt.want {
			t.Errorf("%s: %d, want %d", why, got, tt.want)
		}
	}
	if n := f.notifications(t); n.EventBridgeConfiguration == nil || len(n.QueueConfigurations) > 0 {
		t.Errorf("in the end %+v", n)
	}
}

// raw sends a request that no client would and returns its status.
func (f *fixture) raw(t *testing.T, method, path, body string, signed bool) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if signed {
		const anyBody = "UNSIGNED-PAYLOAD"
		req.Header.Set("X-Amz-Content-Sha256", anyBody)
		if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, req, anyBody, "s3", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

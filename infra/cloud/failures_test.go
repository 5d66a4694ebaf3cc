package cloud_test

import (
	"fmt"
	"reflect"
	"testing"
)

func TestFailuresGoToTheRetryQueue(t *testing.T) {
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		retry, dead, dispatch := d.one(t, "Queue", "-retry"), d.one(t, "Queue", "-dead-letters"), d.function(t, "dispatch")
		async, mapping := d.one(t, "FunctionEventInvokeConfig", "-dispatch"), d.one(t, "EventSourceMapping", "")
		retry.has(t, inputs{
			"delaySeconds":             60.0,
			"visibilityTimeoutSeconds": 900.0,
			"messageRetentionSeconds":  14 * 86400.0,
			"sqsManagedSseEnabled":     true,
		})
		dead.has(t, inputs{"messageRetentionSeconds": 14 * 86400.0, "sqsManagedSseEnabled": true, "redrivePolicy": nil})
		async.has(t, inputs{
			"functionName":                            dispatch.out(t, "name"),
			"maximumRetryAttempts":                    0.0,
			"maximumEventAgeInSeconds":                21600.0,
			"destinationConfig.onFailure.destination": retry.out(t, "arn"),
		})
		mapping.has(t, inputs{
			"functionName":                     dispatch.out(t, "name"),
			"eventSourceArn":                   retry.out(t, "arn"),
			"batchSize":                        10.0,
			"functionResponseTypes.0":          "ReportBatchItemFailures",
			"scalingConfig.maximumConcurrency": 5.0,
		})
		var redrive struct {
			DeadLetterTargetArn string
			MaxReceiveCount     int
		}
		fromJSON(t, retry.at("redrivePolicy"), &redrive)
		if redrive.DeadLetterTargetArn != dead.out(t, "arn") || redrive.MaxReceiveCount != 288 {
			t.Errorf("redrive policy %+v", redrive)
		}
		d.one(t, "RedriveAllowPolicy", "").has(t, inputs{
			"redriveAllowPolicy": fmt.Sprintf(`{"redrivePermission":"byQueue","sourceQueueArns":["%s"]}`, retry.out(t, "arn")),
		})
		timeout := dispatch.at("timeout").(float64)
		if visibility := retry.at("visibilityTimeoutSeconds").(float64); visibility < 6*timeout {
			t.Errorf("messages come back after %v s, while dispatch has %v s: Lambda wants six times that", visibility, timeout)
		}
		for _, m := range []*made{async, mapping} {
			d.after(t, m, d.one(t, "RolePolicy", "-dispatch"))
		}
	})
}

func TestOnlyTheRuleAndDispatchsDestinationSendToTheRetryQueue(t *testing.T) {
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		retry := d.one(t, "Queue", "-retry").out(t, "arn")
		rule := d.one(t, "EventRule", "-uploads").out(t, "arn")
		queue := parsePolicy(t, d.one(t, "QueuePolicy", "-retry").at("policy"))
		for _, s := range queue.Statement {
			if !reflect.DeepEqual(s.Principal, map[string]string{"Service": "events.amazonaws.com"}) {
				t.Errorf("the queue lets in %v", s.Principal)
			}
		}
		for _, tt := range []struct {
			action  string
			context map[string]string
			want    bool
		}{
			{action: "sqs:SendMessage", context: map[string]string{"aws:SourceArn": rule}, want: true},
			{action: "sqs:SendMessage", context: map[string]string{"aws:SourceArn": rule + "-other"}},
			{action: "sqs:SendMessage"},
			{action: "sqs:ReceiveMessage", context: map[string]string{"aws:SourceArn": rule}},
		} {
			if got := queue.allows(t, request{tt.action, retry, tt.context}); got != tt.want {
				t.Errorf("%s by EventBridge for %v: %v", tt.action, tt.context, got)
			}
		}
		for _, handler := range handlers {
			role := d.role(t, handler)
			for _, action := range []string{"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"} {
				lambda := role.allows(t, request{action, retry, nil})
				if lambda != (handler == "dispatch") {
					t.Errorf("Lambda, for %s: %s: %v", handler, action, lambda)
				}
				code := map[string]string{"lambda:SourceFunctionArn": d.function(t, handler).out(t, "arn")}
				if role.allows(t, request{action, retry, code}) {
					t.Errorf("the code of %s may %s", handler, action)
				}
			}
		}
	})
}

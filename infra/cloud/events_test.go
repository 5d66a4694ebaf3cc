package cloud_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ittybit-media/handlers/results"
	"ittybit-media/infra/stack"
)

func TestResultEvents(t *testing.T) {
	t.Parallel()
	const ours = "arn:aws:events:eu-west-1:123456789012:event-bus/"
	for bus, target := range map[string]string{
		"":              ours + "default",
		"media-results": ours + "media-results",
		"arn:aws:events:eu-west-1:123456789012:event-bus/by-arn": ours + "by-arn",
	} {
		d := deploy(t, "dev", stackFile(t, "dev").with(values{"resultEvents": "true", "resultEventBus": bus, "logRetentionDays": "3"}))
		pipe, dead, logs := d.one(t, "Pipe", ""), d.one(t, "Queue", "-dead-events"), d.one(t, "LogGroup", "-pipe")
		const stream = "sourceParameters.dynamodbStreamParameters."
		for path, want := range map[string]any{
			"roleArn": d.one(t, "Role", "-pipe").out(t, "arn"),
			"source":  d.one(t, "Table", "").out(t, "streamArn"),
			"target":  target,

			stream + "startingPosition":          "LATEST",
			stream + "batchSize":                 10.0, // a bus takes no more at once
			stream + "maximumRetryAttempts":      10.0,
			stream + "maximumRecordAgeInSeconds": 3600.0,
			stream + "onPartialBatchItemFailure": "AUTOMATIC_BISECT",
			stream + "deadLetterConfig.arn":      dead.out(t, "arn"),

			"targetParameters.inputTemplate":                            results.EventTemplate("dev"),
			"targetParameters.eventbridgeEventBusParameters.source":     "ittybit-media",
			"targetParameters.eventbridgeEventBusParameters.detailType": results.EventDetailType,
			"targetParameters.eventbridgeEventBusParameters.time":       nil,

			"logConfiguration.level":                                    "ERROR",
			"logConfiguration.cloudwatchLogsLogDestination.logGroupArn": logs.out(t, "arn"),
			"logConfiguration.includeExecutionDatas":                    nil, // what is in the rows does not go into a log
		} {
			if got := pipe.at(path); got != want {
				t.Errorf("%q: %s: %v, want %v", bus, path, got, want)
			}
		}
		var patterns []string
		for _, f := range pipe.at("sourceParameters.filterCriteria.filters").([]any) {
			patterns = append(patterns, f.(map[string]any)["pattern"].(string))
		}
		if !slices.Equal(patterns, results.EventFilters()) {
			t.Errorf("filters %q", patterns)
		}
		if dead.at("messageRetentionSeconds") != 14*86400.0 || dead.at("sqsManagedSseEnabled") != true {
			t.Errorf("dead letters %v", dead.inputs)
		}
		if logs.at("retentionInDays") != 3.0 || !strings.HasPrefix(logs.out(t, "name"), "/aws/vendedlogs/") {
			t.Errorf("log %v", logs.inputs)
		}
		if !d.waits(pipe, d.one(t, "RolePolicy", "-pipe")) {
			t.Error("the pipe may be made before it may read and send")
		}
	}
}

// Nobody but the pipe has its role, and it can do nothing but its work.
func TestThePipesRole(t *testing.T) {
	t.Parallel()
	d := deploy(t, "everything", stacks(t)["everything"])
	grants(t, d) // every statement is one that is known
	pipe := d.one(t, "Pipe", "").out(t, "arn")
	trust := parsePolicy(t, d.one(t, "Role", "-pipe").at("assumeRolePolicy"))
	if len(trust.Statement) != 1 || !reflect.DeepEqual(trust.Statement[0].Principal, map[string]string{"Service": "pipes.amazonaws.com"}) {
		t.Errorf("it may be assumed by %+v", trust)
	}
	for _, tt := range []struct {
		arn, account string
		want         bool
	}{
		{pipe, account, true},
		{pipe, "210987654321", false},
		{strings.Replace(pipe, account, "210987654321", 1), account, false},
		{strings.Replace(pipe, "everything", "dev", 1), account, false},
		{"arn:aws:pipes:eu-west-1:123456789012:pipe/another", account, false},
		{"", account, false},
	} {
		context := map[string]string{"aws:SourceArn": tt.arn, "aws:SourceAccount": tt.account}
		if tt.arn == "" {
			delete(context, "aws:SourceArn")
		}
		if got := trust.allows(t, request{"sts:AssumeRole", "", context}); got != tt.want {
			t.Errorf("%s of %s has the role: %v", tt.arn, tt.account, got)
		}
	}

	role := d.role(t, "pipe")
	table := d.one(t, "Table", "")
	stream, dead := table.out(t, "streamArn"), d.one(t, "Queue", "-dead-events").out(t, "arn")
	for _, tt := range []struct {
		action, resource string
		want             bool
	}{
		{"dynamodb:DescribeStream", stream, true},
		{"dynamodb:GetRecords", stream, true},
		{"dynamodb:GetShardIterator", stream, true},
		{"dynamodb:ListStreams", stream, true},
		{"dynamodb:GetItem", table.out(t, "arn"), false},
		{"dynamodb:GetRecords", strings.Replace(stream, "everything", "dev", 1), false},
		{"sqs:SendMessage", dead, true},
		{"sqs:ReceiveMessage", dead, false},
		{"sqs:SendMessage", d.one(t, "Queue", "-retry").out(t, "arn"), false},
		{"events:PutEvents", "arn:aws:events:eu-west-1:123456789012:event-bus/media-results", true},
		{"events:PutEvents", "arn:aws:events:eu-west-1:123456789012:event-bus/default", false},
		{"events:PutRule", "arn:aws:events:eu-west-1:123456789012:event-bus/media-results", false},
	} {
		if got := role.allows(t, request{tt.action, tt.resource, nil}); got != tt.want {
			t.Errorf("the pipe may %s on %s: %v", tt.action, tt.resource, got)
		}
	}
}

// Without result events there is nothing of them.
func TestWithoutResultEvents(t *testing.T) {
	t.Parallel()
	kinds := func(d *deployment) map[string]bool {
		all := map[string]bool{}
		for _, m := range d.resources {
			all[m.kind+" "+m.name] = true
		}
		return all
	}
	v := stackFile(t, "prod").with(values{"alarms": "true"})
	on, off := kinds(deploy(t, "prod", v.with(values{"resultEvents": "true"}))), kinds(deploy(t, "prod", v))
	var extra []string
	for name := range on {
		if !off[name] {
			extra = append(extra, name[strings.LastIndex(name, ":")+1:])
		}
	}
	slices.Sort(extra)
	want := []string{
		"LogGroup /aws/vendedlogs/ittybit-prod-pipe", "MetricAlarm ittybit-prod-dead-events", "MetricAlarm ittybit-prod-pipe",
		"Pipe ittybit-prod-pipe", "Queue ittybit-prod-dead-events", "Role ittybit-prod-pipe", "RolePolicy ittybit-prod-pipe",
	}
	if !slices.Equal(extra, want) || len(off) != len(on)-len(want) {
		t.Errorf("result events make %q, want %q", extra, want)
	}
}

func TestOutputsOfResultEvents(t *testing.T) {
	t.Parallel()
	read := func(v values) (o stack.Outputs) {
		t.Helper()
		text, err := json.Marshal(outputs(t, "dev", v))
		if err == nil {
			err = json.Unmarshal(text, &o)
		}
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	const queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/ittybit-dev-dead-events" + random
	on := read(values{"resultEvents": "true"})
	if on.ResultEventBus != "arn:aws:events:eu-west-1:123456789012:event-bus/default" || on.ResultEventsDeadLetterQueueURL != queue ||
		on.LogGroups["pipe"] != "/aws/vendedlogs/ittybit-dev-pipe"+random || !strings.HasSuffix(on.Console["resultEventsDeadLetters"], "ittybit-dev-dead-events"+random) || on.Console["pipeLogs"] == "" {
		t.Errorf("outputs %+v", on)
	}
	off := read(values{})
	if off.ResultEventBus+off.ResultEventsDeadLetterQueueURL+off.LogGroups["pipe"]+off.Console["resultEventsDeadLetters"] != "" {
		t.Errorf("outputs %+v", off)
	}
}

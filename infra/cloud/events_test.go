package cloud_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"ittybit-media/handlers/results"
)

func TestResultEvents(t *testing.T) {
	t.Parallel()
	const ours = "arn:aws:events:eu-west-1:123456789012:event-bus/"
	for bus, target := range map[string]string{
		"":              ours + "default",
		"media-results": ours + "media-results",
		ours + "by-arn": ours + "by-arn",
	} {
		t.Run(bus, func(t *testing.T) {
			d := deploy(t, "dev", stackFile(t, "dev").with(values{"resultEvents": "true", "resultEventBus": bus, "logRetentionDays": "3"}))
			pipe, dead, logs := d.one(t, "Pipe", ""), d.one(t, "Queue", "-dead-events"), d.one(t, "LogGroup", "-pipe")
			var filters []any
			for _, pattern := range results.EventFilters() {
				filters = append(filters, map[string]any{"pattern": pattern})
			}
			const stream = "sourceParameters.dynamodbStreamParameters."
			pipe.has(t, inputs{
				"roleArn": d.one(t, "Role", "-pipe").out(t, "arn"),
				"source":  d.one(t, "Table", "").out(t, "streamArn"),
				"target":  target,

				stream + "startingPosition":          "LATEST",
				stream + "batchSize":                 10.0, // a bus takes no more at once
				stream + "maximumRetryAttempts":      10.0,
				stream + "maximumRecordAgeInSeconds": 3600.0,
				stream + "onPartialBatchItemFailure": "AUTOMATIC_BISECT",
				stream + "deadLetterConfig.arn":      dead.out(t, "arn"),

				"sourceParameters.filterCriteria.filters": filters,

				"targetParameters.inputTemplate":                            results.EventTemplate("dev"),
				"targetParameters.eventbridgeEventBusParameters.source":     "ittybit-media",
				"targetParameters.eventbridgeEventBusParameters.detailType": results.EventDetailType,
				"targetParameters.eventbridgeEventBusParameters.time":       nil,

				"logConfiguration.level":                                    "ERROR",
				"logConfiguration.cloudwatchLogsLogDestination.logGroupArn": logs.out(t, "arn"),
				"logConfiguration.includeExecutionDatas":                    nil, // what is in the rows does not go into a log
			})
			dead.has(t, inputs{"messageRetentionSeconds": 14 * 86400.0, "sqsManagedSseEnabled": true})
			logs.has(t, inputs{"retentionInDays": 3.0})
			if !strings.HasPrefix(logs.out(t, "name"), "/aws/vendedlogs/") {
				t.Errorf("log group %s", logs.out(t, "name"))
			}
			d.after(t, pipe, d.one(t, "RolePolicy", "-pipe"))
		})
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

	table := d.one(t, "Table", "")
	stream, dead := table.out(t, "streamArn"), d.one(t, "Queue", "-dead-events").out(t, "arn")
	d.role(t, "pipe").grants(t, map[string]bool{
		"dynamodb:DescribeStream " + stream:                                              true,
		"dynamodb:GetRecords " + stream:                                                  true,
		"dynamodb:GetShardIterator " + stream:                                            true,
		"dynamodb:ListStreams " + stream:                                                 true,
		"dynamodb:GetItem " + table.out(t, "arn"):                                        false,
		"dynamodb:GetRecords " + strings.Replace(stream, "everything", "dev", 1):         false,
		"sqs:SendMessage " + dead:                                                        true,
		"sqs:ReceiveMessage " + dead:                                                     false,
		"sqs:SendMessage " + d.one(t, "Queue", "-retry").out(t, "arn"):                   false,
		"events:PutEvents arn:aws:events:eu-west-1:123456789012:event-bus/media-results": true,
		"events:PutEvents arn:aws:events:eu-west-1:123456789012:event-bus/default":       false,
		"events:PutRule arn:aws:events:eu-west-1:123456789012:event-bus/media-results":   false,
	})
}

// Without result events there is nothing of them.
func TestWithoutResultEvents(t *testing.T) {
	t.Parallel()
	names := func(d *deployment) []string {
		var all []string
		for _, m := range d.resources {
			all = append(all, m.short()+" "+m.name)
		}
		return all
	}
	v := stackFile(t, "prod").with(values{"alarms": "true"})
	on, off := names(deploy(t, "prod", v.with(values{"resultEvents": "true"}))), names(deploy(t, "prod", v))
	extra := slices.DeleteFunc(slices.Clone(on), func(name string) bool { return slices.Contains(off, name) })
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
	const queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/ittybit-dev-dead-events" + random
	on := deploy(t, "dev", values{"resultEvents": "true"}).understood(t)
	if on.ResultEventBus != "arn:aws:events:eu-west-1:123456789012:event-bus/default" || on.ResultEventsDeadLetterQueueURL != queue ||
		on.LogGroups["pipe"] != "/aws/vendedlogs/ittybit-dev-pipe"+random || !strings.HasSuffix(on.Console["resultEventsDeadLetters"], "ittybit-dev-dead-events"+random) || on.Console["pipeLogs"] == "" {
		t.Errorf("outputs %+v", on)
	}
	off := deploy(t, "dev", nil).understood(t)
	if off.ResultEventBus+off.ResultEventsDeadLetterQueueURL+off.LogGroups["pipe"]+off.Console["resultEventsDeadLetters"] != "" {
		t.Errorf("outputs %+v", off)
	}
}

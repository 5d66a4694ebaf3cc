package cloud

import (
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sns"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/telemetry"
)

// alarm goes off when the sum of its metrics is above its threshold in each of
// so many periods in a row.
type alarm struct {
	name        string
	description string // what it means and what to do
	metrics     []metric
	above       float64
	period      time.Duration
	periods     int
}

// metric is one of CloudWatch's. A statistic of counts is their sum, one of
// levels their maximum.
type metric struct {
	namespace, name, statistic string
	dimensions                 pulumi.StringMap
}

const (
	sum     = "Sum"
	maximum = "Maximum"
)

// makeAlarms watches whatever could lose an upload, cost money, or let somebody
// in. No data is no trouble: most of these metrics only exist when something
// happens.
func (b *builder) makeAlarms() error {
	if !b.Config.Alarms {
		return nil
	}
	actions := pulumi.Array{}
	if b.Config.AlarmEmail != "" {
		topic, err := sns.NewTopic(b.ctx, b.named("alarms"), &sns.TopicArgs{Tags: b.tags}, b.child())
		if err != nil {
			return err
		}
		if _, err := sns.NewTopicSubscription(b.ctx, b.named("alarms"), &sns.TopicSubscriptionArgs{
			Topic:    topic.Arn,
			Protocol: pulumi.String("email"),
			Endpoint: pulumi.String(b.Config.AlarmEmail),
		}, b.child()); err != nil {
			return err
		}
		actions = append(actions, topic.Arn)
	}
	for _, a := range b.alarms() {
		if err := b.makeAlarm(a, actions); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) alarms() []alarm {
	const five = 5 * time.Minute
	queue := func(name string, q pulumi.StringInput) metric {
		return metric{"AWS/SQS", name, maximum, pulumi.StringMap{"QueueName": q}}
	}
	lambda := func(name, statistic, handler string) metric {
		return metric{"AWS/Lambda", name, statistic, pulumi.StringMap{"FunctionName": b.functions[handler]}}
	}
	rule := func(name string) metric {
		return metric{"AWS/Events", name, sum, pulumi.StringMap{"RuleName": b.pipeline.Rule}}
	}
	own := func(m telemetry.Metric, dimension string) metric {
		dimensions := pulumi.StringMap{}
		if dimension != "" {
			dimensions[m.Dimension] = pulumi.String(dimension)
		}
		return metric{b.metricsNamespace(), m.Name, sum, dimensions}
	}
	one := func(name, description string, m metric) alarm {
		return alarm{name, description, []metric{m}, 0, five, 1}
	}
	dead, retry := b.queues.dead.Name, b.queues.retry.Name
	alarms := []alarm{
		one("dead-letters", "Uploads that failed for three days are in the dead letters. Find out why in dispatch's log, then redrive them.",
			queue("ApproximateNumberOfMessagesVisible", dead)),
		{
			"dead-letters-old", "Dead letters are deleted 14 days after their first failure: redrive them now.",
			[]metric{queue("ApproximateAgeOfOldestMessage", dead)}, (media.RetryRetention / 2).Seconds(), five, 1,
		},
		{
			"retry-queue", "The retry queue has not been empty for an hour. Dispatch's log says why: no API key, Ittybit away, the daily limit.",
			// All three: a message is out of sight for most of the time between two tries.
			[]metric{
				queue("ApproximateNumberOfMessagesVisible", retry),
				queue("ApproximateNumberOfMessagesNotVisible", retry),
				queue("ApproximateNumberOfMessagesDelayed", retry),
			},
			0, five, int(time.Hour / five),
		},
		one("destination", "Lambda could not put a failed event into the retry queue: the upload is lost unless it is sent again. Look at dispatch's role and the queue.",
			lambda("DestinationDeliveryFailures", sum, dispatch)),
		// Not AsyncEventsDropped: without retries of Lambda's own, that is every event
		// that failed and went to the retry queue.
		{
			"waiting", "Uploads wait in Lambda for want of concurrency; after 6 hours they go to the retry queue. Raise the account's or reservedConcurrency.",
			[]metric{lambda("AsyncEventAge", maximum, dispatch)}, float64((15 * time.Minute).Milliseconds()), five, 1,
		},
		one("undeliverable", "EventBridge could not put an undeliverable event into the retry queue: the upload is lost unless it is sent again.",
			rule("InvocationsFailedToBeSentToDlq")),
		one("rule", "EventBridge cannot invoke dispatch. The events are in the retry queue; look at dispatch's permission.",
			rule("FailedInvocations")),
		one("api-errors", "Callbacks were answered with 5xx: webhook fails or cannot reach the table. Ittybit sends them again.",
			metric{"AWS/ApiGateway", "5xx", sum, pulumi.StringMap{"ApiId": b.api.ID()}}),
		{
			"callbacks-refused", "Callbacks are refused. Soon after a rotation they are old ones; else somebody tries to forge results.",
			[]metric{own(telemetry.CallbacksRefused, "")}, 5, five, 3,
		},
		one("rejected", "Uploads or jobs are rejected for good. The rows with the state rejected have the reason.",
			own(telemetry.Rejected, "")),
		one("failed-jobs", "Jobs failed at Ittybit. Their rows have the error.",
			own(telemetry.Results, media.Failed.String())),
		one("daily-limit", "The day's limit of jobs is reached: uploads wait in the retry queue until midnight UTC, three days at most. Raise dailyJobLimit if this is no mistake.",
			own(telemetry.DailyLimitReached, "")),
	}
	// Sweep runs once in an interval: most of three runs in a row.
	sweeps := min(3*b.Config.SweepInterval, 24*time.Hour)
	alarms = append(alarms,
		alarm{
			"sweep-errors", "Sweep fails again and again; its log says why. Jobs whose callback was lost stay open until it succeeds.",
			[]metric{lambda("Errors", sum, sweep)}, float64(max(0, sweeps/b.Config.SweepInterval-2)), sweeps, 1,
		},
		one("sweep-behind", "Sweep does not get through the overdue jobs: callbacks do not come, or sweepInterval is too long. It goes on with the rest.",
			own(telemetry.SweepBehind, "")),
	)
	for _, handler := range []string{dispatch, webhook} {
		alarms = append(alarms,
			alarm{handler + "-errors", "The function fails again and again; its log says why. Uploads are in the retry queue, and Ittybit sends callbacks again.", []metric{lambda("Errors", sum, handler)}, 0, five, 3},
			alarm{handler + "-throttles", "Lambda does not start the function for want of concurrency: raise the account's or reservedConcurrency. Uploads wait, and Ittybit sends callbacks again.", []metric{lambda("Throttles", sum, handler)}, 0, five, 3},
		)
	}
	if b.events != nil {
		alarms = append(alarms,
			one("dead-events", "Results have no event: the pipe's log says why. Their rows are in the table, for those who wait for the events; the dead letters tell when it was.",
				queue("ApproximateNumberOfMessagesVisible", b.events.dead.Name)),
			alarm{
				"pipe", "The pipe cannot send result events; its log says why. It tries each for an hour at most: look at its role and the bus, and whether it still runs.",
				[]metric{{"AWS/EventBridge/Pipes", "ExecutionFailed", sum, pulumi.StringMap{"PipeName": b.events.pipe.Name}}}, 0, five, 3,
			},
		)
	}
	return alarms
}

func (b *builder) makeAlarm(a alarm, actions pulumi.Array) error {
	// That nothing more happened in the next five minutes does not mend what has
	// happened once; only levels and lasting troubles can be over.
	over := actions
	if a.periods == 1 && a.metrics[0].statistic == sum {
		over = nil
	}
	args := &cloudwatch.MetricAlarmArgs{
		AlarmDescription:   pulumi.String(a.description),
		ComparisonOperator: pulumi.String("GreaterThanThreshold"),
		Threshold:          pulumi.Float64(a.above),
		EvaluationPeriods:  pulumi.Int(a.periods),
		TreatMissingData:   pulumi.String("notBreaching"),
		AlarmActions:       actions,
		OkActions:          over,
		Tags:               b.tags,
	}
	if len(a.metrics) == 1 {
		m := a.metrics[0]
		args.Namespace, args.MetricName, args.Statistic = pulumi.String(m.namespace), pulumi.String(m.name), pulumi.String(m.statistic)
		args.Dimensions, args.Period = m.dimensions, seconds(a.period)
	} else {
		queries := cloudwatch.MetricAlarmMetricQueryArray{cloudwatch.MetricAlarmMetricQueryArgs{
			Id: pulumi.String("total"), Expression: pulumi.String("SUM(METRICS())"), Label: pulumi.String(a.name), ReturnData: pulumi.Bool(true),
		}}
		for i, m := range a.metrics {
			queries = append(queries, cloudwatch.MetricAlarmMetricQueryArgs{
				Id: pulumi.Sprintf("m%d", i),
				Metric: &cloudwatch.MetricAlarmMetricQueryMetricArgs{
					Namespace: pulumi.String(m.namespace), MetricName: pulumi.String(m.name), Stat: pulumi.String(m.statistic),
					Dimensions: m.dimensions, Period: seconds(a.period),
				},
			})
		}
		args.MetricQueries = queries
	}
	_, err := cloudwatch.NewMetricAlarm(b.ctx, b.named(a.name), args, b.child())
	return err
}

package cloud

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sns"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/telemetry"
)

// runbook is the file with a heading for each alarm.
const runbook = "OPERATIONS.md"

// alarm goes off when the sum of its metrics is beyond its threshold in enough
// periods.
type alarm struct {
	name      string
	kind      kind
	window    window
	threshold float64
	metrics   []metric

	means string // what has happened
	look  string // at what to look
	mend  string // what to do, and with which script
}

// kind is what an alarm watches for.
type kind struct {
	operator string
	missing  string // what CloudWatch takes a period without data for
	ends     bool   // whether somebody is told when it is over
}

var (
	// happened: something that must not. Its metrics exist only when it does, so no
	// data is no trouble. That it happened no more does not mend it: whoever was
	// told "OK" would think so.
	happened = kind{operator: "GreaterThanThreshold", missing: "notBreaching"}

	// lasting: a state that goes on. A function that nobody invokes has no errors, and
	// a queue that is empty and unused for six hours reports nothing at all: no data
	// is the end of it.
	lasting = kind{operator: "GreaterThanThreshold", missing: "notBreaching", ends: true}

	// stopped: something that must happen and does not. Then there is no data, which
	// is the very trouble.
	stopped = kind{operator: "LessThanThreshold", missing: "breaching", ends: true}
)

// window is how many of the last periods must be beyond the threshold. Together
// they may be a week, or a day where one is shorter than an hour (PutMetricAlarm,
// Amazon CloudWatch API Reference).
type window struct {
	period     time.Duration
	beyond, of int
}

var (
	// atOnce goes off after one period and holds for an hour: what happens again and
	// again, such as a retry every quarter of an hour, is told once and not each
	// time.
	atOnce = window{five, 1, int(time.Hour / five)}

	// level goes off after one period, too, and outlasts a gap: nobody can see a
	// message while somebody else looks at it.
	level = window{five, 1, 3}

	again  = window{five, 3, 3}
	anHour = window{five, int(time.Hour / five), int(time.Hour / five)}
	aWeek  = window{6 * time.Hour, 28, 28}
)

// Shares that are noise, for [builder.tolerated].
const (
	ofRequests = 0.01
	ofJobs     = 0.05
)

// jobsWithoutLimit are the jobs a day that a stack without dailyJobLimit is
// taken to be meant for.
const jobsWithoutLimit = 100_000

// tolerated is how many times something may happen in five minutes before it is
// more than noise: the share of what an even five minutes of the jobs bring that
// the stack is meant for, which are dailyJobLimit a day, and at least so many. Of
// requests and invocations one in a hundred may fail, since all of them come
// again; of jobs one in twenty, since not everything that people upload is a film.
func (b *builder) tolerated(share float64, least int) float64 {
	jobs := b.Config.DailyJobLimit
	if jobs == 0 {
		jobs = jobsWithoutLimit
	}
	even := float64(jobs) * five.Hours() / 24
	return max(float64(least), math.Floor(share*even))
}

// makeAlarms watches whatever could lose an upload, cost money, or let somebody
// in.
func (b *builder) makeAlarms() error {
	if !b.Config.Alarms {
		return nil
	}
	actions, err := b.makeTopic()
	if err != nil {
		return err
	}
	for _, a := range b.alarms() {
		made, err := b.makeAlarm(a, actions)
		if err != nil {
			return err
		}
		b.alarmARNs = append(b.alarmARNs, made.Arn)
	}
	return nil
}

// makeTopic makes what sends the mails, if there is an address. It has no policy:
// the one that SNS gives it lets the account's own alarms publish and nobody
// else. Nor has it a key: with the one that costs nothing CloudWatch could not
// publish, since nobody can change that key's policy, and a mail is not encrypted
// anyway ("Key management", Amazon SNS Developer Guide). No alarm holds a secret.
func (b *builder) makeTopic() (pulumi.Array, error) {
	if b.Config.AlarmEmail == "" {
		return nil, nil
	}
	topic, err := sns.NewTopic(b.ctx, b.named("alarms"), &sns.TopicArgs{Tags: b.tags}, b.child())
	if err != nil {
		return nil, err
	}
	_, err = sns.NewTopicSubscription(b.ctx, b.named("alarms"), &sns.TopicSubscriptionArgs{
		Topic:    topic.Arn,
		Protocol: pulumi.String("email"),
		Endpoint: pulumi.String(b.Config.AlarmEmail),
	}, b.child())
	return pulumi.Array{topic.Arn}, err
}

// alarms are all alarms. Where a single event is a lost upload, the threshold is
// 0 in every stack.
func (b *builder) alarms() []alarm {
	dead, retry := b.queues.dead, b.queues.retry
	// What an operator gets told to type.
	var (
		preflight  = b.script("preflight")
		smoke      = b.script("smoke")
		backfill   = b.script("backfill")
		redrive    = b.script("redrive")
		redriveAll = b.script("redrive", "-send")
		openJobs   = b.script("jobs", "-state", "open")
		settle     = b.script("jobs", "-settle")
		putBack    = "pulumi up --refresh --stack " + b.ctx.Stack()

		concurrency = "the function's concurrency beside reservedConcurrency, or where there is none beside the account's quota: " + preflight
	)
	alarms := []alarm{
		{
			name: "dead-letters", kind: lasting, window: level,
			metrics: []metric{queueMetric("ApproximateNumberOfMessagesVisible", dead)},
			means:   "Uploads failed for three days and are in the dead letters. Nothing tries them again, and 14 days after their first failure they are deleted.",
			look:    "the dead letters by reason: " + redrive,
			mend:    "when the reason is mended, send them back to dispatch: " + redriveAll,
		},
		{
			// Not their age, which messages distort that were received so often. They are
			// deleted 14 days after the first send and come here within three, so four days
			// are left ("Capturing problematic messages", "Setting up dead-letter queue
			// retention", Amazon SQS Developer Guide).
			name: "dead-letters-old", kind: lasting, window: aWeek,
			metrics: []metric{queueMetric("ApproximateNumberOfMessagesVisible", dead)},
			means:   "There have been dead letters for a week. The oldest of them will be deleted within days, and their uploads are lost then.",
			look:    "the dead letters by reason: " + redrive,
			mend:    "send them back to dispatch now; what fails again is tried for another three days: " + redriveAll,
		},
		{
			name: "retry-queue", kind: lasting, window: anHour,
			// All three: a message is out of sight for most of the time between two tries.
			metrics: []metric{
				queueMetric("ApproximateNumberOfMessagesVisible", retry),
				queueMetric("ApproximateNumberOfMessagesNotVisible", retry),
				queueMetric("ApproximateNumberOfMessagesDelayed", retry),
			},
			means: "Uploads have been waiting in the retry queue for an hour. They are tried every quarter of an hour for three days: an outage mends itself.",
			look:  `"upload not dispatched" in dispatch's log says why: no API key, Ittybit away, the daily limit. After dispatch-errors or daily-limit, this says that it lasts`,
			mend:  "check the key, Ittybit and the bucket: " + preflight,
		},
		{
			name: "destination", kind: happened, window: atOnce,
			metrics: []metric{b.functionMetric("DestinationDeliveryFailures", sum, dispatch)},
			means:   "Lambda could not put a failed upload into the retry queue: it has no job, and nothing tries it again.",
			look:    "dispatch's role and the retry queue must be as they were made; put them back with " + putBack,
			mend:    "then give dispatch the uploads that it has missed: " + backfill,
		},
		// Not AsyncEventsDropped: without retries of Lambda's own, that is every event
		// that failed and went to the retry queue.
		{
			name: "waiting", kind: lasting, window: level, threshold: float64((15 * time.Minute).Milliseconds()),
			metrics: []metric{b.functionMetric("AsyncEventAge", maximum, dispatch)},
			means:   "Uploads wait in Lambda for want of concurrency, a quarter of an hour or longer. After 6 hours they go to the retry queue; none is lost.",
			look:    concurrency,
			mend:    "raise what is too low; the uploads come by themselves",
		},
		{
			name: "undeliverable", kind: happened, window: atOnce,
			metrics: []metric{b.ruleMetric("InvocationsFailedToBeSentToDlq")},
			means:   "EventBridge could neither invoke dispatch nor put the event into the retry queue: an upload has no job, and nothing tries it again.",
			look:    "dispatch's permission and the queue's policy must be as they were made; put them back with " + putBack,
			mend:    "then give dispatch the uploads that it has missed: " + backfill,
		},
		{
			name: "rule", kind: happened, window: atOnce,
			// Both: what goes to the queue need not count as failed.
			metrics: []metric{b.ruleMetric("FailedInvocations"), b.ruleMetric("InvocationsSentToDlq")},
			means:   "EventBridge could not invoke dispatch. The events are in the retry queue, from where dispatch gets them.",
			look:    "dispatch's permission and the rule's target must be as they were made; put them back with " + putBack,
			mend:    "see an upload through: " + smoke,
		},
		{
			name: "api-errors", kind: happened, window: atOnce, threshold: b.tolerated(ofRequests, 0),
			metrics: []metric{b.apiMetric("5xx")},
			means:   "Callbacks were answered with 5xx. Ittybit sends them again, and sweep asks for those that it gives up.",
			look:    `"callback not stored" in webhook's log if it cannot reach the table; webhook-errors or webhook-throttles follow if it fails or does not start`,
			mend:    "fetch now what is overdue: " + settle,
		},
		{
			name: "callbacks-refused", kind: lasting, window: again, threshold: b.tolerated(ofRequests, 5),
			metrics: []metric{b.ownMetric(telemetry.CallbacksRefused, sum, "")},
			means:   "Callbacks are refused, again and again. After two rotations of the callback key they are old ones; else somebody tries to forge results, and gets nowhere.",
			look:    `"callback refused" in webhook's log has the reason, the API's access log the address`,
			mend:    "fetch the results of real ones: " + settle,
		},
		{
			name: "rejected", kind: happened, window: atOnce, threshold: b.tolerated(ofJobs, 0),
			metrics: []metric{b.ownMetric(telemetry.Rejected, sum, "")},
			means:   "Uploads or jobs are rejected for good: too large, unreadable, refused by Ittybit, or with an output that cannot be.",
			look:    "each with its reason: " + b.script("jobs", "-state", media.Rejected),
			mend:    "when the routes or Ittybit take them, run them again: " + b.script("jobs", "-retry", "-state", media.Rejected),
		},
		{
			name: "failed-jobs", kind: happened, window: atOnce, threshold: b.tolerated(ofJobs, 0),
			metrics: []metric{b.ownMetric(telemetry.Results, sum, media.Failed.String())},
			means:   "More jobs than usual failed at Ittybit, or were given up because Ittybit does not end them.",
			look:    "each with its error: " + b.script("jobs", "-state", media.Failed.String()),
			mend:    "when the reason is mended, run them again: " + b.script("jobs", "-retry", "-state", media.Failed.String()),
		},
		{
			name: "daily-limit", kind: happened, window: atOnce,
			metrics: []metric{b.ownMetric(telemetry.DailyLimitReached, sum, "")},
			means:   "The day's limit of jobs is reached. Uploads wait in the retry queue until midnight UTC, three days at most; dispatch-errors and retry-queue may follow.",
			look:    "is it a busy day or a loop? The bucket's newest objects, and the open jobs: " + openJobs,
			mend:    "if it is no mistake, raise dailyJobLimit; the uploads come by themselves. After three days they are dead letters: " + redriveAll,
		},
	}
	// Most of three runs in a row; of a sweep that does not run three times a day,
	// every one.
	failing := window{b.Config.SweepInterval, 2, 3}
	if b.Config.SweepInterval > 8*time.Hour {
		failing = window{b.Config.SweepInterval, 1, 1}
	}
	alarms = append(alarms,
		alarm{
			name: "sweep-errors", kind: lasting, window: failing,
			metrics: []metric{b.functionMetric("Errors", sum, sweep)},
			means:   "Sweep fails again and again. Jobs whose callback was lost stay open until it succeeds.",
			look:    `"sweep ended with errors" in sweep's log; the key and Ittybit: ` + preflight,
			mend:    "run sweep now: " + settle,
		},
		alarm{
			name: "sweep-stopped", kind: stopped, window: window{max(b.Config.SweepInterval, five), 3, 3}, threshold: 1,
			metrics: []metric{b.functionMetric("Invocations", sum, sweep)},
			means:   "Sweep does not run any more: jobs whose callback was lost stay open. In a stack that was just made, it has not run yet.",
			look:    "Lambda may have no concurrency left for it; else its schedule and permission must be as they were made; put them back with " + putBack,
			mend:    "run sweep now: " + settle,
		},
		alarm{
			name: "sweep-behind", kind: happened, window: atOnce,
			metrics: []metric{b.ownMetric(telemetry.SweepBehind, sum, "")},
			means:   "Sweep did not get through the overdue jobs; the next run goes on. Callbacks do not come, sweepInterval is too long, or Ittybit refused the key.",
			look:    "if it is the callbacks, api-errors or callbacks-refused tell more. The jobs: " + openJobs,
			mend:    "run sweep now: " + settle,
		},
	)
	if b.events != nil {
		alarms = append(alarms,
			alarm{
				name: "dead-events", kind: lasting, window: level,
				metrics: []metric{queueMetric("ApproximateNumberOfMessagesVisible", b.events.dead)},
				means:   "Results have no event, and nobody sends one any more. The results themselves are in the table.",
				look:    "the pipe's log says why, and the dead letters when it was",
				mend:    "who waited for the events finds the results, such as " + b.script("jobs", "-state", media.Succeeded.String()),
			},
			alarm{
				name: "pipe", kind: lasting, window: again,
				metrics: []metric{b.pipeMetric("ExecutionFailed")},
				means:   "The pipe cannot send result events, again and again. It tries each for an hour at most; then they are dead letters.",
				look:    "the pipe's log; its role and the bus must be as they were made; put the role back with " + putBack,
				mend:    "end a job, and see its event: " + smoke,
			},
		)
	}
	return append(alarms,
		alarm{
			name: "dispatch-errors", kind: lasting, window: again, threshold: b.tolerated(ofRequests, 0),
			metrics: []metric{b.functionMetric("Errors", sum, dispatch)},
			means:   "Dispatch fails again and again. The uploads are in the retry queue, where they are tried every quarter of an hour for three days.",
			look:    "the errors in dispatch's log; it also fails at the daily limit, of which daily-limit tells",
			mend:    "check the key, Ittybit and the bucket: " + preflight,
		},
		alarm{
			name: "dispatch-throttles", kind: lasting, window: again, threshold: b.tolerated(ofRequests, 0),
			metrics: []metric{b.functionMetric("Throttles", sum, dispatch)},
			means:   "Lambda does not start dispatch for want of concurrency. The uploads wait, in Lambda for 6 hours and then in the retry queue; none is lost.",
			look:    concurrency,
			mend:    "raise what is too low; the uploads come by themselves",
		},
		alarm{
			name: "webhook-errors", kind: lasting, window: again, threshold: b.tolerated(ofRequests, 0),
			metrics: []metric{b.functionMetric("Errors", sum, webhook)},
			means:   "Webhook crashes or runs out of time, again and again. Ittybit sends the callbacks again, and sweep asks for those that it gives up.",
			look:    "the errors in webhook's log, and its last deployment",
			mend:    "when it works, fetch what is overdue: " + settle,
		},
		alarm{
			name: "webhook-throttles", kind: lasting, window: again, threshold: b.tolerated(ofRequests, 0),
			metrics: []metric{b.functionMetric("Throttles", sum, webhook)},
			means:   "Lambda does not start webhook for want of concurrency. Ittybit sends the callbacks again, and sweep asks for those that it gives up.",
			look:    concurrency,
			mend:    "raise what is too low, and fetch what is overdue: " + settle,
		},
	)
}

// script is the command that runs one of the scripts for this stack.
func (b *builder) script(name string, args ...string) string {
	return strings.Join(append([]string{"go run ./scripts/" + name + " -stack " + b.ctx.Stack()}, args...), " ")
}

// description is what the mail says. Commands are at the ends of lines, to be
// copied.
func (a alarm) description() string {
	return fmt.Sprintf("%s\nLook: %s\nMend: %s\nMore: %s#%s", a.means, a.look, a.mend, runbook, a.name)
}

func (b *builder) makeAlarm(a alarm, actions pulumi.Array) (*cloudwatch.MetricAlarm, error) {
	args := &cloudwatch.MetricAlarmArgs{
		AlarmDescription:   pulumi.String(a.description()),
		ComparisonOperator: pulumi.String(a.kind.operator),
		Threshold:          pulumi.Float64(a.threshold),
		DatapointsToAlarm:  pulumi.Int(a.window.beyond),
		EvaluationPeriods:  pulumi.Int(a.window.of),
		TreatMissingData:   pulumi.String(a.kind.missing),
		AlarmActions:       actions,
		Tags:               b.tags,
	}
	if a.kind.ends {
		args.OkActions = actions
	}
	if len(a.metrics) == 1 {
		m := a.metrics[0]
		args.Namespace, args.MetricName, args.Statistic = pulumi.String(m.namespace), pulumi.String(m.name), pulumi.String(m.statistic)
		args.Dimensions, args.Period = m.dimensions, seconds(a.window.period)
	} else {
		queries := cloudwatch.MetricAlarmMetricQueryArray{cloudwatch.MetricAlarmMetricQueryArgs{
			Id: pulumi.String("total"), Expression: pulumi.String("SUM(METRICS())"), Label: pulumi.String(a.name), ReturnData: pulumi.Bool(true),
		}}
		for i, m := range a.metrics {
			queries = append(queries, cloudwatch.MetricAlarmMetricQueryArgs{
				Id: pulumi.Sprintf("m%d", i),
				Metric: &cloudwatch.MetricAlarmMetricQueryMetricArgs{
					Namespace: pulumi.String(m.namespace), MetricName: pulumi.String(m.name), Stat: pulumi.String(m.statistic),
					Dimensions: m.dimensions, Period: seconds(a.window.period),
				},
			})
		}
		args.MetricQueries = queries
	}
	return cloudwatch.NewMetricAlarm(b.ctx, b.named(a.name), args, b.child())
}

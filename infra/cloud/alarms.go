package cloud

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sns"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
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
	// expression is what of the metrics m0, m1 … counts, if not their sum.
	expression string

	meaning string // what has happened
	check   string // where to look for the reason
	fix     string // what to do, and with which script
}

// kind is what an alarm watches for.
type kind struct {
	operator string
	missing  string // what CloudWatch takes a period without data for
	ends     bool   // whether a mail says that it is over
}

var (
	// happened: something that must not. Its metrics exist only when it does, so
	// no data is no trouble. A mail that says "OK" would read as if it were fixed,
	// only because it did not happen again.
	happened = kind{operator: "GreaterThanThreshold", missing: "notBreaching"}

	// lasting: a state that goes on. A function that is not invoked has no errors,
	// and a queue that is empty and unused for six hours reports nothing at all:
	// no data is the end of it.
	lasting = kind{operator: "GreaterThanThreshold", missing: "notBreaching", ends: true}

	// stopped: something that must happen and does not. Then there is no data,
	// which is the very trouble.
	stopped = kind{operator: "LessThanThreshold", missing: "breaching", ends: true}
)

// window is how many of the last periods must be beyond the threshold. Together
// they may be a week, or a day where one is shorter than an hour
// (PutMetricAlarm, Amazon CloudWatch API Reference).
type window struct {
	period     time.Duration
	beyond, of int
}

var (
	// atOnce goes off after one period and holds for an hour: what happens again
	// and again, such as a retry every 15 minutes, is told once and not each time.
	atOnce = window{five, 1, int(time.Hour / five)}

	// level goes off after one period, too, and outlasts a gap: a message that is
	// being received is not visible to the metric.
	level = window{five, 1, 3}

	again  = window{five, 3, 3}
	anHour = window{five, int(time.Hour / five), int(time.Hour / five)}
	aWeek  = window{6 * time.Hour, 28, 28}
)

// Shares that are noise, for [scope.tolerated].
const (
	ofRequests = 0.01
	ofJobs     = 0.05
)

// jobsWithoutLimit are the jobs a day that a stack without dailyJobLimit is
// taken to be meant for.
const jobsWithoutLimit = 100_000

// tolerated returns how many times something may happen in five minutes before
// it is more than noise: the share of what an even five minutes of the jobs
// bring that the stack is meant for, which are dailyJobLimit a day, and at
// least so many. Of requests and invocations one in a hundred may fail, since
// all of them are retried; of jobs one in twenty, since not every upload is a
// film.
func (s scope) tolerated(share float64, least int) float64 {
	jobs := s.Config.DailyJobLimit
	if jobs == 0 {
		jobs = jobsWithoutLimit
	}
	even := float64(jobs) * five.Hours() / 24
	return max(float64(least), math.Floor(share*even))
}

// makeAlarms watches whatever could lose an upload, cost money, or let an
// attacker in. Returns the alarms' ARNs, nil when the stack has no alarms.
func makeAlarms(s scope, p parts) (pulumi.StringArray, error) {
	if !s.Config.Alarms {
		return nil, nil
	}
	actions, err := makeTopic(s)
	if err != nil {
		return nil, err
	}
	var arns pulumi.StringArray
	for _, a := range slices.Concat(
		queueAlarms(s, p.queues),
		deliveryAlarms(s, p.dispatch, p.rule),
		callbackAlarms(s, p.api),
		jobAlarms(s),
		sweepAlarms(s, p.sweep),
		eventAlarms(s, p.events),
		functionAlarms(s, p.dispatch, p.webhook),
	) {
		made, err := makeAlarm(s, a, actions)
		if err != nil {
			return nil, err
		}
		arns = append(arns, made.Arn)
	}
	return arns, nil
}

// makeTopic makes what sends the mails, if there is an address. It has no
// policy: the one that SNS gives it lets only the account's own alarms publish.
// Nor has it a key: CloudWatch could not publish with the free one, whose
// policy cannot be changed, and a mail is not encrypted anyway ("Key
// management", Amazon SNS Developer Guide). No alarm holds a secret.
func makeTopic(s scope) (pulumi.Array, error) {
	if s.Config.AlarmEmail == "" {
		return nil, nil
	}
	topic, err := sns.NewTopic(s.ctx, s.named("alarms"), &sns.TopicArgs{Tags: s.tags}, s.child())
	if err != nil {
		return nil, err
	}
	_, err = sns.NewTopicSubscription(s.ctx, s.named("alarms"), &sns.TopicSubscriptionArgs{
		Topic:    topic.Arn,
		Protocol: pulumi.String("email"),
		Endpoint: pulumi.String(s.Config.AlarmEmail),
	}, s.child())
	return pulumi.Array{topic.Arn}, err
}

// description returns what the mail says. Commands are at the ends of lines, to
// be copied.
func (a alarm) description() string {
	return fmt.Sprintf("%s\nCheck: %s\nFix: %s\nMore: %s#%s", a.meaning, a.check, a.fix, runbook, a.name)
}

func makeAlarm(s scope, a alarm, actions pulumi.Array) (*cloudwatch.MetricAlarm, error) {
	args := &cloudwatch.MetricAlarmArgs{
		AlarmDescription:   pulumi.String(a.description()),
		ComparisonOperator: pulumi.String(a.kind.operator),
		Threshold:          pulumi.Float64(a.threshold),
		DatapointsToAlarm:  pulumi.Int(a.window.beyond),
		EvaluationPeriods:  pulumi.Int(a.window.of),
		TreatMissingData:   pulumi.String(a.kind.missing),
		AlarmActions:       actions,
		Tags:               s.tags,
	}
	if a.kind.ends {
		args.OkActions = actions
	}
	if len(a.metrics) == 1 {
		m := a.metrics[0]
		args.Namespace, args.MetricName, args.Statistic = pulumi.String(m.namespace), pulumi.String(m.name), pulumi.String(m.statistic)
		args.Dimensions, args.Period = m.dimensions, seconds(a.window.period)
	} else {
		args.MetricQueries = a.total()
	}
	return cloudwatch.NewMetricAlarm(s.ctx, s.named(a.name), args, s.child())
}

// total returns the queries for the sum of the alarm's metrics, or for its
// expression.
func (a alarm) total() cloudwatch.MetricAlarmMetricQueryArray {
	expression := cmp.Or(a.expression, "SUM(METRICS())")
	queries := cloudwatch.MetricAlarmMetricQueryArray{cloudwatch.MetricAlarmMetricQueryArgs{
		Id: pulumi.String("total"), Expression: pulumi.String(expression), Label: pulumi.String(a.name), ReturnData: pulumi.Bool(true),
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
	return queries
}

package cloud

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/telemetry"
)

// columns is how wide a dashboard is ("Dashboard Body Structure and Syntax",
// Amazon CloudWatch API Reference).
const columns = 24

// Heights of widgets, in the dashboard's rows.
const (
	textHeight  = 5
	alarmHeight = 6
	graphHeight = 6
	tableHeight = 9
)

// widget is one part of a dashboard.
type widget struct {
	kind       string
	height     int
	properties pulumi.Map
}

// line is what a graph shows: a metric, or all that an expression finds.
type line struct {
	label      string
	metric     metric
	expression string
	right      bool // its values belong to the right axis
}

// makeDashboard makes the page that one looks at, and the queries that one asks
// then.
func (b *builder) makeDashboard() (err error) {
	if !b.Config.Dashboard {
		return nil
	}
	if err := b.makeQueries(); err != nil {
		return err
	}
	b.dashboard, err = cloudwatch.NewDashboard(b.ctx, b.named("dashboard"), &cloudwatch.DashboardArgs{
		// An account has one dashboard of a name in all its regions, and a second one
		// would silently take its place: the API's id is this stack's alone.
		DashboardName: pulumi.Sprintf("%s-%s", b.name, b.api.ID()),
		DashboardBody: pulumi.JSONMarshal(pulumi.Map{
			"start":   pulumi.String("-P1D"),
			"widgets": widgets(b.rows()),
		}),
	}, b.child())
	return err
}

// rows are the dashboard from top to bottom: the way of an upload, then what
// keeps it from going on, then the machinery.
func (b *builder) rows() [][]widget {
	dead, retry := b.queues.dead, b.queues.retry
	own := func(label string, m telemetry.Metric) line {
		return line{label: label, metric: b.ownMetric(m, sum, "")}
	}
	by := func(m telemetry.Metric) line { return line{expression: b.byDimension(m)} }
	ended := func(s media.State) line {
		return line{label: s.String(), metric: b.ownMetric(telemetry.Results, sum, s.String())}
	}
	took := func(label, statistic string) line {
		return line{label: label, metric: b.ownMetric(telemetry.UploadToResult, statistic, "")}
	}
	ofEach := func(name, statistic string) []line {
		var lines []line
		for _, handler := range functions {
			lines = append(lines, line{label: handler, metric: b.functionMetric(name, statistic, handler)})
		}
		return lines
	}
	rows := [][]widget{{b.introduction()}}
	if b.alarmARNs != nil {
		rows = append(rows, []widget{{"alarm", alarmHeight, pulumi.Map{
			"title":  pulumi.String("Alarms"),
			"alarms": b.alarmARNs,
		}}})
	}
	rows = append(rows,
		[]widget{
			b.graph("Uploads",
				own("dispatched", telemetry.UploadsDispatched), own("skipped", telemetry.UploadsSkipped),
				own("rejected", telemetry.Rejected), own("put off by the daily limit", telemetry.DailyLimitReached)),
			b.graph("Jobs, and their results by state",
				own("new jobs", telemetry.JobsCreated), ended(media.Succeeded), ended(media.Failed), ended(media.Cancelled)),
			b.graph("From upload to result, in seconds", took("half are faster", median), took("19 of 20 are faster", slow)),
		},
		[]widget{
			b.graph("Errors and throttles", append(ofEach("Errors", sum),
				line{label: "dispatch is throttled", metric: b.functionMetric("Throttles", sum, dispatch)},
				line{label: "webhook is throttled", metric: b.functionMetric("Throttles", sum, webhook)})...),
			b.graph("Callbacks to the API",
				line{label: "all (right)", metric: b.apiMetric("Count"), right: true},
				line{label: "4xx: refused or throttled", metric: b.apiMetric("4xx")},
				line{label: "5xx: not stored", metric: b.apiMetric("5xx")}),
			b.graph("Refused callbacks, by reason", by(telemetry.CallbacksRefused)),
		},
		[]widget{
			b.graph("Retry queue, messages",
				line{label: "due", metric: queueMetric("ApproximateNumberOfMessagesVisible", retry)},
				line{label: "between two tries", metric: queueMetric("ApproximateNumberOfMessagesNotVisible", retry)},
				line{label: "before the first try", metric: queueMetric("ApproximateNumberOfMessagesDelayed", retry)}),
			b.graph("Dead letters, messages",
				line{label: "dead letters", metric: queueMetric("ApproximateNumberOfMessagesVisible", dead)}),
			b.graph("How long they have waited",
				line{label: "in the retry queue, s", metric: queueMetric("ApproximateAgeOfOldestMessage", retry)},
				line{label: "dead letters, s", metric: queueMetric("ApproximateAgeOfOldestMessage", dead)},
				line{label: "for dispatch to start, ms (right)", metric: b.functionMetric("AsyncEventAge", maximum, dispatch), right: true}),
		},
		[]widget{
			b.graph("Skipped uploads, by reason", by(telemetry.UploadsSkipped)),
			b.graph("Rejected uploads and jobs, by reason", by(telemetry.Rejected)),
			b.graph("Sweep: jobs asked for, by what became of them", by(telemetry.JobsSwept),
				line{label: "runs", metric: b.functionMetric("Invocations", sum, sweep)}, own("runs that left some", telemetry.SweepBehind)),
		},
		[]widget{
			b.graph("Events from the bucket to dispatch",
				line{label: "delivered", metric: b.ruleMetric("Invocations")},
				line{label: "not delivered", metric: b.ruleMetric("FailedInvocations")},
				line{label: "to the retry queue", metric: b.ruleMetric("InvocationsSentToDlq")},
				line{label: "lost by EventBridge", metric: b.ruleMetric("InvocationsFailedToBeSentToDlq")},
				line{label: "lost by Lambda", metric: b.functionMetric("DestinationDeliveryFailures", sum, dispatch)}),
			b.graph("Duration, 19 of 20 are faster, in ms", ofEach("Duration", slow)...),
			b.graph("Concurrency, at most", ofEach("ConcurrentExecutions", maximum)...),
		},
	)
	if b.events != nil {
		rows = append(rows, []widget{
			b.graph("Result events",
				line{label: "results", metric: b.pipeMetric("EventCount")},
				line{label: "failed tries", metric: b.pipeMetric("ExecutionFailed")}),
			b.graph("Results without an event",
				line{label: "dead letters", metric: queueMetric("ApproximateNumberOfMessagesVisible", b.events.dead)}),
		})
	}
	return append(rows, []widget{{"log", tableHeight, pulumi.Map{
		"title":  pulumi.String("The last errors"),
		"region": b.place.region,
		"view":   pulumi.String("table"),
		"query":  b.over(functions, lastErrors),
	}}})
}

// introduction says what to make of the rest.
func (b *builder) introduction() widget {
	return widget{"text", textHeight, pulumi.Map{"markdown": pulumi.String(fmt.Sprintf(`## Stack %s: from upload to result
Top to bottom: uploads and their results; what fails; what waits; why; the machinery; the last errors. The saved queries of Logs Insights are in the folder **%s**. Each alarm is a heading of **%s**, which says what to do.

What happened to an object: %s · Failed jobs: %s · Dead letters: %s · Does it work at all: %s`,
		b.ctx.Stack(), b.name, runbook,
		code(b.script("jobs", "KEY")), code(b.script("jobs", "-state", media.Failed.String())), code(b.script("redrive")), code(b.script("smoke"))))}}
}

func code(command string) string { return "`" + command + "`" }

func (b *builder) graph(title string, lines ...line) widget {
	metrics := make(pulumi.Array, len(lines))
	for i, l := range lines {
		metrics[i] = l.entry()
	}
	return widget{"metric", graphHeight, pulumi.Map{
		"title":   pulumi.String(title),
		"region":  b.place.region,
		"view":    pulumi.String("timeSeries"),
		"period":  seconds(five),
		"metrics": metrics,
		"yAxis":   pulumi.Map{"left": pulumi.Map{"min": pulumi.Int(0)}, "right": pulumi.Map{"min": pulumi.Int(0)}},
	}}
}

// entry is the line as the body of a dashboard has it: an array of the metric's
// names, each dimension in two, and the options last.
func (l line) entry() pulumi.Array {
	if l.expression != "" {
		return pulumi.Array{pulumi.Map{"expression": pulumi.String(l.expression)}}
	}
	entry := pulumi.Array{pulumi.String(l.metric.namespace), pulumi.String(l.metric.name)}
	for _, name := range slices.Sorted(maps.Keys(l.metric.dimensions)) {
		entry = append(entry, pulumi.String(name), l.metric.dimensions[name])
	}
	options := pulumi.Map{"label": pulumi.String(l.label), "stat": pulumi.String(l.metric.statistic)}
	if l.right {
		options["yAxis"] = pulumi.String("right")
	}
	return append(entry, options)
}

// widgets puts the rows under each other. Those of a row share its width.
func widgets(rows [][]widget) pulumi.Array {
	var all pulumi.Array
	y := 0
	for _, row := range rows {
		width, height := columns/len(row), 0
		for i, w := range row {
			all = append(all, pulumi.Map{
				"type": pulumi.String(w.kind), "properties": w.properties,
				"x": pulumi.Int(i * width), "y": pulumi.Int(y), "width": pulumi.Int(width), "height": pulumi.Int(w.height),
			})
			height = max(height, w.height)
		}
		y += height
	}
	return all
}

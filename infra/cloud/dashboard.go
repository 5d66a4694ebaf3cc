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
// then. Returns nil when the stack has no dashboard.
func makeDashboard(s scope, p parts, alarms pulumi.StringArray) (*cloudwatch.Dashboard, error) {
	if !s.Config.Dashboard {
		return nil, nil
	}
	if err := makeQueries(s, p.logGroups()); err != nil {
		return nil, err
	}
	return cloudwatch.NewDashboard(s.ctx, s.named("dashboard"), &cloudwatch.DashboardArgs{
		// An account has one dashboard of a name in all its regions, and a second one
		// would silently take its place: the API's id is this stack's alone.
		DashboardName: pulumi.Sprintf("%s-%s", s.name, p.api.ID()),
		DashboardBody: pulumi.JSONMarshal(pulumi.Map{
			"start":   pulumi.String("-P1D"),
			"widgets": widgets(p.place.region, rows(s, p, alarms)),
		}),
	}, s.child())
}

// rows returns the dashboard from top to bottom: the way of an upload, then
// what keeps it from going on, then the machinery.
func rows(s scope, p parts, alarms pulumi.StringArray) [][]widget {
	all := [][]widget{{introduction(s)}}
	if alarms != nil {
		all = append(all, []widget{{"alarm", alarmHeight, pulumi.Map{
			"title":  pulumi.String("Alarms"),
			"alarms": alarms,
		}}})
	}
	all = append(all, resultGraphs(s), failureGraphs(s, p), waitGraphs(p.queues, p.dispatch), reasonGraphs(s, p.sweep), machineGraphs(p))
	if p.events != nil {
		all = append(all, eventGraphs(p.events))
	}
	return append(all, []widget{{"log", tableHeight, pulumi.Map{
		"title": pulumi.String("The last errors"),
		"view":  pulumi.String("table"),
		"query": over(chosen(p.logGroups(), allHandlers), lastErrors),
	}}})
}

// introduction says what to make of the rest.
func introduction(s scope) widget {
	return widget{"text", textHeight, pulumi.Map{"markdown": pulumi.String(fmt.Sprintf(`## Stack %s: from upload to result
Top to bottom: uploads and their results; what fails; what waits; why; the machinery; the last errors. The saved queries of Logs Insights are in the folder **%s**. Each alarm is a heading of **%s**, which says what to do.

What happened to an object: %s · Failed jobs: %s · Dead letters: %s · Does it work at all: %s`,
		s.ctx.Stack(), s.name, runbook,
		code(s.script("jobs", "KEY")), code(s.script("jobs", "-state", media.Failed.String())), code(s.script("redrive")), code(s.script("smoke"))))}}
}

func resultGraphs(s scope) []widget {
	ended := func(state media.State) line {
		return line{label: state.String(), metric: s.ownMetric(telemetry.Results, sum, state.String())}
	}
	took := func(label, statistic string) line {
		return line{label: label, metric: s.ownMetric(telemetry.UploadToResult, statistic, "")}
	}
	return []widget{
		graph("Uploads",
			s.own("dispatched", telemetry.UploadsDispatched), s.own("skipped", telemetry.UploadsSkipped),
			s.own("rejected", telemetry.Rejected), s.own("put off by the daily limit", telemetry.DailyLimitReached)),
		graph("Jobs, and their results by state",
			s.own("new jobs", telemetry.JobsCreated), ended(media.Succeeded), ended(media.Failed), ended(media.Cancelled)),
		graph("From upload to result, in seconds", took("half are faster", median), took("19 of 20 are faster", slow)),
	}
}

func failureGraphs(s scope, p parts) []widget {
	return []widget{
		graph("Errors and throttles", append(p.ofEach("Errors", sum),
			line{label: "dispatch is throttled", metric: functionMetric("Throttles", sum, p.dispatch)},
			line{label: "webhook is throttled", metric: functionMetric("Throttles", sum, p.webhook)})...),
		graph("Callbacks to the API",
			line{label: "all (right)", metric: apiMetric("Count", p.api), right: true},
			line{label: "4xx: refused or throttled", metric: apiMetric("4xx", p.api)},
			line{label: "5xx: not stored, or too early", metric: apiMetric("5xx", p.api)},
			s.own("too early", telemetry.CallbacksEarly)),
		graph("Refused callbacks, by reason", s.by(telemetry.CallbacksRefused)),
	}
}

func waitGraphs(q queues, dispatch function) []widget {
	return []widget{
		graph("Retry queue, messages",
			line{label: "due", metric: queueMetric("ApproximateNumberOfMessagesVisible", q.retry)},
			line{label: "between two tries", metric: queueMetric("ApproximateNumberOfMessagesNotVisible", q.retry)},
			line{label: "before the first try", metric: queueMetric("ApproximateNumberOfMessagesDelayed", q.retry)}),
		graph("Dead letters, messages",
			line{label: "dead letters", metric: queueMetric("ApproximateNumberOfMessagesVisible", q.dead)}),
		graph("How long they have waited",
			line{label: "in the retry queue, s", metric: queueMetric("ApproximateAgeOfOldestMessage", q.retry)},
			line{label: "dead letters, s", metric: queueMetric("ApproximateAgeOfOldestMessage", q.dead)},
			line{label: "for dispatch to start, ms (right)", metric: functionMetric("AsyncEventAge", maximum, dispatch), right: true}),
	}
}

func reasonGraphs(s scope, sweep function) []widget {
	return []widget{
		graph("Skipped uploads, by reason", s.by(telemetry.UploadsSkipped)),
		graph("Rejected uploads and jobs, by reason", s.by(telemetry.Rejected)),
		graph("Sweep: jobs asked for, by what became of them", s.by(telemetry.JobsSwept),
			line{label: "runs", metric: functionMetric("Invocations", sum, sweep)}, s.own("runs that left some", telemetry.SweepBehind)),
	}
}

func machineGraphs(p parts) []widget {
	return []widget{
		graph("Events from the bucket to dispatch",
			line{label: "delivered", metric: ruleMetric("Invocations", p.rule)},
			line{label: "not delivered", metric: ruleMetric("FailedInvocations", p.rule)},
			line{label: "to the retry queue", metric: ruleMetric("InvocationsSentToDlq", p.rule)},
			line{label: "lost by EventBridge", metric: ruleMetric("InvocationsFailedToBeSentToDlq", p.rule)},
			line{label: "lost by Lambda", metric: functionMetric("DestinationDeliveryFailures", sum, p.dispatch)}),
		graph("Duration, 19 of 20 are faster, in ms", p.ofEach("Duration", slow)...),
		graph("Concurrency, at most", p.ofEach("ConcurrentExecutions", maximum)...),
	}
}

func eventGraphs(e *events) []widget {
	return []widget{
		graph("Result events",
			line{label: "results", metric: pipeMetric("EventCount", e.pipe)},
			line{label: "failed tries", metric: pipeMetric("ExecutionFailed", e.pipe)}),
		graph("Results without an event",
			line{label: "dead letters", metric: queueMetric("ApproximateNumberOfMessagesVisible", e.dead)}),
	}
}

// own returns the line of all that one of the handlers' metrics counts.
func (s scope) own(label string, m telemetry.Metric) line {
	return line{label: label, metric: s.ownMetric(m, sum, "")}
}

// by returns a line for each value of the metric's dimension.
func (s scope) by(m telemetry.Metric) line { return line{expression: s.byDimension(m)} }

// ofEach returns a line for each function.
func (p parts) ofEach(name, statistic string) []line {
	var lines []line
	for _, f := range p.functions() {
		lines = append(lines, line{label: f.handler, metric: functionMetric(name, statistic, f)})
	}
	return lines
}

func code(command string) string { return "`" + command + "`" }

func graph(title string, lines ...line) widget {
	metrics := make(pulumi.Array, len(lines))
	for i, l := range lines {
		metrics[i] = l.entry()
	}
	return widget{"metric", graphHeight, pulumi.Map{
		"title":   pulumi.String(title),
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

// widgets puts the rows under each other. Those of a row share its width. What
// shows metrics or logs shows those of the region.
func widgets(region pulumi.StringOutput, rows [][]widget) pulumi.Array {
	var all pulumi.Array
	y := 0
	for _, row := range rows {
		width, height := columns/len(row), 0
		for i, w := range row {
			if w.kind == "metric" || w.kind == "log" {
				w.properties["region"] = region
			}
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

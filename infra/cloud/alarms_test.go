package cloud_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ittybit-media/infra/bundle"
)

// watched is prod with everything that watches it.
func watched(t *testing.T) *deployment {
	t.Helper()
	return deploy(t, "prod", stackFile(t, "prod").with(watching).with(values{"resultEvents": "true"}))
}

// series are the metrics of an alarm.
func (m *made) series() []series {
	queries, ok := m.at("metricQueries").([]any)
	if !ok {
		return []series{seriesOf(m.name, m.at("namespace"), m.at("metricName"), m.at("statistic"), m.at("dimensions"))}
	}
	var all []series
	for _, q := range queries {
		if q, ok := q.(map[string]any)["metric"].(map[string]any); ok {
			all = append(all, seriesOf(m.name, q["namespace"], q["metricName"], q["stat"], q["dimensions"]))
		}
	}
	return all
}

// alarm returns the name of an alarm in the runbook.
func (d *deployment) alarm(alarm *made) string {
	return strings.TrimPrefix(alarm.name, "ittybit-"+d.stack+"-")
}

func TestAlarmsWatchTheWholeWay(t *testing.T) {
	t.Parallel()
	d := watched(t)
	name := func(kind, ending string) string { return d.one(t, kind, ending).out(t, "name") }
	dispatch, webhook, sweep := name("Function", "-dispatch"), name("Function", "-webhook"), name("Function", "-sweep")
	dead, retry, rule := name("Queue", "-dead-letters"), name("Queue", "-retry"), name("EventRule", "-uploads")
	want := map[string][]string{
		"dead-letters":     {"AWS/SQS ApproximateNumberOfMessagesVisible Maximum QueueName=" + dead},
		"dead-letters-old": {"AWS/SQS ApproximateNumberOfMessagesVisible Maximum QueueName=" + dead},
		"retry-queue": {
			"AWS/SQS ApproximateNumberOfMessagesVisible Maximum QueueName=" + retry,
			"AWS/SQS ApproximateNumberOfMessagesNotVisible Maximum QueueName=" + retry,
			"AWS/SQS ApproximateNumberOfMessagesDelayed Maximum QueueName=" + retry,
		},
		"destination":        {"AWS/Lambda DestinationDeliveryFailures Sum FunctionName=" + dispatch},
		"waiting":            {"AWS/Lambda AsyncEventAge Maximum FunctionName=" + dispatch},
		"undeliverable":      {"AWS/Events InvocationsFailedToBeSentToDlq Sum RuleName=" + rule},
		"rule":               {"AWS/Events FailedInvocations Sum RuleName=" + rule, "AWS/Events InvocationsSentToDlq Sum RuleName=" + rule},
		"api-errors":         {"AWS/ApiGateway 5xx Sum ApiId=a1b2c3", "IttybitMedia/prod CallbacksEarly Sum"},
		"callbacks-refused":  {"IttybitMedia/prod CallbacksRefused Sum"},
		"rejected":           {"IttybitMedia/prod Rejected Sum"},
		"failed-jobs":        {"IttybitMedia/prod Results Sum State=failed"},
		"daily-limit":        {"IttybitMedia/prod DailyLimitReached Sum"},
		"sweep-errors":       {"AWS/Lambda Errors Sum FunctionName=" + sweep},
		"sweep-stopped":      {"AWS/Lambda Invocations Sum FunctionName=" + sweep},
		"sweep-behind":       {"IttybitMedia/prod SweepBehind Sum"},
		"dispatch-errors":    {"AWS/Lambda Errors Sum FunctionName=" + dispatch},
		"dispatch-throttles": {"AWS/Lambda Throttles Sum FunctionName=" + dispatch},
		"webhook-errors":     {"AWS/Lambda Errors Sum FunctionName=" + webhook},
		"webhook-throttles":  {"AWS/Lambda Throttles Sum FunctionName=" + webhook},
		"dead-events":        {"AWS/SQS ApproximateNumberOfMessagesVisible Maximum QueueName=" + name("Queue", "-dead-events")},
		"pipe":               {"AWS/EventBridge/Pipes ExecutionFailed Sum PipeName=" + name("Pipe", "")},
	}
	got := map[string][]string{}
	for _, a := range d.all("MetricAlarm") {
		for _, s := range a.series() {
			got[d.alarm(a)] = append(got[d.alarm(a)], s.String())
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	alone := deploy(t, "prod", stackFile(t, "prod").with(values{"resultEvents": "true"}))
	alone.count(t, map[string]int{"MetricAlarm": len(want), "Topic": 0}) // without an address, too
}

// TestAlarmsAreAsCloudWatchTakesThem: what PutMetricAlarm refuses, only an
// update would show (PutMetricAlarm, Amazon CloudWatch API Reference; "Alarms
// on math expressions", Amazon CloudWatch User Guide).
func TestAlarmsAreAsCloudWatchTakesThem(t *testing.T) {
	t.Parallel()
	const day, week = 86400, 7 * 86400
	for _, interval := range []string{"1m", "15m", "59m", "61m", "8h", "481m", "24h"} {
		d := deploy(t, "prod", stackFile(t, "prod").with(values{"sweepInterval": interval, "resultEvents": "true"}))
		for _, a := range d.all("MetricAlarm") {
			beyond, of := a.at("datapointsToAlarm").(float64), a.at("evaluationPeriods").(float64)
			if beyond < 1 || beyond > of {
				t.Errorf("%s, %s: %v of %v periods", interval, a.name, beyond, of)
			}
			periods := []any{a.at("period")}
			if queries, ok := a.at("metricQueries").([]any); ok {
				periods = nil
				var results []any
				for _, q := range queries {
					q := q.(map[string]any)
					if m, ok := q["metric"].(map[string]any); ok {
						periods = append(periods, m["period"])
					} else {
						results = append(results, q["expression"], q["returnData"])
					}
				}
				want := "SUM(METRICS())"
				if d.alarm(a) == "api-errors" {
					want = "m0 - FILL(m1, 0)" // callbacks that are too early are no errors
				}
				if len(periods) > 10 || !reflect.DeepEqual(results, []any{want, true}) {
					t.Errorf("%s, %s: %d metrics, results %v", interval, a.name, len(periods), results)
				}
				for _, path := range []string{"namespace", "metricName", "statistic", "dimensions", "period"} {
					if a.at(path) != nil {
						t.Errorf("%s has both queries and its own %s", a.name, path)
					}
				}
			}
			for _, p := range periods {
				p, _ := p.(float64)
				longest := float64(day)
				if p >= 3600 {
					longest = week
				}
				if p != periods[0] || p < 60 || int(p)%60 != 0 || p*of > longest {
					t.Errorf("%s, %s: %v periods of %v s", interval, a.name, of, p)
				}
			}
		}
	}
}

func TestWhatNoDataMeansAndWhoIsTold(t *testing.T) {
	t.Parallel()
	d := watched(t)
	topic := d.one(t, "Topic", "-alarms").out(t, "arn")
	d.one(t, "TopicSubscription", "").has(t, inputs{"topic": topic, "protocol": "email", "endpoint": "media@example.com"})
	// "OK" after such an event would say that it was made good.
	happened := []string{"destination", "undeliverable", "rule", "api-errors", "rejected", "failed-jobs", "daily-limit", "sweep-behind"}
	for _, a := range d.all("MetricAlarm") {
		name := d.alarm(a)
		var over any = []any{topic}
		if slices.Contains(happened, name) {
			over = nil
			// Again and again is one alarm, not one each time.
			if a.at("datapointsToAlarm") != 1.0 || a.at("evaluationPeriods").(float64)*300 < 3600 {
				t.Errorf("%s: %v of %v periods", name, a.at("datapointsToAlarm"), a.at("evaluationPeriods"))
			}
		}
		operator, missing := "GreaterThanThreshold", "notBreaching"
		if name == "sweep-stopped" {
			operator, missing = "LessThanThreshold", "breaching"
		}
		a.has(t, inputs{
			"comparisonOperator": operator, "treatMissingData": missing,
			"alarmActions": []any{topic}, "okActions": over, "insufficientDataActions": nil,
		})
	}
	for name, want := range map[string]inputs{
		"retry-queue":      {"datapointsToAlarm": 12.0, "evaluationPeriods": 12.0},
		"dead-letters":     {"datapointsToAlarm": 1.0, "evaluationPeriods": 3.0},
		"dead-letters-old": {"datapointsToAlarm": 28.0, "evaluationPeriods": 28.0, "period": 6 * 3600.0},
		"dispatch-errors":  {"datapointsToAlarm": 3.0, "evaluationPeriods": 3.0},
	} {
		d.one(t, "MetricAlarm", "-"+name).has(t, want)
	}
}

func TestThresholdsGrowWithTheStack(t *testing.T) {
	t.Parallel()
	noise := map[string][]float64{ // by the jobs a day that the stack is meant for
		"failed-jobs":        {0, 0, 1, 17, 173, 17},
		"rejected":           {0, 0, 1, 17, 173, 17},
		"callbacks-refused":  {5, 5, 5, 5, 34, 5},
		"api-errors":         {0, 0, 0, 3, 34, 3},
		"dispatch-errors":    {0, 0, 0, 3, 34, 3},
		"dispatch-throttles": {0, 0, 0, 3, 34, 3},
		"webhook-errors":     {0, 0, 0, 3, 34, 3},
		"webhook-throttles":  {0, 0, 0, 3, 34, 3},
	}
	levels := map[string]float64{"waiting": 15 * 60 * 1000, "sweep-stopped": 1}
	for i, jobs := range []int64{3, 1000, 10_000, 100_000, 1_000_000, 0} {
		d := deploy(t, "prod", stackFile(t, "prod").with(values{"dailyJobLimit": strconv.FormatInt(jobs, 10), "resultEvents": "true"}))
		for _, a := range d.all("MetricAlarm") {
			name := d.alarm(a)
			want := levels[name] // where one event is a lost upload: 0, whatever the stack
			if thresholds, ok := noise[name]; ok {
				want = thresholds[i]
			}
			a.has(t, inputs{"threshold": want})
		}
	}
}

// scripts are those that an alarm may name.
var scripts = []string{"backfill", "jobs", "preflight", "redrive", "smoke"}

var command = regexp.MustCompile(`go run \./scripts/(\w+) -stack ([\w.-]+)((?: -state [a-z]+| -[a-z]+| KEY)*)`)

// commands are those in a text: the script's name and its arguments, without
// the stack.
func (d *deployment) commands(t *testing.T, where, text string) [][]string {
	t.Helper()
	var all [][]string
	for _, m := range command.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(scripts, m[1]) || m[2] != d.stack {
			t.Errorf("%s: there is no %q for %s", where, m[0], d.stack)
		}
		all = append(all, append([]string{m[1]}, strings.Fields(m[3])...))
	}
	if len(all) != strings.Count(text, "go run") {
		t.Errorf("%s: a command is not as one would type it: %s", where, text)
	}
	return all
}

// TestTheScriptsTakeTheirCommands runs each command that an alarm or the
// dashboard names as far as it gets without a stack: a wrong command line ends
// with another exit code than a missing local run.
func TestTheScriptsTakeTheirCommands(t *testing.T) {
	t.Parallel()
	root, err := bundle.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := []string{"build", "-o", dir + string(filepath.Separator)}
	for _, name := range scripts {
		build = append(build, "./scripts/"+name)
	}
	cmd := exec.CommandContext(t.Context(), "go", build...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d := watched(t)
	all := map[string][]string{"nonsense": {"jobs", "-nonsense"}}
	add := func(where, text string) {
		for _, c := range d.commands(t, where, text) {
			all[strings.Join(c, " ")] = c
		}
	}
	for _, a := range d.all("MetricAlarm") {
		add(a.name, a.at("alarmDescription").(string))
	}
	add("the dashboard", parseBoard(t, d).Widgets[0].Properties.Markdown)
	for name, c := range all {
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, c[0]), append([]string{"-local=" + filepath.Join(dir, "none")}, c[1:]...)...)
		cmd.Dir = root
		out, _ := cmd.CombinedOutput()
		want := 1
		if name == "nonsense" {
			want = 2
		}
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d: %s", name, got, want, out)
		}
	}
}

func TestAlarmsSayWhatToDo(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`(?s)^[A-Z].*\.\nCheck: .+\nFix: .+\nMore: OPERATIONS\.md#(\S+)$`)
	for _, stack := range []string{"prod", "Feature_Branch.42", strings.Repeat("x", 100)} {
		d := deploy(t, stack, stackFile(t, "prod").with(values{"resultEvents": "true"}))
		if len(d.all("MetricAlarm")) == 0 {
			t.Fatal("no alarm")
		}
		for _, a := range d.all("MetricAlarm") {
			text, _ := a.at("alarmDescription").(string)
			if len(text) > 1024 { // PutMetricAlarm, Amazon CloudWatch API Reference
				t.Errorf("stack of %d letters: the description of %s has %d", len(stack), a.name, len(text))
			}
			if m := form.FindStringSubmatch(text); m == nil || !strings.HasSuffix(a.name, "-"+m[1]) {
				t.Errorf("%s: %q", a.name, text)
			}
			if len(d.commands(t, a.name, text)) == 0 {
				t.Errorf("%s names no script: %s", a.name, text)
			}
			for line := range strings.Lines(text) { // what is behind a command would be copied with it
				if at := command.FindStringIndex(line); at != nil && at[1] != len(line)-1 {
					t.Errorf("%s: %q", a.name, line)
				}
			}
		}
	}
}

// TestTheRunbookHasEveryAlarm compares the headings in the runbook with the
// alarms that there are.
func TestTheRunbookHasEveryAlarm(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Alarms\n")
	section, _, _ = strings.Cut(section, "\n## ")
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^### (.+)\n\n(.+)`).FindAllStringSubmatch(section, -1) {
		headings[m[1]] = true
		if !strings.Contains(m[2], ".") {
			t.Errorf("%s: %s", m[1], m[2])
		}
	}
	if !found || len(headings) == 0 {
		t.Fatal("OPERATIONS.md has no section Alarms")
	}
	alarms := map[string]bool{}
	for name, v := range stacks(t) {
		d := deploy(t, name, v.with(values{"alarms": "true"}))
		for _, a := range d.all("MetricAlarm") {
			alarms[d.alarm(a)] = true
		}
	}
	if !reflect.DeepEqual(headings, alarms) {
		t.Errorf("OPERATIONS.md has headings for %v, the stacks have the alarms %v", slices.Sorted(maps.Keys(headings)), slices.Sorted(maps.Keys(alarms)))
	}
}

func TestUnwatchedStacksPayForNothing(t *testing.T) {
	t.Parallel()
	for _, v := range []values{stackFile(t, "dev"), stackFile(t, "prod").with(values{"alarms": "false", "dashboard": "false"})} {
		// An address alone is not an alarm.
		d := deploy(t, "dev", v.with(values{"alarmEmail": "media@example.com"}))
		d.count(t, map[string]int{"MetricAlarm": 0, "CompositeAlarm": 0, "Dashboard": 0, "QueryDefinition": 0, "Topic": 0, "TopicSubscription": 0})
	}
	for name, tt := range map[string]struct {
		v                 values
		alarms, dashboard bool
	}{
		"prod":            {v: stackFile(t, "prod"), alarms: true, dashboard: true},
		"alarms alone":    {v: values{"alarms": "true"}, alarms: true},
		"dashboard alone": {v: values{"dashboard": "true"}, dashboard: true},
	} {
		d := deploy(t, "dev", tt.v)
		if got := len(d.all("MetricAlarm")) > 0; got != tt.alarms {
			t.Errorf("%s: alarms: %v", name, got)
		}
		if got := len(d.all("Dashboard")) == 1; got != tt.dashboard {
			t.Errorf("%s: a dashboard: %v", name, got)
		}
	}
}

// series is a metric as an alarm or a graph asks for it.
type series struct {
	where                      string
	namespace, name, statistic string
	dimensions                 map[string]string
}

func seriesOf(where string, namespace, name, statistic, dimensions any) series {
	s := series{where: where, dimensions: map[string]string{}}
	s.namespace, _ = namespace.(string)
	s.name, _ = name.(string)
	s.statistic, _ = statistic.(string)
	values, _ := dimensions.(map[string]any)
	for key, value := range values {
		s.dimensions[key], _ = value.(string)
	}
	return s
}

func (s series) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", s.namespace, s.name, s.statistic, dimensions(s.dimensions)))
}

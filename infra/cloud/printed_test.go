package cloud_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// anyValue stands for whatever value a dimension has.
const anyValue = "*"

func dimensions(values map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all = append(all, name+"="+values[name])
	}
	return strings.Join(all, " ")
}

// TestWatchedIsWhatIsPrinted runs the real handlers, in the environment that
// the program gives their functions, through all that they have a metric for.
// What they print is what CloudWatch gets: nothing else may be watched or asked
// for.
func TestWatchedIsWhatIsPrinted(t *testing.T) {
	t.Parallel()
	d := watched(t)
	lines := runHandlers(t, d)
	t.Run("metrics", func(t *testing.T) { onlyPrintedMetrics(t, d, lines) })
	t.Run("fields", func(t *testing.T) { onlyPrintedFields(t, d, lines) })
}

// runHandlers returns the lines that the handlers print, by handler.
func runHandlers(t *testing.T, d *deployment) map[string][]map[string]any {
	t.Helper()
	const routes = `[{"suffixes":[".mov"],"maxBytes":10,"jobs":[{"name":"video","kind":"video"}]}]`
	var list any
	fromJSON(t, routes, &list)
	muted := func(j fakeittybit.Job) bool { return strings.HasSuffix(j.Input, "/lost.mov") }
	run := pipelinetest.Start(t, func(o *pipeline.Options) {
		o.Stack = pipelinetest.Config(t, map[string]any{"routes": list, "dailyJobLimit": 4})
		o.Concurrency = 1 // functions at once may go over the limit
		o.Env = map[string]map[string]string{}
		for _, handler := range handlers {
			o.Env[handler] = map[string]string{env.MetricsNamespace: d.environment(t, handler)[env.MetricsNamespace]}
		}
		instant := o.Ittybit
		o.Ittybit = func(o *fakeittybit.Options) {
			instant(o)
			o.Outcome = func(j fakeittybit.Job) fakeittybit.Outcome {
				for name, status := range map[string]fakeittybit.Status{"/failed.mov": fakeittybit.Failed, "/cancelled.mov": fakeittybit.Cancelled} {
					if strings.HasSuffix(j.Input, name) {
						return fakeittybit.Outcome{Status: status}
					}
				}
				return fakeittybit.Outcome{}
			}
			o.Deliveries = func(j fakeittybit.Job) []fakeittybit.Delivery {
				if muted(j) {
					return nil
				}
				return []fakeittybit.Delivery{{}}
			}
		}
	})
	put := func(key, body string) {
		run.Put(key, body)
		run.Quiet()
	}
	sweep := func() {
		if _, err := run.RunSweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run.Ittybit.SetKeys("another key")
	put("refused.mov", "x")
	run.RotateAPIKey()
	put("ittybit-output/film.mov", "x") // skipped
	put("large.mov", "more than ten bytes")
	for _, key := range []string{"done.mov", "failed.mov", "cancelled.mov", "lost.mov"} {
		put(key, "x")
	}
	put("above-the-limit.mov", "x")
	post := func(token, body string) {
		response, err := http.Post(run.WebhookURL+"?token="+token, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	post("forged", "{}")
	keys, err := media.NewCallbackKeys(run.CallbackKeys)
	if err != nil {
		t.Fatal(err)
	}
	early, err := keys.Sign(media.JobRef{Bucket: "uploads", Key: "early.mov", Upload: "0", Job: "video"})
	if err != nil {
		t.Fatal(err)
	}
	post(early, `{"id":"job_early","status":"succeeded"}`) // dispatch has not noted it yet
	run.Ittybit.SetKeys("another key")
	run.Clock.Advance(time.Hour)
	sweep() // in vain
	run.RotateAPIKey()
	run.Clock.Advance(time.Hour)
	sweep()
	run.Quiet()
	return printed(t, run)
}

// printed reads the log groups.
func printed(t *testing.T, run *pipelinetest.Run) map[string][]map[string]any {
	t.Helper()
	access := run.Access()
	client := cloudwatchlogs.New(cloudwatchlogs.Options{
		Region:       access.Outputs.Region,
		BaseEndpoint: aws.String(access.AWSURL),
		Credentials:  credentials.NewStaticCredentialsProvider(access.AccessKey, access.SecretKey, ""),
	})
	all := map[string][]map[string]any{}
	for handler, group := range access.Outputs.LogGroups {
		pages := cloudwatchlogs.NewFilterLogEventsPaginator(client, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				var line map[string]any
				if json.Unmarshal([]byte(*e.Message), &line) == nil { // aws-lambda-go's own are no JSON
					all[handler] = append(all[handler], line)
				}
			}
		}
	}
	return all
}

// counted are the metrics in the lines: namespace, name and dimensions, with
// their values and without.
func counted(t *testing.T, lines map[string][]map[string]any) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, line := range slices.Concat(slices.Collect(maps.Values(lines))...) {
		var meta struct {
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		}
		fromJSON(t, toJSON(t, line["_aws"]), &meta)
		for _, directive := range meta.CloudWatchMetrics {
			for _, m := range directive.Metrics {
				if _, ok := line[m.Name].(float64); !ok {
					t.Errorf("%s has no value in %v", m.Name, line)
				}
				for _, set := range directive.Dimensions {
					values, names := map[string]string{}, map[string]string{}
					for _, dimension := range set {
						values[dimension], _ = line[dimension].(string)
						names[dimension] = anyValue
					}
					for _, d := range []map[string]string{values, names} {
						all[metricID(directive.Namespace, m.Name, d)] = true
					}
				}
			}
		}
	}
	return all
}

func metricID(namespace, name string, values map[string]string) string {
	return strings.TrimSpace(namespace + " " + name + " " + dimensions(values))
}

// awsMetrics are the metrics of AWS's services, as their guides list them.
type awsMetrics map[string]struct {
	Source     string
	Dimensions [][]string
	Metrics    map[string]struct {
		Unit       string
		Statistics []string
	}
}

var (
	percentile = regexp.MustCompile(`^p\d{1,2}$`)
	statistics = []string{"Sum", "Maximum", "Minimum", "Average", "SampleCount"}
)

func onlyPrintedMetrics(t *testing.T, d *deployment, lines map[string][]map[string]any) {
	var known awsMetrics
	readJSON(t, "aws_metrics.json", &known)
	own := counted(t, lines)
	const namespace = "IttybitMedia/prod"
	for _, m := range telemetry.All() {
		if !own[metricID(namespace, m.Name, nil)] {
			t.Errorf("%s was not printed: this run does not say what it is like", m.Name)
		}
	}

	// Whose metrics they can be.
	resources := map[string][]string{"ApiId": {"a1b2c3"}}
	for dimension, kind := range map[string]string{"FunctionName": "Function", "QueueName": "Queue", "RuleName": "EventRule", "PipeName": "Pipe"} {
		for _, m := range d.all(kind) {
			resources[dimension] = append(resources[dimension], m.out(t, "name"))
		}
	}
	all := parseBoard(t, d).series(t)
	seen := map[string]bool{}
	for _, s := range all {
		seen[s.name] = true
	}
	for _, m := range telemetry.All() {
		if !seen[m.Name] {
			t.Errorf("the dashboard does not show %s", m.Name)
		}
	}
	for _, a := range d.all("MetricAlarm") {
		all = append(all, a.series()...)
	}
	if len(all) < 50 {
		t.Errorf("only %d metrics are watched", len(all))
	}
	for _, s := range all {
		service, ok := known[s.namespace]
		if !ok { // ours
			if !own[metricID(s.namespace, s.name, s.dimensions)] {
				t.Errorf("%s: nobody prints %s", s.where, s)
			}
			if !slices.Contains(statistics, s.statistic) && !percentile.MatchString(s.statistic) {
				t.Errorf("%s: there is no statistic %q", s.where, s.statistic)
			}
			continue
		}
		metric, ok := service.Metrics[s.name]
		if !ok {
			t.Errorf("%s: %s has no metric %s (%s)", s.where, s.namespace, s.name, service.Source)
			continue
		}
		statistic := percentile.ReplaceAllString(s.statistic, "percentile")
		if !slices.Contains(metric.Statistics, statistic) {
			t.Errorf("%s: %s of %s is of no use, but %v are", s.where, s.statistic, s.name, metric.Statistics)
		}
		names := slices.Sorted(maps.Keys(s.dimensions))
		if !slices.ContainsFunc(service.Dimensions, func(set []string) bool { return slices.Equal(set, names) }) {
			t.Errorf("%s: %s has no dimensions %v, but %v (%s)", s.where, s.name, names, service.Dimensions, service.Source)
		}
		for name, value := range s.dimensions {
			if !slices.Contains(resources[name], value) {
				t.Errorf("%s: the stack has no %s %q, but %v", s.where, name, value, resources[name])
			}
		}
	}
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	fromJSON(t, string(data), into)
}

// fieldValues are the fields of log lines as CloudWatch Logs discovers them,
// with the values that they have had: those of nested objects have a dot.
func fieldValues(all map[string][]string, prefix string, line map[string]any) {
	for name, value := range line {
		if nested, ok := value.(map[string]any); ok {
			fieldValues(all, prefix+name+".", nested)
		} else {
			all[prefix+name] = append(all[prefix+name], fmt.Sprint(value))
		}
	}
}

func onlyPrintedFields(t *testing.T, d *deployment, lines map[string][]map[string]any) {
	var report struct {
		Statuses []string
		Line     map[string]any
	}
	readJSON(t, "lambda_report.json", &report)
	groups := map[string]map[string][]string{} // log group → fields
	for handler, written := range lines {
		fields := map[string][]string{}
		for _, line := range written {
			fieldValues(fields, "", line)
		}
		fieldValues(fields, "", report.Line)
		fields["record.status"] = report.Statuses
		groups[d.one(t, "LogGroup", "-"+handler).out(t, "name")] = fields
	}
	var access map[string]any
	fromJSON(t, d.one(t, "Stage", "").at("accessLogSettings.format"), &access)
	api := map[string][]string{}
	fieldValues(api, "", access)
	groups[d.one(t, "LogGroup", "-api").out(t, "name")] = api

	ask := func(where, text string, of []string) {
		fields := map[string][]string{}
		for _, group := range of {
			if groups[group] == nil {
				t.Fatalf("%s: there is no log group %s", where, group)
			}
			for name, values := range groups[group] {
				fields[name] = append(fields[name], values...)
			}
		}
		q := parseInsights(t, where, text)
		for _, name := range q.fields {
			if fields[name] == nil && !slices.Contains(systemFields, name) {
				t.Errorf("%s: no line of %v has a field %s", where, of, name)
			}
		}
		for name, values := range q.values {
			for _, value := range values {
				// What stands for a user's own is in no line.
				if !slices.Contains(fields[name], value) && name != "key" && name != "id" {
					t.Errorf("%s: no line has %s %q, but %v", where, name, value, fields[name])
				}
			}
		}
	}
	names := map[string]bool{}
	for _, q := range d.all("QueryDefinition") {
		name, text := q.at("name").(string), q.at("queryString").(string)
		names[strings.TrimPrefix(name, "ittybit-prod/")] = true
		var of []string
		for _, group := range q.at("logGroupNames").([]any) {
			of = append(of, group.(string))
		}
		// PutQueryDefinition, Amazon CloudWatch Logs API Reference.
		if len(name) > 255 || len(text) > 10000 || len(of) == 0 || len(of) > 50 {
			t.Errorf("%s: %d letters over %d groups", name, len(text), len(of))
		}
		ask(name, text, of)
	}
	for _, want := range []string{"What happened to this key", "What happened to this job", "Errors by message", "Slowest uploads"} {
		if !names[want] {
			t.Errorf("there is no query %q under the stack's name, but %v", want, slices.Sorted(maps.Keys(names)))
		}
	}
	for _, w := range parseBoard(t, d).Widgets {
		if w.Type == "log" {
			source := regexp.MustCompile(`SOURCE '([^']+)' \| `)
			var of []string
			for _, m := range source.FindAllStringSubmatch(w.Properties.Query, -1) {
				of = append(of, m[1])
			}
			ask(w.Properties.Title, source.ReplaceAllString(w.Properties.Query, ""), of)
		}
	}

	// What is asked most, what happened to a key or to a job, finds each step.
	for key, want := range map[string][]string{"done.mov": {"dispatch", "webhook"}, "lost.mov": {"dispatch", "sweep"}} {
		id := ""
		for _, handler := range want {
			i := slices.IndexFunc(lines[handler], func(line map[string]any) bool { return line["key"] == key && line["id"] != nil })
			if i < 0 {
				t.Errorf("%s says nothing of %s and its job's id", handler, key)
				continue
			}
			if got := lines[handler][i]["id"].(string); id != "" && got != id {
				t.Errorf("%s says that the job of %s is %s, not %s", handler, key, got, id)
			} else {
				id = got
			}
		}
	}
	if !slices.ContainsFunc(lines["dispatch"], func(line map[string]any) bool { return line["key"] == "refused.mov" && line["level"] == "ERROR" }) {
		t.Error("dispatch does not say that refused.mov failed")
	}
}

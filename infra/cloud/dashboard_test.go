package cloud_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// board is the body of a dashboard ("Dashboard Body Structure and Syntax",
// Amazon CloudWatch API Reference).
type board struct {
	Start   string
	Widgets []struct {
		Type                string
		X, Y, Width, Height int
		Properties          struct {
			Title, Region, View string
			Markdown            string         // of a text
			Alarms              []string       // of alarms
			Query               string         // of logs
			Metrics             [][]any        // of a graph
			Period              int            // of a graph
			YAxis               map[string]any // of a graph
		}
	}
}

func parseBoard(t *testing.T, d *deployment) board {
	t.Helper()
	text, ok := d.one(t, "Dashboard", "").at("dashboardBody").(string)
	if !ok {
		t.Fatal("the dashboard has no body")
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var b board
	if err := decoder.Decode(&b); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return b
}

// searched is what a graph finds by an expression.
var searched = regexp.MustCompile(`^SEARCH\('\{"([^"]+)",(\w+)\} MetricName="(\w+)"', '(\w+)', 300\)$`)

// series are the metrics of the graphs; where one is searched for by a
// dimension, its value is anyValue.
func (b board) series(t *testing.T) []series {
	t.Helper()
	var all []series
	for _, w := range b.Widgets {
		for _, entry := range w.Properties.Metrics {
			options, ok := entry[len(entry)-1].(map[string]any)
			if !ok {
				t.Fatalf("%s: the last of %v are no options", w.Properties.Title, entry)
			}
			s := series{where: "the graph " + w.Properties.Title, dimensions: map[string]string{}}
			if expression, ok := options["expression"].(string); ok {
				m := searched.FindStringSubmatch(expression)
				if m == nil || len(entry) != 1 || len(expression) > 1024 {
					t.Errorf("%s: %v", w.Properties.Title, entry)
					continue
				}
				s.namespace, s.name, s.statistic = m[1], m[3], m[4]
				s.dimensions[m[2]] = anyValue
			} else {
				var names []string
				for _, name := range entry[:len(entry)-1] {
					names = append(names, name.(string))
				}
				if len(names) < 2 || len(names)%2 != 0 {
					t.Fatalf("%s: %v", w.Properties.Title, entry)
				}
				s.namespace, s.name = names[0], names[1]
				s.statistic, _ = options["stat"].(string)
				for pair := range slices.Chunk(names[2:], 2) {
					s.dimensions[pair[0]] = pair[1]
				}
				if label, _ := options["label"].(string); label == "" {
					t.Errorf("%s: %v has no label", w.Properties.Title, names)
				}
			}
			all = append(all, s)
		}
	}
	return all
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	d := watched(t)
	b := parseBoard(t, d)
	var alarms, groups []string
	for _, a := range d.all("MetricAlarm") {
		alarms = append(alarms, a.out(t, "arn"))
	}
	for _, handler := range handlers {
		groups = append(groups, d.one(t, "LogGroup", "-"+handler).out(t, "name"))
	}
	kinds := map[string]int{}
	taken := map[[2]int]string{}
	for i, w := range b.Widgets {
		kinds[w.Type]++
		p := w.Properties
		if w.X < 0 || w.Width < 1 || w.X+w.Width > 24 || w.Y < 0 || w.Height < 1 || w.Height > 1000 {
			t.Errorf("%s %q is at %d, %d with %d × %d", w.Type, p.Title, w.X, w.Y, w.Width, w.Height)
		}
		for x := w.X; x < w.X+w.Width; x++ {
			for y := w.Y; y < w.Y+w.Height; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("%q lies over %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if want := map[string]string{"metric": region, "log": region}[w.Type]; p.Region != want {
			t.Errorf("%s %q is about region %q, want %q", w.Type, p.Title, p.Region, want)
		}
		if (p.Title == "") != (w.Type == "text") {
			t.Errorf("%s has the title %q", w.Type, p.Title)
		}
		switch w.Type {
		case "text":
			if i != 0 || !strings.Contains(p.Markdown, "OPERATIONS.md") || len(d.commands(t, "the text", p.Markdown)) < 3 {
				t.Errorf("widget %d says %s", i, p.Markdown)
			}
		case "alarm":
			slices.Sort(alarms)
			if got := slices.Sorted(slices.Values(p.Alarms)); !slices.Equal(got, alarms) || len(got) > 100 {
				t.Errorf("it shows the alarms %v, want %v", got, alarms)
			}
		case "log":
			var sources []string
			for _, m := range regexp.MustCompile(`SOURCE '([^']+)' \| `).FindAllStringSubmatch(p.Query, -1) {
				sources = append(sources, m[1])
			}
			if !slices.Equal(sources, groups) || p.View != "table" {
				t.Errorf("the last errors are a %s of %v", p.View, sources)
			}
		case "metric":
			if len(p.Metrics) == 0 || p.Period != 300 || p.View != "timeSeries" {
				t.Errorf("%q: %d metrics, period %d, view %q", p.Title, len(p.Metrics), p.Period, p.View)
			}
		default:
			t.Errorf("a widget of type %q", w.Type)
		}
	}
	if len(b.Widgets) > 500 || kinds["text"] != 1 || kinds["alarm"] != 1 || kinds["log"] != 1 || kinds["metric"] < 10 {
		t.Errorf("widgets %v", kinds)
	}
	if b.Start != "-P1D" {
		t.Errorf("it starts at %q", b.Start)
	}
}

// What the issue wants to be seen at a glance.
func TestDashboardShows(t *testing.T) {
	t.Parallel()
	d := watched(t)
	shown := map[string]bool{}
	for _, s := range parseBoard(t, d).series(t) {
		if shown[s.String()] {
			t.Errorf("%s is shown twice", s)
		}
		shown[s.String()] = true
	}
	name := func(kind, ending string) string { return d.one(t, kind, ending).out(t, "name") }
	want := []string{
		"IttybitMedia/prod UploadsDispatched Sum",
		"IttybitMedia/prod JobsCreated Sum",
		"IttybitMedia/prod Results Sum State=succeeded",
		"IttybitMedia/prod Results Sum State=failed",
		"IttybitMedia/prod Results Sum State=cancelled",
		"IttybitMedia/prod UploadToResult p50",
		"IttybitMedia/prod UploadToResult p95",
		"IttybitMedia/prod CallbacksRefused Sum Reason=" + anyValue,
		"IttybitMedia/prod JobsSwept Sum Outcome=" + anyValue,
		"AWS/ApiGateway 4xx Sum ApiId=a1b2c3",
		"AWS/ApiGateway 5xx Sum ApiId=a1b2c3",
	}
	for _, queue := range []string{"-retry", "-dead-letters"} {
		for _, metric := range []string{"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"} {
			want = append(want, "AWS/SQS "+metric+" Maximum QueueName="+name("Queue", queue))
		}
	}
	for _, handler := range handlers {
		for _, metric := range []string{"Errors Sum", "Duration p95", "ConcurrentExecutions Maximum"} {
			want = append(want, "AWS/Lambda "+metric+" FunctionName="+name("Function", "-"+handler))
		}
	}
	for _, w := range want {
		if !shown[w] {
			t.Errorf("%s is not shown; shown are %v", w, slices.Sorted(maps.Keys(shown)))
		}
	}
	// What an alarm is about can be seen, too, be it by all its reasons.
	for _, a := range d.all("MetricAlarm") {
		for _, s := range a.series() {
			if !shown[s.String()] && !shown[s.String()+" Reason="+anyValue] {
				t.Errorf("%s watches %s, which is not shown", a.name, s)
			}
		}
	}
}

func TestDashboardIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	body := func() any { return watched(t).one(t, "Dashboard", "").at("dashboardBody") }
	for first, n := body(), 0; n < 3; n++ {
		if again := body(); again != first {
			t.Fatalf("got  %s\nthen %s", first, again)
		}
	}
	alone := parseBoard(t, deploy(t, "dev", values{"dashboard": "true"}))
	for _, w := range alone.Widgets {
		if w.Type == "alarm" {
			t.Errorf("without alarms it shows %v", w.Properties.Alarms)
		}
	}
}

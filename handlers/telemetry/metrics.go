package telemetry

import (
	"encoding/json"
	"io"
	"slices"
	"time"
)

// Metric is one metric of the pipeline. Alarms and dashboards take it from
// here.
type Metric struct {
	Name      string
	Unit      string // one of CloudWatch's units
	Dimension string // by which it is also counted apart; "" for none
}

// The metrics.
var (
	UploadsDispatched = define("UploadsDispatched", "Count", "")
	UploadsSkipped    = define("UploadsSkipped", "Count", "Reason")
	Rejected          = define("Rejected", "Count", "Reason") // uploads or jobs that will never run
	JobsCreated       = define("JobsCreated", "Count", "")
	DailyLimitReached = define("DailyLimitReached", "Count", "") // uploads put off
	Results           = define("Results", "Count", "State")      // jobs that ended
	UploadToResult    = define("UploadToResult", "Seconds", "")
	CallbacksRefused  = define("CallbacksRefused", "Count", "Reason")
	CallbacksEarly    = define("CallbacksEarly", "Count", "")   // answered "not yet": sent again
	JobsSwept         = define("JobsSwept", "Count", "Outcome") // jobs that sweep asked Ittybit for
	SweepBehind       = define("SweepBehind", "Count", "")      // runs that ended with overdue jobs left
)

var all []Metric

func define(name, unit, dimension string) Metric {
	m := Metric{name, unit, dimension}
	all = append(all, m)
	return m
}

// All are the metrics, in the order of their definition.
func All() []Metric { return slices.Clone(all) }

// Metrics writes metrics of one namespace.
type Metrics struct {
	out       io.Writer
	namespace string
}

// NewMetrics writes to out, one line in one write for each value.
func NewMetrics(out io.Writer, namespace string) *Metrics {
	return &Metrics{out, namespace}
}

// The embedded metric format ("Specification: Embedded metric format", Amazon
// CloudWatch User Guide). By hand: it is one JSON object, and the libraries for
// it are larger than this and unkept.
type (
	directive struct {
		Namespace  string       `json:"Namespace"`
		Dimensions [][]string   `json:"Dimensions"`
		Metrics    []definition `json:"Metrics"`
	}
	definition struct {
		Name string `json:"Name"`
		Unit string `json:"Unit"`
	}
	metadata struct {
		Timestamp         int64       `json:"Timestamp"` // Unix milliseconds
		CloudWatchMetrics []directive `json:"CloudWatchMetrics"`
	}
)

// Add reports a value of m; the dimension is the value of m's dimension, one of
// few. A metric that cannot be written is lost: no upload fails for it.
func (t *Metrics) Add(m Metric, value float64, dimension string) {
	d := directive{
		Namespace:  t.namespace,
		Dimensions: [][]string{{}},
		Metrics:    []definition{{m.Name, m.Unit}},
	}
	line := map[string]any{m.Name: value}
	if m.Dimension != "" {
		d.Dimensions = append(d.Dimensions, []string{m.Dimension})
		line[m.Dimension] = dimension
	}
	line["_aws"] = metadata{time.Now().UnixMilli(), []directive{d}}
	if b, err := json.Marshal(line); err == nil {
		_, _ = t.out.Write(append(b, '\n'))
	}
}

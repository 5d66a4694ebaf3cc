package cloud

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/pipes"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/telemetry"
)

// Statistics. Of counts it is their sum, of levels their maximum, and of times
// what most have and what the slow ones have.
const (
	sum     = "Sum"
	maximum = "Maximum"
	median  = "p50"
	slow    = "p95"
)

// five minutes are the period of most alarms and of the graphs: some of the
// metrics come once a minute, and not all at once.
const five = 5 * time.Minute

// metric is one of CloudWatch's, as alarms and graphs take it.
type metric struct {
	namespace, name, statistic string
	dimensions                 pulumi.StringMap
}

func queueMetric(name string, q *sqs.Queue) metric {
	return metric{"AWS/SQS", name, maximum, pulumi.StringMap{"QueueName": q.Name}}
}

func functionMetric(name, statistic string, f function) metric {
	return metric{"AWS/Lambda", name, statistic, pulumi.StringMap{"FunctionName": f.Name}}
}

func ruleMetric(name string, rule *cloudwatch.EventRule) metric {
	return metric{"AWS/Events", name, sum, pulumi.StringMap{"RuleName": rule.Name}}
}

func apiMetric(name string, a api) metric {
	return metric{"AWS/ApiGateway", name, sum, pulumi.StringMap{"ApiId": a.ID()}}
}

func pipeMetric(name string, pipe *pipes.Pipe) metric {
	return metric{"AWS/EventBridge/Pipes", name, sum, pulumi.StringMap{"PipeName": pipe.Name}}
}

// ownMetric returns one of the handlers' metrics: with a value, what is counted
// under that value of its dimension; with "", all of it.
func (s scope) ownMetric(m telemetry.Metric, statistic, value string) metric {
	dimensions := pulumi.StringMap{}
	if value != "" {
		dimensions[m.Dimension] = pulumi.String(value)
	}
	return metric{s.metricsNamespace(), m.Name, statistic, dimensions}
}

// byDimension returns an expression that finds one of the handlers' metrics
// under every value that its dimension has had: what these are is the handlers'
// affair ("CloudWatch search expression syntax", Amazon CloudWatch User Guide).
func (s scope) byDimension(m telemetry.Metric) string {
	return fmt.Sprintf(`SEARCH('{"%s",%s} MetricName="%s"', '%s', %d)`, s.metricsNamespace(), m.Dimension, m.Name, sum, seconds(five))
}

package cloud

import (
	"fmt"
	"time"

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

func (b *builder) functionMetric(name, statistic, handler string) metric {
	return metric{"AWS/Lambda", name, statistic, pulumi.StringMap{"FunctionName": b.functions[handler]}}
}

func (b *builder) ruleMetric(name string) metric {
	return metric{"AWS/Events", name, sum, pulumi.StringMap{"RuleName": b.pipeline.Rule}}
}

func (b *builder) apiMetric(name string) metric {
	return metric{"AWS/ApiGateway", name, sum, pulumi.StringMap{"ApiId": b.api.ID()}}
}

func (b *builder) pipeMetric(name string) metric {
	return metric{"AWS/EventBridge/Pipes", name, sum, pulumi.StringMap{"PipeName": b.events.pipe.Name}}
}

// ownMetric is one of the handlers': with a value, what is counted under that
// value of its dimension; with "", all of it.
func (b *builder) ownMetric(m telemetry.Metric, statistic, value string) metric {
	dimensions := pulumi.StringMap{}
	if value != "" {
		dimensions[m.Dimension] = pulumi.String(value)
	}
	return metric{b.metricsNamespace(), m.Name, statistic, dimensions}
}

// byDimension finds one of the handlers' metrics under every value that its
// dimension has had: what these are is the handlers' affair ("CloudWatch search
// expression syntax", Amazon CloudWatch User Guide).
func (b *builder) byDimension(m telemetry.Metric) string {
	return fmt.Sprintf(`SEARCH('{"%s",%s} MetricName="%s"', '%s', %d)`, b.metricsNamespace(), m.Dimension, m.Name, sum, seconds(five))
}

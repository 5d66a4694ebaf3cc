package cloud

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// query is a question to the logs, in the words of CloudWatch Logs Insights.
type query struct {
	id     string // in the state
	name   string
	groups []string // handlers, or "api"
	text   string
}

// functions are all handlers, in the order in which an upload meets them.
var functions = []string{dispatch, webhook, sweep}

// What one types into the queries in the place of these.
const (
	anyKey = "uploads/film.mov"
	anyJob = "job_0123456789"
)

// queries are saved with the stack, in a folder of its name.
var queries = []query{
	{"key", "What happened to this key", functions, `
# Put the object's key in the place of ` + anyKey + `, as S3 has it.
fields @timestamp, @log, level, message, job, id, status, state, reason, error, requestId
| filter key = "` + anyKey + `"
| sort @timestamp asc
| limit 1000`},
	{"job", "What happened to this job", functions, `
# Put Ittybit's id of the job in the place of ` + anyJob + `.
fields @timestamp, @log, level, message, key, job, event, status, state, reason, error, requestId
| filter id = "` + anyJob + `"
| sort @timestamp asc
| limit 1000`},
	{"errors", "Errors by message", functions, `
filter level = "ERROR"
| stats count(*) as times, latest(@timestamp) as last, latest(error) as example by message, @log
| sort times desc`},
	{"slowest", "Slowest uploads", functions, `
# Seconds from the upload to the end of one of its jobs.
filter message = "result stored" and seconds > 0
| sort seconds desc
| limit 100
| display @timestamp, seconds, key, job, id, state`},
	{"skipped", "Skipped and rejected uploads", []string{dispatch}, `
filter message in ["upload skipped", "rejected"]
| stats count(*) as times, latest(@timestamp) as last, latest(key) as example by message, reason
| sort times desc`},
	{"refused", "Refused callbacks by address", []string{"api"}, `
filter status >= 400
| stats count(*) as times, latest(@timestamp) as last by status, ip, path, error
| sort times desc`},
}

// lastErrors are the errors of all functions, also of those that had no time or
// no memory left to log one: then Lambda's own report says so ("Lambda Telemetry
// API Event schema reference", AWS Lambda Developer Guide).
const lastErrors = `fields @timestamp, message, error, key, job, id, requestId, record.requestId, record.status
| filter level = "ERROR" or record.status in ["error", "failure", "timeout"]
| sort @timestamp desc
| limit 50`

// makeQueries saves the queries. They cost nothing before one runs them.
func (b *builder) makeQueries() error {
	for _, q := range queries {
		if _, err := cloudwatch.NewQueryDefinition(b.ctx, b.named("query-"+q.id), &cloudwatch.QueryDefinitionArgs{
			Name:          pulumi.String(b.name + "/" + q.name),
			LogGroupNames: b.groups(q.groups),
			QueryString:   pulumi.String(strings.TrimSpace(q.text)),
		}, b.child()); err != nil {
			return err
		}
	}
	return nil
}

// groups are the log groups of handlers, or of "api".
func (b *builder) groups(names []string) pulumi.StringArray {
	all := make(pulumi.StringArray, len(names))
	for i, name := range names {
		all[i] = b.logGroups[name]
	}
	return all
}

// over is the query as a dashboard has it, which names its log groups itself.
func (b *builder) over(names []string, text string) pulumi.StringOutput {
	return b.groups(names).ToStringArrayOutput().ApplyT(func(groups []string) string {
		var sources strings.Builder
		for _, group := range groups {
			fmt.Fprintf(&sources, "SOURCE '%s' | ", group)
		}
		return sources.String() + text
	}).(pulumi.StringOutput)
}

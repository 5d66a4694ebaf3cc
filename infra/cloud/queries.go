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

// allHandlers are those whose logs most queries search.
var allHandlers = []string{dispatchHandler, webhookHandler, sweepHandler}

// What one types into the queries in the place of these.
const (
	anyKey = "uploads/film.mov"
	anyJob = "job_0123456789"
)

// queries are saved with the stack, in a folder of its name.
var queries = []query{
	{"key", "What happened to this key", allHandlers, `
# Put the object's key in the place of ` + anyKey + `, as S3 has it.
fields @timestamp, @log, level, message, job, id, status, state, reason, error, requestId
| filter key = "` + anyKey + `"
| sort @timestamp asc
| limit 1000`},
	{"job", "What happened to this job", allHandlers, `
# Put Ittybit's id of the job in the place of ` + anyJob + `.
fields @timestamp, @log, level, message, key, job, event, status, state, reason, error, requestId
| filter id = "` + anyJob + `"
| sort @timestamp asc
| limit 1000`},
	{"errors", "Errors by message", allHandlers, `
filter level = "ERROR"
| stats count(*) as times, latest(@timestamp) as last, latest(error) as example by message, @log
| sort times desc`},
	{"slowest", "Slowest uploads", allHandlers, `
# Seconds from the upload to the end of one of its jobs.
filter message = "result stored" and seconds > 0
| sort seconds desc
| limit 100
| display @timestamp, seconds, key, job, id, state`},
	{"skipped", "Skipped and rejected uploads", []string{dispatchHandler}, `
filter message in ["upload skipped", "rejected"]
| stats count(*) as times, latest(@timestamp) as last, latest(key) as example by message, reason
| sort times desc`},
	{"refused", "Refused callbacks by address", []string{"api"}, `
filter status >= 400
| stats count(*) as times, latest(@timestamp) as last by status, ip, path, error
| sort times desc`},
}

// lastErrors are the errors of all functions, also of those that had no time or
// no memory left to log one: then Lambda's own report says so ("Lambda
// Telemetry API Event schema reference", AWS Lambda Developer Guide).
const lastErrors = `fields @timestamp, message, error, key, job, id, requestId, record.requestId, record.status
| filter level = "ERROR" or record.status in ["error", "failure", "timeout"]
| sort @timestamp desc
| limit 50`

// makeQueries saves the queries. They cost nothing before they are run.
func makeQueries(s scope, logGroups pulumi.StringMap) error {
	for _, q := range queries {
		if _, err := cloudwatch.NewQueryDefinition(s.ctx, s.named("query-"+q.id), &cloudwatch.QueryDefinitionArgs{
			Name:          pulumi.String(s.name + "/" + q.name),
			LogGroupNames: chosen(logGroups, q.groups),
			QueryString:   pulumi.String(strings.TrimSpace(q.text)),
		}, s.child()); err != nil {
			return err
		}
	}
	return nil
}

// chosen returns the log groups of handlers, or of "api".
func chosen(logGroups pulumi.StringMap, of []string) pulumi.StringArray {
	all := make(pulumi.StringArray, len(of))
	for i, name := range of {
		all[i] = logGroups[name]
	}
	return all
}

// over returns the query as a dashboard has it, which names its log groups
// itself.
func over(groups pulumi.StringArray, text string) pulumi.StringOutput {
	return groups.ToStringArrayOutput().ApplyT(func(groups []string) string {
		var sources strings.Builder
		for _, group := range groups {
			fmt.Fprintf(&sources, "SOURCE '%s' | ", group)
		}
		return sources.String() + text
	}).(pulumi.StringOutput)
}

package cloud

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/infra/stack"
)

// outputs returns the [stack.Outputs] by name. dashboard is nil where there is
// none.
func outputs(s scope, p parts, dashboard *cloudwatch.Dashboard) (pulumi.Map, error) {
	settings, err := settings(s.Config, p.secrets.apiKey)
	if err != nil {
		return nil, err
	}
	functions := pulumi.StringMap{}
	for _, f := range p.functions() {
		functions[f.handler] = f.Name
	}
	all := pulumi.Map{
		"region":                  p.place.region,
		"bucket":                  p.bucket,
		"webhookUrl":              p.api.webhookURL(),
		"table":                   p.table.Name,
		"rule":                    p.rule.Name,
		"retryQueueUrl":           p.queues.retry.Url,
		"deadLetterQueueUrl":      p.queues.dead.Url,
		"functions":               functions,
		"logGroups":               p.logGroups(),
		"settings":                settings,
		"console":                 console(p, dashboard),
		"ittybitConnectionPolicy": connectionPolicy(s.Config, p.place, p.bucket),
	}
	if secret := p.secrets.empty; secret != nil {
		all["apiKeyCommand"] = fillCommand(p.place, secret.Name)
	}
	if p.events != nil {
		all["resultEventBus"], all["resultEventsDeadLetterQueueUrl"] = p.events.bus, p.events.dead.Url
	}
	return all, nil
}

// settings returns the [stack.Settings].
func settings(c stack.Config, apiKey reference) (pulumi.Map, error) {
	known, err := c.Settings()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(known)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, err
	}
	all := pulumi.ToMap(values)
	name := "apiKeySecret"
	if apiKey.variable == env.IttybitAPIKeyParam {
		name = "apiKeyParameter"
	}
	all[name] = apiKey.value
	return all, nil
}

// fillCommand returns a command that asks for the API key without showing it
// and puts it into the secret. It goes through a pipe, so that neither the
// shell's history nor the list of processes has it.
func fillCommand(p place, secret pulumi.StringInput) pulumi.StringOutput {
	return pulumi.Sprintf(`(read -rs key && printf %%s "$key" | aws secretsmanager put-secret-value --region %s --secret-id %s --secret-string file:///dev/stdin)`,
		p.region, secret)
}

// console returns the pages of the parts in the AWS console.
func console(p parts, dashboard *cloudwatch.Dashboard) pulumi.StringMap {
	page := p.place.page
	pages := pulumi.StringMap{
		"bucket":      page("s3/buckets/%s", p.bucket),
		"table":       page("dynamodbv2/home#table?name=%s", p.table.Name),
		"rule":        page("events/home#/eventbus/default/rules/%s", p.rule.Name),
		"retryQueue":  page("sqs/v3/home#/queues/%s", escaped(p.queues.retry.Url)),
		"deadLetters": page("sqs/v3/home#/queues/%s", escaped(p.queues.dead.Url)),
		"api":         page("apigateway/main/apis/%s/routes", p.api.ID()),
	}
	if p.events != nil {
		pages["resultEventsDeadLetters"] = page("sqs/v3/home#/queues/%s", escaped(p.events.dead.Url))
	}
	if dashboard != nil {
		pages["dashboard"] = page("cloudwatch/home#dashboards/dashboard/%s", dashboard.DashboardName)
	}
	for _, f := range p.functions() {
		pages[f.handler] = page("lambda/home#/functions/%s", f.Name)
	}
	for name, group := range p.logGroups() {
		// CloudWatch wants names escaped twice, the second time with a dollar.
		twice := escaped(group).ApplyT(func(name string) string {
			return strings.ReplaceAll(name, "%", "$25")
		}).(pulumi.StringOutput)
		pages[name+"Logs"] = page("cloudwatch/home#logsV2:log-groups/log-group/%s", twice)
	}
	return pages
}

func escaped(text pulumi.StringInput) pulumi.StringOutput {
	return text.ToStringOutput().ApplyT(url.QueryEscape).(pulumi.StringOutput)
}

// page returns the address of a page of the console.
func (p place) page(path string, resource pulumi.Input) pulumi.StringOutput {
	domain := p.partition.ApplyT(func(partition string) string {
		switch partition {
		case "aws-cn":
			return "console.amazonaws.cn"
		case "aws-us-gov":
			return "console.amazonaws-us-gov.com"
		}
		return "console.aws.amazon.com"
	})
	return pulumi.Sprintf("https://%s.%s/"+path, p.region, domain, resource)
}

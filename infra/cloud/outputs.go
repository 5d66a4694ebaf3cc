package cloud

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
)

// Outputs are the [stack.Outputs]. No secret is among them.
func (p *Pipeline) Outputs() pulumi.Map {
	all := pulumi.Map{
		"region":                  p.Region,
		"bucket":                  p.Bucket,
		"webhookUrl":              p.WebhookURL,
		"table":                   p.Table,
		"rule":                    p.Rule,
		"retryQueueUrl":           p.RetryQueue,
		"deadLetterQueueUrl":      p.DeadLetters,
		"functions":               p.Functions,
		"logGroups":               p.LogGroups,
		"settings":                p.Settings,
		"console":                 p.Console,
		"ittybitConnectionPolicy": p.ConnectionPolicy,
	}
	if p.APIKeyCommand != nil {
		all["apiKeyCommand"] = p.APIKeyCommand
	}
	if p.EventBus != nil {
		all["resultEventBus"], all["resultEventsDeadLetterQueueUrl"] = p.EventBus, p.DeadEvents
	}
	return all
}

func (p *Pipeline) export(ctx *pulumi.Context) {
	for name, value := range p.Outputs() {
		ctx.Export(name, value)
	}
}

// settings are the [stack.Settings].
func (b *builder) settings() (pulumi.Map, error) {
	s, err := b.Config.Settings()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, err
	}
	all := pulumi.ToMap(values)
	place := "apiKeySecret"
	if b.secrets.apiKey.variable == env.IttybitAPIKeyParam {
		place = "apiKeyParameter"
	}
	all[place] = b.secrets.apiKey.value
	return all, nil
}

// fillCommand asks for the API key without showing it and puts it into the
// secret. It goes through a pipe, so that neither the shell's history nor the
// list of processes has it.
func (b *builder) fillCommand(secret pulumi.StringInput) pulumi.StringOutput {
	return pulumi.Sprintf(`(read -rs key && printf %%s "$key" | aws secretsmanager put-secret-value --region %s --secret-id %s --secret-string file:///dev/stdin)`,
		b.place.region, secret)
}

// console are the pages of the parts in the AWS console.
func (b *builder) console() pulumi.StringMap {
	p := b.pipeline
	pages := pulumi.StringMap{
		"bucket":      b.page("s3/buckets/%s", p.Bucket),
		"table":       b.page("dynamodbv2/home#table?name=%s", p.Table),
		"rule":        b.page("events/home#/eventbus/default/rules/%s", p.Rule),
		"retryQueue":  b.page("sqs/v3/home#/queues/%s", escaped(p.RetryQueue)),
		"deadLetters": b.page("sqs/v3/home#/queues/%s", escaped(p.DeadLetters)),
		"api":         b.page("apigateway/main/apis/%s/routes", b.api.ID()),
	}
	if p.DeadEvents != nil {
		pages["resultEventsDeadLetters"] = b.page("sqs/v3/home#/queues/%s", escaped(p.DeadEvents))
	}
	if b.dashboard != nil {
		pages["dashboard"] = b.page("cloudwatch/home#dashboards/dashboard/%s", b.dashboard.DashboardName)
	}
	for name, function := range p.Functions {
		pages[name] = b.page("lambda/home#/functions/%s", function)
	}
	for name, group := range p.LogGroups {
		// CloudWatch wants names escaped twice, the second time with a dollar.
		twice := escaped(group).ApplyT(func(name string) string {
			return strings.ReplaceAll(name, "%", "$25")
		}).(pulumi.StringOutput)
		pages[name+"Logs"] = b.page("cloudwatch/home#logsV2:log-groups/log-group/%s", twice)
	}
	return pages
}

func escaped(text pulumi.StringInput) pulumi.StringOutput {
	return text.ToStringOutput().ApplyT(url.QueryEscape).(pulumi.StringOutput)
}

// page is the address of a page of the console in the stack's region.
func (b *builder) page(path string, resource pulumi.Input) pulumi.StringOutput {
	domain := b.place.partition.ApplyT(func(partition string) string {
		switch partition {
		case "aws-cn":
			return "console.amazonaws.cn"
		case "aws-us-gov":
			return "console.amazonaws-us-gov.com"
		}
		return "console.aws.amazon.com"
	})
	return pulumi.Sprintf("https://%s.%s/"+path, b.place.region, domain, resource)
}

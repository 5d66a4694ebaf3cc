// Package cloud is the pipeline on AWS: one file for each part of it, all in
// one component.
//
// Nothing here asks AWS anything: a preview needs no more than the stack's
// configuration. What a policy has to know of region and account comes from the
// ARN of a resource that the stack makes.
package cloud

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/infra/stack"
)

// Args is what a pipeline is made of.
type Args struct {
	Config   stack.Config
	Archives map[string]string // handler → path of its zip
}

// Pipeline is everything between an upload and its results.
type Pipeline struct {
	pulumi.ResourceState

	// Outputs are the [stack.Outputs] by name. No secret is among them.
	Outputs pulumi.Map
}

// NewPipeline makes a pipeline. The names of its resources begin with name,
// which should come from [Prefix].
func NewPipeline(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Pipeline, error) {
	p := &Pipeline{}
	if err := ctx.RegisterComponentResource("ittybit-media:index:Pipeline", name, p, opts...); err != nil {
		return nil, err
	}
	s := scope{Args: args, ctx: ctx, name: name, tags: tags(ctx, args.Config), parent: p}
	made, err := makeParts(s)
	if err != nil {
		return nil, err
	}
	alarms, err := makeAlarms(s, made)
	if err != nil {
		return nil, err
	}
	dashboard, err := makeDashboard(s, made, alarms)
	if err != nil {
		return nil, err
	}
	if p.Outputs, err = outputs(s, made, dashboard); err != nil {
		return nil, err
	}
	return p, ctx.RegisterResourceOutputs(p, p.Outputs)
}

// parts are what a pipeline consists of, apart from what watches it.
type parts struct {
	place    place
	queues   queues
	table    *dynamodb.Table
	secrets  secrets
	api      api
	webhook  function
	dispatch function
	sweep    function
	bucket   pulumi.StringOutput // its name
	rule     *cloudwatch.EventRule
	events   *events // nil: the stack sends no result events
}

// makeParts makes each part from those that it needs.
func makeParts(s scope) (parts, error) {
	queues, err := makeQueues(s)
	if err != nil {
		return parts{}, err
	}
	place := placeOf(queues.retry.Arn)
	table, err := makeTable(s)
	if err != nil {
		return parts{}, err
	}
	secrets, err := makeSecrets(s, place)
	if err != nil {
		return parts{}, err
	}
	api, err := makeAPI(s)
	if err != nil {
		return parts{}, err
	}
	webhook, err := makeWebhook(s, api, table, secrets)
	if err != nil {
		return parts{}, err
	}
	dispatch, ways, err := makeDispatch(s, api.webhookURL(), queues, table, secrets)
	if err != nil {
		return parts{}, err
	}
	bucket, err := makeBucket(s)
	if err != nil {
		return parts{}, err
	}
	rule, err := makeRule(s, bucket, dispatch, queues.retry, ways)
	if err != nil {
		return parts{}, err
	}
	sweep, err := makeSweep(s, table, secrets)
	if err != nil {
		return parts{}, err
	}
	events, err := makeEvents(s, place, table)
	return parts{place, queues, table, secrets, api, webhook, dispatch, sweep, bucket, rule, events}, err
}

// functions returns the functions in the order in which an upload meets them.
func (p parts) functions() []function {
	return []function{p.dispatch, p.webhook, p.sweep}
}

// logGroups returns the names of the log groups: of each function by its
// handler, and of "api" and "pipe".
func (p parts) logGroups() pulumi.StringMap {
	groups := pulumi.StringMap{"api": p.api.logs.Name}
	for _, f := range p.functions() {
		groups[f.handler] = f.logs.Name
	}
	if p.events != nil {
		groups["pipe"] = p.events.logs.Name
	}
	return groups
}

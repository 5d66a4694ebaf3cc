// Package cloud is the pipeline on AWS: one file for each part of it, all in
// one component.
//
// Nothing here asks AWS anything: a preview needs no more than the stack's
// configuration. What a policy has to know of region and account comes from the
// ARN of a resource that the stack makes.
package cloud

import (
	"maps"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
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

	Region      pulumi.StringOutput
	Bucket      pulumi.StringOutput
	Table       pulumi.StringOutput
	WebhookURL  pulumi.StringOutput // without the token
	Rule        pulumi.StringOutput
	RetryQueue  pulumi.StringOutput // URL
	DeadLetters pulumi.StringOutput // URL
	Functions   pulumi.StringMap    // handler → name
	LogGroups   pulumi.StringMap    // handler, "api" or "pipe" → name

	// Where the result events go, by ARN, and those that cannot be sent, by URL;
	// nil when the stack sends none.
	EventBus, DeadEvents pulumi.StringInput

	// APIKeyCommand puts Ittybit's API key into the secret that was made for it;
	// nil when the key is in one of the user's own.
	APIKeyCommand pulumi.StringInput

	// ConnectionPolicy is the least policy for the IAM user whose keys Ittybit's
	// connection has.
	ConnectionPolicy pulumi.StringOutput

	Settings pulumi.Map // what the scripts go by

	Console pulumi.StringMap // part → its page in the AWS console
}

// NewPipeline makes a pipeline. The names of its resources begin with name,
// which should come from [Prefix].
func NewPipeline(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Pipeline, error) {
	p := &Pipeline{}
	if err := ctx.RegisterComponentResource("ittybit-media:index:Pipeline", name, p, opts...); err != nil {
		return nil, err
	}
	b := &builder{
		Args:     args,
		ctx:      ctx,
		name:     name,
		tags:     tags(ctx, args.Config),
		pipeline: p,

		functions: pulumi.StringMap{},
		logGroups: pulumi.StringMap{},
	}
	if err := b.build(); err != nil {
		return nil, err
	}
	return p, ctx.RegisterResourceOutputs(p, p.Outputs())
}

// builder makes the parts in the order in which they need each other.
type builder struct {
	Args
	ctx      *pulumi.Context
	name     string
	tags     pulumi.StringMap
	pipeline *Pipeline

	place     place
	queues    queues
	table     *dynamodb.Table
	secrets   secrets
	api       *apigatewayv2.Api
	dispatch  *lambda.Function
	returns   []pulumi.Resource // the ways from dispatch to the retry queue and back
	events    *events           // nil: the stack sends no result events
	functions pulumi.StringMap
	logGroups pulumi.StringMap
	alarmARNs pulumi.StringArray    // nil: none
	dashboard *cloudwatch.Dashboard // nil: none
}

func (b *builder) build() error {
	for _, part := range []func() error{
		b.makeQueues,
		b.makeTable,
		b.makeSecrets,
		b.makeAPI,
		b.makeWebhook,
		b.makeDispatch,
		b.makeRule,
		b.makeSweep,
		b.makeEvents,
		b.makeAlarms,
		b.makeDashboard,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	b.pipeline.Functions, b.pipeline.LogGroups = b.functions, b.logGroups
	b.pipeline.Region = b.place.region
	b.pipeline.ConnectionPolicy = b.connectionPolicy()
	b.pipeline.Console = b.console()
	var err error
	b.pipeline.Settings, err = b.settings()
	return err
}

// named is the logical name of a part's resource.
func (b *builder) named(part string) string { return b.name + "-" + part }

// child are the options of a resource of the component.
func (b *builder) child(opts ...pulumi.ResourceOption) pulumi.ResourceOption {
	return pulumi.Composite(append(opts, pulumi.Parent(b.pipeline))...)
}

// kept are the options of a resource whose loss could not be made good: with
// `protect`, Pulumi refuses to delete or replace it.
func (b *builder) kept() pulumi.ResourceOption {
	return b.child(pulumi.Protect(b.Config.Protect))
}

// tags are the configured ones and those that tell whose resource it is.
func tags(ctx *pulumi.Context, config stack.Config) pulumi.StringMap {
	all := maps.Clone(config.Tags)
	if all == nil {
		all = map[string]string{}
	}
	all[stack.TagProject], all[stack.TagStack] = ctx.Project(), ctx.Stack()
	return pulumi.ToStringMap(all)
}

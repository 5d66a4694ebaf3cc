package cloud

import (
	"maps"
	"strings"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/infra/stack"
)

// scope is what all resources of a pipeline have in common. Nothing in it
// changes once it is made.
type scope struct {
	Args
	ctx    *pulumi.Context
	name   string // what the names of the resources begin with
	tags   pulumi.StringMap
	parent pulumi.Resource
}

// named returns the logical name of a part's resource.
func (s scope) named(part string) string { return s.name + "-" + part }

// child returns the options of a resource of the component.
func (s scope) child(opts ...pulumi.ResourceOption) pulumi.ResourceOption {
	return pulumi.Composite(append(opts, pulumi.Parent(s.parent))...)
}

// kept returns the options of a resource whose loss could not be made good:
// with `protect`, Pulumi refuses to delete or replace it.
func (s scope) kept() pulumi.ResourceOption {
	return s.child(pulumi.Protect(s.Config.Protect))
}

// metricsNamespace returns the CloudWatch namespace of the handlers' metrics,
// which keeps the stacks of one account apart.
func (s scope) metricsNamespace() string {
	return env.DefaultNamespace + "/" + s.ctx.Stack()
}

// script returns the command that runs one of the scripts for this stack.
func (s scope) script(name string, args ...string) string {
	return strings.Join(append([]string{"go run ./scripts/" + name + " -stack " + s.ctx.Stack()}, args...), " ")
}

// tags returns the configured tags and those that name the project and the
// stack.
func tags(ctx *pulumi.Context, config stack.Config) pulumi.StringMap {
	all := map[string]string{}
	maps.Copy(all, config.Tags)
	all[stack.TagProject], all[stack.TagStack] = ctx.Project(), ctx.Stack()
	return pulumi.ToStringMap(all)
}

// makeLogGroup makes a part's log group, whose name begins with path.
func makeLogGroup(s scope, path, part string) (*cloudwatch.LogGroup, error) {
	return cloudwatch.NewLogGroup(s.ctx, path+s.named(part), &cloudwatch.LogGroupArgs{
		RetentionInDays: pulumi.Int(s.Config.LogRetentionDays),
		Tags:            s.tags,
	}, s.child())
}

// seconds is a time as most of AWS takes it.
func seconds(d time.Duration) pulumi.Int { return pulumi.Int(d / time.Second) }

package cloud

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
)

// The handlers, by the names of their folders under handlers/.
const (
	dispatchHandler = "dispatch" // uploads invoke it
	webhookHandler  = "webhook"  // Ittybit's callbacks invoke it
	sweepHandler    = "sweep"    // asks for jobs whose callback does not come
)

// maxThrottled is how long Lambda tries to start an invocation that it has no
// capacity for; it is also the longest that AWS allows ("How Lambda handles
// errors and retries with asynchronous invocation", AWS Lambda Developer
// Guide).
const maxThrottled = 6 * time.Hour

// function is a Lambda function with its log group.
type function struct {
	*lambda.Function
	handler string
	logs    *cloudwatch.LogGroup
}

// functionSpec is what tells one function from the others.
type functionSpec struct {
	handler     string
	description string
	timeout     time.Duration
	concurrency int // reserved; 0: none
	environment pulumi.StringMap
	secrets     []reference
	grants      []statement // beside logs, tracing and the secrets
}

// makeFunction makes a function with a role and a log group of its own. What
// invokes it waits for it, and with that for its rights and for the callback
// keys that filled has put into their secret.
func makeFunction(s scope, spec functionSpec, table *dynamodb.Table, filled pulumi.Resource) (function, error) {
	archive, ok := s.Archives[spec.handler]
	if !ok {
		return function{}, fmt.Errorf("there is no zip of handler %s", spec.handler)
	}
	// Made here, so that it has an end; the role cannot make another.
	logs, err := makeLogGroup(s, "/aws/lambda/", spec.handler)
	if err != nil {
		return function{}, err
	}
	role, rights, err := makeRole(s, spec.handler, spec.description,
		statement{principals: service("lambda")}, functionGrants(s, spec, logs))
	if err != nil {
		return function{}, err
	}
	args := &lambda.FunctionArgs{
		Description:   pulumi.String(spec.description),
		Runtime:       pulumi.String("provided.al2023"),
		Handler:       pulumi.String("bootstrap"),
		Architectures: pulumi.ToStringArray([]string{s.Config.Architecture}),
		Code:          pulumi.NewFileArchive(archive),
		MemorySize:    pulumi.Int(s.Config.MemoryMB),
		Timeout:       seconds(spec.timeout),
		Role:          role.Arn,
		Environment:   &lambda.FunctionEnvironmentArgs{Variables: environment(s, spec, table)},
		LoggingConfig: &lambda.FunctionLoggingConfigArgs{
			LogFormat: pulumi.String("JSON"),
			LogGroup:  logs.Name,
			// Lambda counts a line without a level, such as a metric, as INFO and drops
			// it above that. LOG_LEVEL filters, in the function.
			ApplicationLogLevel: pulumi.String("DEBUG"),
			SystemLogLevel:      pulumi.String("INFO"),
		},
		TracingConfig: &lambda.FunctionTracingConfigArgs{Mode: pulumi.String("PassThrough")},
		Tags:          s.tags,
	}
	if s.Config.Tracing {
		args.TracingConfig = &lambda.FunctionTracingConfigArgs{Mode: pulumi.String("Active")}
	}
	if spec.concurrency > 0 {
		args.ReservedConcurrentExecutions = pulumi.Int(spec.concurrency)
	}
	made, err := lambda.NewFunction(s.ctx, s.named(spec.handler), args,
		s.child(pulumi.DependsOn([]pulumi.Resource{rights, filled})))
	return function{made, spec.handler, logs}, err
}

// functionGrants returns all that the function's role has to allow.
func functionGrants(s scope, spec functionSpec, logs *cloudwatch.LogGroup) []statement {
	grants := append([]statement{{
		actions:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		resources: []pulumi.StringInput{pulumi.Sprintf("%s:*", logs.Arn)}, // its streams
	}}, spec.grants...)
	for _, secret := range spec.secrets {
		grants = append(grants, secret.grants...)
	}
	if s.Config.Tracing {
		grants = append(grants, statement{
			actions:   []string{"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
			resources: []pulumi.StringInput{pulumi.String("*")}, // X-Ray knows no resource here
		})
	}
	return grants
}

// environment returns all variables of the function.
func environment(s scope, spec functionSpec, table *dynamodb.Table) pulumi.StringMap {
	all := pulumi.StringMap{
		env.TableName:        table.Name,
		env.ResultTTLDays:    pulumi.String(strconv.FormatInt(s.Config.ResultTTLDays, 10)),
		env.GiveUpAfter:      pulumi.String(s.Config.GiveUpAfter.String()),
		env.MetricsNamespace: pulumi.String(s.metricsNamespace()),
		env.LogLevel:         pulumi.String(strings.ToLower(s.Config.LogLevel.String())),
	}
	for _, secret := range spec.secrets {
		all[secret.variable] = secret.value
	}
	maps.Copy(all, spec.environment)
	return all
}

// makeRole makes a role that trust lets a service assume, and returns the
// resource that grants it its rights, too.
func makeRole(s scope, part, description string, trust statement, grants []statement) (*iam.Role, pulumi.Resource, error) {
	trust.actions = []string{"sts:AssumeRole"}
	role, err := iam.NewRole(s.ctx, s.named(part), &iam.RoleArgs{
		Description:      pulumi.String(description),
		AssumeRolePolicy: policy(trust),
		Tags:             s.tags,
	}, s.child())
	if err != nil {
		return nil, nil, err
	}
	rights, err := iam.NewRolePolicy(s.ctx, s.named(part), &iam.RolePolicyArgs{
		Role:   role.ID(),
		Policy: policy(grants...),
	}, s.child())
	return role, rights, err
}

// permit lets a service invoke the function on behalf of source, an ARN.
func permit(s scope, part string, f function, service string, source pulumi.StringInput) (pulumi.Resource, error) {
	return lambda.NewPermission(s.ctx, s.named(part), &lambda.PermissionArgs{
		Action:    pulumi.String("lambda:InvokeFunction"),
		Function:  f.Name,
		Principal: pulumi.String(service + ".amazonaws.com"),
		SourceArn: source,
	}, s.child())
}

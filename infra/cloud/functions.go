package cloud

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
)

// function is what tells one function from the others.
type function struct {
	handler     string // the folder under handlers/
	description string
	timeout     time.Duration
	concurrency int // reserved; 0: none
	environment pulumi.StringMap
	secrets     []reference
	grants      []statement // beside logs, tracing and the secrets
}

// makeFunction makes the function with a role and a log group of its own.
func (b *builder) makeFunction(f function) (*lambda.Function, error) {
	archive, ok := b.Archives[f.handler]
	if !ok {
		return nil, fmt.Errorf("there is no zip of handler %s", f.handler)
	}
	// Made here, so that it has an end; the role cannot make another.
	logs, err := cloudwatch.NewLogGroup(b.ctx, "/aws/lambda/"+b.named(f.handler), &cloudwatch.LogGroupArgs{
		RetentionInDays: pulumi.Int(b.Config.LogRetentionDays),
		Tags:            b.tags,
	}, b.child())
	if err != nil {
		return nil, err
	}
	role, err := iam.NewRole(b.ctx, b.named(f.handler), &iam.RoleArgs{
		Description: pulumi.String(f.description),
		AssumeRolePolicy: policy(statement{
			principals: service("lambda"),
			actions:    []string{"sts:AssumeRole"},
		}),
		Tags: b.tags,
	}, b.child())
	if err != nil {
		return nil, err
	}
	grants := append([]statement{{
		actions:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		resources: []pulumi.StringInput{pulumi.Sprintf("%s:*", logs.Arn)}, // its streams
	}}, f.grants...)
	environment := pulumi.StringMap{
		env.TableName:        b.table.Name,
		env.ResultTTLDays:    pulumi.String(strconv.FormatInt(b.Config.ResultTTLDays, 10)),
		env.MetricsNamespace: pulumi.String(b.metricsNamespace()),
		env.LogLevel:         pulumi.String(strings.ToLower(b.Config.LogLevel.String())),
	}
	for _, s := range f.secrets {
		grants = append(grants, s.grants...)
		environment[s.variable] = s.value
	}
	for name, value := range f.environment {
		environment[name] = value
	}
	tracing := "PassThrough"
	if b.Config.Tracing {
		tracing = "Active"
		grants = append(grants, statement{
			actions:   []string{"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
			resources: []pulumi.StringInput{pulumi.String("*")}, // X-Ray knows no resource here
		})
	}
	rights, err := iam.NewRolePolicy(b.ctx, b.named(f.handler), &iam.RolePolicyArgs{
		Role:   role.ID(),
		Policy: policy(grants...),
	}, b.child())
	if err != nil {
		return nil, err
	}
	args := &lambda.FunctionArgs{
		Description:   pulumi.String(f.description),
		Runtime:       pulumi.String("provided.al2023"),
		Handler:       pulumi.String("bootstrap"),
		Architectures: pulumi.ToStringArray([]string{b.Config.Architecture}),
		Code:          pulumi.NewFileArchive(archive),
		MemorySize:    pulumi.Int(b.Config.MemoryMB),
		Timeout:       seconds(f.timeout),
		Role:          role.Arn,
		Environment:   &lambda.FunctionEnvironmentArgs{Variables: environment},
		LoggingConfig: &lambda.FunctionLoggingConfigArgs{
			LogFormat: pulumi.String("JSON"),
			LogGroup:  logs.Name,
			// Lambda counts a line without a level, such as a metric, as INFO and drops
			// it above that. LOG_LEVEL filters, in the function.
			ApplicationLogLevel: pulumi.String("DEBUG"),
			SystemLogLevel:      pulumi.String("INFO"),
		},
		TracingConfig: &lambda.FunctionTracingConfigArgs{Mode: pulumi.String(tracing)},
		Tags:          b.tags,
	}
	if f.concurrency > 0 {
		args.ReservedConcurrentExecutions = pulumi.Int(f.concurrency)
	}
	// What invokes the function waits for it, and with that for its rights.
	made, err := lambda.NewFunction(b.ctx, b.named(f.handler), args,
		b.child(pulumi.DependsOn([]pulumi.Resource{rights, b.secrets.filled})))
	if err != nil {
		return nil, err
	}
	b.functions[f.handler], b.logGroups[f.handler] = made.Name, logs.Name
	return made, nil
}

// metricsNamespace keeps the metrics of the stacks of one account apart.
func (b *builder) metricsNamespace() string {
	return env.DefaultNamespace + "/" + b.ctx.Stack()
}

// seconds is a time as most of AWS takes it.
func seconds(d time.Duration) pulumi.Int { return pulumi.Int(d / time.Second) }

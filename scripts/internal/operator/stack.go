package operator

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/results"
	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/access"
)

// maxAttempts is more than the SDK's three: long work should not end because a
// service throttles for some seconds.
const maxAttempts = 8

// Stack is a deployed stack, or a local run that stands for one.
type Stack struct {
	Name    string
	Root    string // the module's folder
	Local   bool
	Outputs stack.Outputs

	aws   aws.Config
	s3URL string // "": AWS's own
}

// Connect finds the target's outputs and the credentials for its region. It
// asks AWS nothing: the first request of a client does.
func (t Target) Connect(ctx context.Context) (*Stack, error) {
	return t.open(ctx, func(root string) (stack.Outputs, error) { return pulumiOutputs(ctx, root, t.Stack) })
}

// Ahead is the target before its first deployment: the credentials for its
// region, and no other outputs. Of a local run it is all that [Target.Connect]
// finds.
func (t Target) Ahead(ctx context.Context, region string) (*Stack, error) {
	return t.open(ctx, func(string) (stack.Outputs, error) { return stack.Outputs{Region: region}, nil })
}

func (t Target) open(ctx context.Context, outputs func(root string) (stack.Outputs, error)) (*Stack, error) {
	root, err := t.root()
	if err != nil {
		return nil, err
	}
	if t.Local != "" {
		return t.local(root)
	}
	s := &Stack{Name: t.Stack, Root: root}
	if s.Outputs, err = outputs(root); err != nil {
		return nil, err
	}
	if s.aws, err = loadAWS(ctx, s.Outputs.Region); err != nil {
		return nil, err
	}
	return s, nil
}

func (t Target) root() (string, error) {
	if t.Root != "" {
		return t.Root, nil
	}
	root, err := bundle.FindRoot()
	if err != nil {
		return "", cli.Usagef("%w", err)
	}
	return root, nil
}

func (t Target) local(root string) (*Stack, error) {
	file := t.Local
	if file == defaultLocal {
		file = access.File(root)
	}
	local, err := access.Read(file)
	if err != nil {
		return nil, err
	}
	return &Stack{
		Name: t.Stack, Root: root, Local: true, Outputs: local.Outputs, s3URL: local.S3URL,
		aws: aws.Config{
			Region:           local.Outputs.Region,
			Credentials:      credentials.NewStaticCredentialsProvider(local.AccessKey, local.SecretKey, ""),
			BaseEndpoint:     aws.String(local.AWSURL),
			HTTPClient:       http.NewBuildableClient(), // one for all, or each has connections of its own
			RetryMaxAttempts: maxAttempts,
			APIOptions:       apiOptions,
			AppID:            awsclient.AppID,
		},
	}, nil
}

var apiOptions = []func(*middleware.Stack) error{awsclient.KeepConnections}

// loadAWS finds the credentials as every AWS tool does: in the environment, the
// shared files, AWS_PROFILE, SSO, a role.
func loadAWS(ctx context.Context, region string) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithAppID(awsclient.AppID), config.WithRetryMaxAttempts(maxAttempts), config.WithAPIOptions(apiOptions))
	if err != nil {
		return aws.Config{}, fmt.Errorf("the AWS configuration (environment, ~/.aws, AWS_PROFILE) cannot be used: %w", err)
	}
	return cfg, nil
}

// StackFile is the path of the target's stack file.
func (t Target) StackFile(root string) string {
	return filepath.Join(root, "Pulumi."+t.Stack+".yaml")
}

// AWS is the configuration for a client of any service but S3.
func (s *Stack) AWS() aws.Config { return s.aws }

// S3 is a client for the bucket.
func (s *Stack) S3() *s3.Client {
	return s3.NewFromConfig(s.aws, func(o *s3.Options) {
		if s.s3URL != "" {
			o.BaseEndpoint, o.UsePathStyle = aws.String(s.s3URL), true
		}
	})
}

// DynamoDB is a client for the table.
func (s *Stack) DynamoDB() *dynamodb.Client { return dynamodb.NewFromConfig(s.aws) }

// Table is the results table, to be read.
func (s *Stack) Table() *results.Table {
	return results.New(s.DynamoDB(), s.Outputs.Table, results.Options{})
}

// SQS is a client for the queues.
func (s *Stack) SQS() *sqs.Client { return sqs.NewFromConfig(s.aws) }

// Lambda is a client for the functions.
func (s *Stack) Lambda() *lambda.Client { return lambda.NewFromConfig(s.aws) }

// Logs is a client for the functions' logs.
func (s *Stack) Logs() *cloudwatchlogs.Client { return cloudwatchlogs.NewFromConfig(s.aws) }

// Secrets is a client for Secrets Manager.
func (s *Stack) Secrets() *secretsmanager.Client { return secretsmanager.NewFromConfig(s.aws) }

// Parameters is a client for Parameter Store.
func (s *Stack) Parameters() *ssm.Client { return ssm.NewFromConfig(s.aws) }

// STS is a client that tells whose the credentials are.
func (s *Stack) STS() *sts.Client { return sts.NewFromConfig(s.aws) }

package dynamodb

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/middleware"

	"ittybit-media/handlers/awsclient"

	"ittybit-media/scripts/local/aws/endpoint"
)

// Client is a client of the endpoint at url, with credentials that mean
// nothing.
func Client(url string, options ...func(*dynamodb.Options)) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       endpoint.Region,
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		APIOptions:   []func(*middleware.Stack) error{awsclient.KeepConnections},
	}, options...)
}

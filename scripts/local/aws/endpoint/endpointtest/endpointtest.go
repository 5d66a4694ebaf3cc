// Package endpointtest is what the tests of the emulators share: an endpoint
// that is served, and how to read an error of one.
package endpointtest

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"ittybit-media/scripts/local/aws/endpoint"
)

// AccessKey is the id of the key that clients of [Serve] sign with.
const AccessKey = "caller"

// Serve serves an endpoint with these services until the test ends. It returns
// the endpoint and the configuration of clients that call it and do not retry.
func Serve(t testing.TB, services ...endpoint.Service) (*endpoint.Server, aws.Config) {
	t.Helper()
	e := endpoint.New()
	for _, service := range services {
		e.Mount(service)
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return e, aws.Config{
		Region: endpoint.Region, BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(AccessKey, "secret", ""),
	}
}

// Code returns the code of an error of AWS, the text of any other error, and ""
// for none.
func Code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

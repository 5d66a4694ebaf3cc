// Package handlertest is what the tests of the handlers share: an AWS endpoint
// with what the functions use.
package handlertest

import (
	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/secretsmanager"
	"ittybit-media/scripts/local/aws/ssm"
)

// AWS is an endpoint with a database, secrets and parameters. It has none of
// them yet, and is to be served.
type AWS struct {
	*endpoint.Server
	Tables     *dynamodb.Database
	Secrets    *secretsmanager.Secrets
	Parameters *ssm.Parameters
}

// NewAWS returns an endpoint without tables, secrets and parameters.
func NewAWS() *AWS {
	a := &AWS{
		Server:     endpoint.New(),
		Tables:     dynamodb.New(),
		Secrets:    secretsmanager.New(),
		Parameters: ssm.New(),
	}
	a.Mount(a.Tables.API())
	a.Mount(a.Secrets.API())
	a.Mount(a.Parameters.API())
	return a
}

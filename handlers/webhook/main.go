// Command webhook is the Lambda function behind API Gateway that takes
// Ittybit's callbacks and writes the results to the table.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/record"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/secrets"
	"ittybit-media/handlers/telemetry"
)

func main() {
	h, err := wire(os.Getenv)
	if err != nil {
		function.Exit(err)
	}
	lambda.Start(h.Handle)
}

// wire builds the handler from the environment. Nothing is read yet but what
// is on its way when the first callback comes.
func wire(getenv func(string) string) (*handler, error) {
	cfg, err := env.LoadWebhook(getenv)
	if err != nil {
		return nil, err
	}
	aws, err := awsclient.FromEnv(getenv)
	if err != nil {
		return nil, err
	}
	log := telemetry.NewLogger(cfg.LogLevel)
	table := results.New(dynamodb.NewFromConfig(aws), cfg.Table, results.Options{TTL: cfg.ResultTTL})

	// What runs beside the init from here on takes its time from it: the work
	// is done by now.
	results.Connect(aws)
	metrics := telemetry.NewMetrics(os.Stdout, cfg.Namespace)
	h := &handler{results: record.Recorder{Table: table, Metrics: metrics}, log: log, metrics: metrics}
	if cfg.Auth != env.AuthSignature {
		keys := secrets.NewValue(log, fmt.Sprintf("the callback keys (%s)", cfg.CallbackKeys), secrets.FromSecretsManager(aws, cfg.CallbackKeys), secrets.CallbackKeys)
		keys.Prefetch()
		h.tokens = &tokenVerifier{keys}
	}
	if cfg.Auth != env.AuthToken {
		signing := secrets.NewValue(log, fmt.Sprintf("Ittybit's webhook secret (%s)", cfg.SigningSecrets), secrets.FromSecretsManager(aws, cfg.SigningSecrets), secrets.Texts)
		signing.Prefetch()
		h.signatures = &signatureVerifier{signing}
	}
	return h, nil
}

// Command sweep is the Lambda function that ends the jobs whose callback does
// not come: on a schedule, it asks Ittybit for them. Any event invokes it, so a
// person may, too.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/record"
	"ittybit-media/handlers/results"
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
// is on its way when the first event comes.
func wire(getenv func(string) string) (*handler, error) {
	cfg, err := env.LoadSweep(getenv)
	if err != nil {
		return nil, err
	}
	aws, err := awsclient.FromEnv(getenv)
	if err != nil {
		return nil, err
	}
	log := telemetry.NewLogger(cfg.LogLevel)
	metrics := telemetry.NewMetrics(os.Stdout, cfg.Namespace)

	client, apiKey, err := function.OpenAccount(aws, cfg.APIURL, cfg.APIKey, log)
	if err != nil {
		return nil, err
	}
	table := results.New(dynamodb.NewFromConfig(aws), cfg.Table, results.Options{TTL: cfg.ResultTTL})
	return &handler{
		overdue: cfg.OverdueAfter,
		giveUp:  cfg.GiveUpAfter,
		ittybit: client,
		apiKey:  apiKey.Get,
		jobs:    table,
		results: record.Recorder{Table: table, Metrics: metrics},
		log:     log,
		metrics: metrics,
	}, nil
}

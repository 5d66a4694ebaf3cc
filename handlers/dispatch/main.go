// Command dispatch is the Lambda function that turns uploads into Ittybit jobs.
// EventBridge invokes it for every upload; the retry queue brings back what
// failed.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/secrets"
	"ittybit-media/handlers/telemetry"
)

func main() {
	h, err := wire(os.Getenv)
	if err != nil {
		function.Exit(err)
	}
	lambda.Start(h)
}

// wire builds the handler from the environment. Nothing is read yet but what
// is on its way when the first event comes.
func wire(getenv func(string) string) (*handler, error) {
	cfg, err := env.LoadDispatch(getenv)
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
	client, _, err := function.OpenAccount(aws, cfg.APIURL, cfg.APIKey, log)
	if err != nil {
		return nil, err
	}
	callbackKeys := secrets.NewValue(log, fmt.Sprintf("the callback keys (%s)", cfg.CallbackKeys), secrets.FromSecretsManager(aws, cfg.CallbackKeys), secrets.CallbackKeys)
	callbackKeys.Prefetch()
	results.Connect(aws)
	client.Connect()
	return &handler{
		routes:     cfg.Routes,
		outputs:    cfg.OutputPrefix,
		table:      cfg.Table,
		webhookURL: cfg.WebhookURL,
		connection: cfg.Connection,
		placement:  cfg.Placement,
		overdue:    cfg.OverdueAfter,
		direct:     client,
		queued:     client.Attempts(1),
		store:      table,
		keys:       callbackKeys.Get,
		budget:     &budget{limit: cfg.DailyJobLimit, store: table},
		log:        log,
		metrics:    telemetry.NewMetrics(os.Stdout, cfg.Namespace),
	}, nil
}

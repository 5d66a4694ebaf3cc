// Package dispatcher turns uploads into Ittybit jobs, exactly one for each that
// is configured.
package dispatcher

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/secrets"
)

// Wire builds the handler from the environment. Nothing is read yet but what
// is on its way when the first event comes.
func Wire(getenv func(string) string, o function.Options) (*Handler, error) {
	cfg, err := env.LoadDispatch(getenv)
	if err != nil {
		return nil, err
	}
	aws, err := o.AWS(getenv)
	if err != nil {
		return nil, err
	}
	log, metrics := o.Telemetry(cfg.LogLevel, cfg.Namespace)
	table := results.New(dynamodb.NewFromConfig(aws), cfg.Table, results.Options{TTL: cfg.ResultTTL, GiveUpAfter: cfg.GiveUpAfter})

	// What runs beside the init from here on takes its time from it: the work
	// is done by now.
	client, _, err := function.OpenAccount(o, aws, cfg.APIURL, cfg.APIKey, log)
	if err != nil {
		return nil, err
	}
	callbackKeys := secrets.NewValue(log, fmt.Sprintf("the callback keys (%s)", cfg.CallbackKeys), secrets.FromSecretsManager(aws, cfg.CallbackKeys), secrets.CallbackKeys)
	callbackKeys.Prefetch()
	results.Connect(aws)
	client.Connect()
	return &Handler{
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
		limit:      &limit{jobs: cfg.DailyJobLimit, store: table},
		log:        log,
		metrics:    metrics,
	}, nil
}

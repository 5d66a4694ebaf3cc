// Package sweeper ends the jobs whose callback does not come: it asks Ittybit
// for them.
package sweeper

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/record"
	"ittybit-media/handlers/results"
)

// Wire builds the handler from the environment. Nothing is read yet but what
// is on its way when the first event comes.
func Wire(getenv func(string) string, o function.Options) (*Handler, error) {
	cfg, err := env.LoadSweep(getenv)
	if err != nil {
		return nil, err
	}
	aws, err := o.AWS(getenv)
	if err != nil {
		return nil, err
	}
	log, metrics := o.Telemetry(cfg.LogLevel, cfg.Namespace)

	client, apiKey, err := function.OpenAccount(o, aws, cfg.APIURL, cfg.APIKey, log)
	if err != nil {
		return nil, err
	}
	table := results.New(dynamodb.NewFromConfig(aws), cfg.Table, results.Options{TTL: cfg.ResultTTL})
	return &Handler{
		overdue: cfg.OverdueAfter,
		giveUp:  cfg.GiveUpAfter,
		ittybit: client,
		apiKey:  apiKey.Get,
		jobs:    table,
		leases:  table,
		results: record.Recorder{Table: table, Metrics: metrics},
		log:     log,
		metrics: metrics,
	}, nil
}

// Package receiver takes Ittybit's callbacks and writes the results to the
// table.
package receiver

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/record"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/secrets"
)

// Wire builds the handler from the environment. Nothing is read yet but what
// is on its way when the first callback comes.
func Wire(getenv func(string) string, o function.Options) (*Handler, error) {
	cfg, err := env.LoadWebhook(getenv)
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
	results.Connect(aws)
	h := &Handler{results: record.Recorder{Table: table, Metrics: metrics}, log: log, metrics: metrics}
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

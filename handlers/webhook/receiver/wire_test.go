package receiver

import (
	"strings"
	"testing"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
)

// The init ends with an error that names every variable that is missing or
// wrong, and gives no value of a credential away.
func TestWireNamesTheVariable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		changes []string
		names   []string
	}{
		"no table":           {changes: []string{env.TableName, ""}, names: []string{env.TableName}},
		"no keys":            {changes: []string{env.CallbackKeySecret, ""}, names: []string{env.CallbackKeySecret}},
		"blank keys":         {changes: []string{env.CallbackKeySecret, "  "}, names: []string{env.CallbackKeySecret}},
		"nothing":            {changes: []string{env.TableName, "", env.CallbackKeySecret, ""}, names: []string{env.TableName, env.CallbackKeySecret}},
		"unknown auth":       {changes: []string{env.WebhookAuth, "none"}, names: []string{env.WebhookAuth}},
		"signature, none":    {changes: []string{env.WebhookAuth, "signature"}, names: []string{env.IttybitWebhookSecret}},
		"both, no secret":    {changes: []string{env.WebhookAuth, "both"}, names: []string{env.IttybitWebhookSecret}},
		"both, nothing":      {changes: []string{env.WebhookAuth, "both", env.CallbackKeySecret, ""}, names: []string{env.IttybitWebhookSecret, env.CallbackKeySecret}},
		"short TTL":          {changes: []string{env.ResultTTLDays, "29"}, names: []string{env.ResultTTLDays}},
		"TTL in words":       {changes: []string{env.ResultTTLDays, "a month"}, names: []string{env.ResultTTLDays}},
		"unknown level":      {changes: []string{env.LogLevel, "loud"}, names: []string{env.LogLevel}},
		"no region":          {changes: []string{"AWS_REGION", ""}, names: []string{"AWS_REGION"}},
		"no credentials":     {changes: []string{"AWS_ACCESS_KEY_ID", ""}, names: []string{"AWS_ACCESS_KEY_ID"}},
		"endpoint of no use": {changes: []string{"AWS_ENDPOINT_URL", "nowhere"}, names: []string{"AWS_ENDPOINT_URL"}},
	}
	c := newCloud(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := Wire(c.Env().With(env.CallbackKeySecret, keysName).With(tt.changes...).Get, function.Options{})
			if err == nil {
				t.Fatalf("wired: %+v", h)
			}
			for _, name := range tt.names {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("error %q, want %s in it", err, name)
				}
			}
			if strings.Contains(err.Error(), "private") {
				t.Errorf("error %q gives a credential away", err)
			}
		})
	}
}

// What the environment says is what the handler does with it: names and ARNs of
// secrets, and a secret's key for each mode.
func TestWireUsesTheEnvironment(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:" + keysName + "-a1B2c3"
	c := newCloud(t)
	f := c.deploy(t, env.CallbackKeySecret, arn, env.LogLevel, "warn", env.MetricsNamespace, "Mine")
	f.noted(t, ref, "task_abc123")
	f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), stored)

	signatures := newCloud(t).deploySigned(t)
	if signatures.tokens != nil || signatures.signatures == nil {
		t.Error("with signatures alone the callback keys are read, or no secret is")
	}
	tokens := newCloud(t).deploy(t, env.IttybitWebhookSecret, secretName)
	if tokens.signatures != nil || tokens.tokens == nil {
		t.Error("with tokens alone the webhook secret is read, or no key is")
	}
}

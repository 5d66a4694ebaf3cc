package cloud_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"ittybit-media/infra/stack"
)

// understood returns the outputs as the scripts read them.
func (d *deployment) understood(t testing.TB) stack.Outputs {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(toJSON(t, d.outputs)))
	decoder.DisallowUnknownFields()
	var o stack.Outputs
	if err := decoder.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOutputsOfDev(t *testing.T) {
	t.Parallel()
	got := deploy(t, "dev", stackFile(t, "dev")).understood(t)
	const name, queue = "ittybit-dev-", "https://sqs.eu-west-1.amazonaws.com/123456789012/ittybit-dev-"
	want := stack.Outputs{
		Region:             "eu-west-1",
		Bucket:             name + "uploads" + random,
		WebhookURL:         "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/webhook",
		Table:              name + "results" + random,
		Rule:               name + "uploads" + random,
		RetryQueueURL:      queue + "retry" + random,
		DeadLetterQueueURL: queue + "dead-letters" + random,
		Functions:          map[string]string{"dispatch": name + "dispatch" + random, "webhook": name + "webhook" + random, "sweep": name + "sweep" + random},
		LogGroups: map[string]string{
			"api":      "/aws/vendedlogs/" + name + "api" + random,
			"dispatch": "/aws/lambda/" + name + "dispatch" + random,
			"webhook":  "/aws/lambda/" + name + "webhook" + random,
			"sweep":    "/aws/lambda/" + name + "sweep" + random,
		},
		APIKeyCommand: `(read -rs key && printf %s "$key" | aws secretsmanager put-secret-value --region eu-west-1 --secret-id ` + name + "api-key" + random +
			" --secret-string file:///dev/stdin)",
		// These have tests of their own.
		Settings: got.Settings, ConnectionPolicy: got.ConnectionPolicy, Console: got.Console,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for part, want := range map[string]string{
		"bucket":       "https://eu-west-1.console.aws.amazon.com/s3/buckets/ittybit-dev-uploads-1a2b3c4",
		"dispatch":     "https://eu-west-1.console.aws.amazon.com/lambda/home#/functions/ittybit-dev-dispatch-1a2b3c4",
		"dispatchLogs": "https://eu-west-1.console.aws.amazon.com/cloudwatch/home#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fittybit-dev-dispatch-1a2b3c4",
		"retryQueue":   "https://eu-west-1.console.aws.amazon.com/sqs/v3/home#/queues/https%3A%2F%2Fsqs.eu-west-1.amazonaws.com%2F123456789012%2Fittybit-dev-retry-1a2b3c4",
		"api":          "https://eu-west-1.console.aws.amazon.com/apigateway/main/apis/a1b2c3/routes",
	} {
		if got.Console[part] != want {
			t.Errorf("page of %s: %s, want %s", part, got.Console[part], want)
		}
	}
}

func TestOutputsOfEachStack(t *testing.T) {
	eachStack(t, func(t *testing.T, name string, v values, d *deployment) {
		c, o := config(t, v), d.understood(t)
		if strings.Contains(toJSON(t, d.outputs), callbackKey) {
			t.Error("an output has a callback key")
		}
		if missing := o.Missing(); len(missing) > 0 {
			t.Errorf("there is no output %v", missing)
		}
		page := ""
		if c.Dashboard {
			page = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home#dashboards/dashboard/ittybit-" + name + "-a1b2c3"
		}
		if got := o.Console["dashboard"]; got != page {
			t.Errorf("page of the dashboard: %q, want %q", got, page)
		}
		if (o.APIKeyCommand != "") == (name == "everything") {
			t.Errorf("a command that fills the secret: %q", o.APIKeyCommand)
		}
		routes, err := o.Settings.ParseRoutes()
		if err != nil || !reflect.DeepEqual(routes, c.Routes) {
			t.Errorf("the routes came out as %v, %v", routes, err)
		}
		want, err := c.Settings()
		if err != nil {
			t.Fatal(err)
		}
		want.Routes, want.APIKeySecret, want.APIKeyParameter = o.Settings.Routes, o.Settings.APIKeySecret, o.Settings.APIKeyParameter
		if !reflect.DeepEqual(o.Settings, want) {
			t.Errorf("settings %+v, want %+v", o.Settings, want)
		}
		if o.Settings.APIKeyParameter != c.APIKeyParameter || (o.Settings.APIKeySecret == "") == (c.APIKeyParameter == "") {
			t.Errorf("the API key is in %q or %q", o.Settings.APIKeySecret, o.Settings.APIKeyParameter)
		}
	})
}

package cloud_test

import (
	"strings"
	"testing"
)

func TestTheAPI(t *testing.T) {
	eachStack(t, func(t *testing.T, _ string, v values, d *deployment) {
		c := config(t, v)
		stage, integration, logs := d.one(t, "Stage", ""), d.one(t, "Integration", ""), d.one(t, "LogGroup", "-api")
		d.one(t, "Api", "").has(t, inputs{"protocolType": "HTTP"})
		stage.has(t, inputs{
			"apiId":      "a1b2c3",
			"name":       "$default",
			"autoDeploy": true,
			"defaultRouteSettings.throttlingBurstLimit": float64(c.WebhookBurst),
			"defaultRouteSettings.throttlingRateLimit":  float64(c.WebhookRate),
			"accessLogSettings.destinationArn":          logs.out(t, "arn"),
		})
		logs.has(t, inputs{"retentionInDays": float64(c.LogRetentionDays)})
		integration.has(t, inputs{
			"integrationType":      "AWS_PROXY",
			"integrationMethod":    "POST",
			"payloadFormatVersion": "2.0",
			"integrationUri":       d.function(t, "webhook").out(t, "invokeArn"),
		})
		d.one(t, "Route", "").has(t, inputs{"routeKey": "POST /webhook", "target": "integrations/" + integration.name + "-id"})
		for _, throttle := range []string{"throttlingBurstLimit", "throttlingRateLimit"} {
			if n, _ := stage.at("defaultRouteSettings." + throttle).(float64); n <= 0 {
				t.Errorf("%s is %v: every request would be refused", throttle, n)
			}
		}
		if ms := integration.at("timeoutMilliseconds").(float64); ms <= 1000*d.function(t, "webhook").at("timeout").(float64) || ms > 30000 {
			t.Errorf("API Gateway waits %v ms", ms)
		}
		if !strings.HasPrefix(logs.out(t, "name"), "/aws/vendedlogs/") {
			t.Errorf("access log in %s: its resource policy may outgrow its limit", logs.out(t, "name"))
		}
		var line map[string]string
		fromJSON(t, stage.at("accessLogSettings.format"), &line)
		for name, value := range line {
			// The query holds the token; the caller's own words could break the line.
			if strings.Contains(strings.ToLower(value), "query") || strings.Contains(value, "userAgent") || !strings.HasPrefix(value, "$context.") {
				t.Errorf("the access log has %s: %s", name, value)
			}
		}
		if line["path"] != "$context.path" || line["status"] != "$context.status" || line["integrationError"] == "" {
			t.Errorf("the access log is of no use: %v", line)
		}
	})
}

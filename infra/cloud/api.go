package cloud

import (
	"encoding/json"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/media"
)

// api is the HTTP API that Ittybit calls, with its access log.
type api struct {
	*apigatewayv2.Api
	logs *cloudwatch.LogGroup
}

// webhookURL returns where callbacks go, without the token.
func (a api) webhookURL() pulumi.StringOutput {
	return pulumi.Sprintf("%s%s", a.ApiEndpoint, media.WebhookPath)
}

// makeAPI makes the API. Its URL is in every job that is under way, so it is
// kept.
func makeAPI(s scope) (api, error) {
	logs, err := makeLogGroup(s, "/aws/vendedlogs/", "api")
	if err != nil {
		return api{}, err
	}
	made, err := apigatewayv2.NewApi(s.ctx, s.named("api"), &apigatewayv2.ApiArgs{
		Description:  pulumi.String("Ittybit's callbacks"),
		ProtocolType: pulumi.String("HTTP"),
		Tags:         s.tags,
	}, s.kept())
	if err != nil {
		return api{}, err
	}
	_, err = apigatewayv2.NewStage(s.ctx, s.named("api"), &apigatewayv2.StageArgs{
		ApiId:      made.ID(),
		Name:       pulumi.String("$default"),
		AutoDeploy: pulumi.Bool(true),
		// Both or none: one that is left out would be 0, and 0 refuses everything.
		DefaultRouteSettings: &apigatewayv2.StageDefaultRouteSettingsArgs{
			ThrottlingBurstLimit: pulumi.Int(s.Config.WebhookBurst),
			ThrottlingRateLimit:  pulumi.Float64(s.Config.WebhookRate),
		},
		AccessLogSettings: &apigatewayv2.StageAccessLogSettingsArgs{
			DestinationArn: logs.Arn,
			Format:         pulumi.String(accessLog()),
		},
		Tags: s.tags,
	}, s.child())
	return api{made, logs}, err
}

// accessLog returns one line of the access log. $context.path is without the
// query, which holds the token; nothing in it is in the caller's own words.
func accessLog() string {
	line := map[string]string{
		"time":               "$context.requestTime",
		"requestId":          "$context.requestId",
		"ip":                 "$context.identity.sourceIp",
		"method":             "$context.httpMethod",
		"path":               "$context.path",
		"status":             "$context.status",
		"error":              "$context.error.message",
		"responseLength":     "$context.responseLength",
		"responseLatency":    "$context.responseLatency",
		"integrationStatus":  "$context.integrationStatus",
		"integrationError":   "$context.integrationErrorMessage",
		"integrationLatency": "$context.integrationLatency",
	}
	text, _ := json.Marshal(line) // strings only: it cannot fail
	return string(text)
}

package cloud

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/media"
)

// makeAPI makes the HTTP API that Ittybit calls. Its URL is in every job that is
// under way, so it is kept.
func (b *builder) makeAPI() error {
	logs, err := cloudwatch.NewLogGroup(b.ctx, "/aws/vendedlogs/"+b.named("api"), &cloudwatch.LogGroupArgs{
		RetentionInDays: pulumi.Int(b.Config.LogRetentionDays),
		Tags:            b.tags,
	}, b.child())
	if err != nil {
		return err
	}
	b.logGroups["api"] = logs.Name
	b.api, err = apigatewayv2.NewApi(b.ctx, b.named("api"), &apigatewayv2.ApiArgs{
		Description:  pulumi.String("Ittybit's callbacks"),
		ProtocolType: pulumi.String("HTTP"),
		Tags:         b.tags,
	}, b.kept())
	if err != nil {
		return err
	}
	b.pipeline.WebhookURL = pulumi.Sprintf("%s%s", b.api.ApiEndpoint, media.WebhookPath)
	_, err = apigatewayv2.NewStage(b.ctx, b.named("api"), &apigatewayv2.StageArgs{
		ApiId:      b.api.ID(),
		Name:       pulumi.String("$default"),
		AutoDeploy: pulumi.Bool(true),
		// Both or none: one that is left out would be 0, and 0 refuses everything.
		DefaultRouteSettings: &apigatewayv2.StageDefaultRouteSettingsArgs{
			ThrottlingBurstLimit: pulumi.Int(b.Config.WebhookBurst),
			ThrottlingRateLimit:  pulumi.Float64(b.Config.WebhookRate),
		},
		AccessLogSettings: &apigatewayv2.StageAccessLogSettingsArgs{
			DestinationArn: logs.Arn,
			Format:         pulumi.String(accessLog()),
		},
		Tags: b.tags,
	}, b.child())
	return err
}

// accessLog is one line of the access log. $context.path is without the query,
// which holds the token; nothing in it is in the caller's own words.
func accessLog() string {
	line := map[string]string{}
	for name, variable := range map[string]string{
		"time":               "requestTime",
		"requestId":          "requestId",
		"ip":                 "identity.sourceIp",
		"method":             "httpMethod",
		"path":               "path",
		"status":             "status",
		"error":              "error.message",
		"responseLength":     "responseLength",
		"responseLatency":    "responseLatency",
		"integrationStatus":  "integrationStatus",
		"integrationError":   "integrationErrorMessage",
		"integrationLatency": "integrationLatency",
	} {
		line[name] = "$context." + variable
	}
	text, _ := json.Marshal(line) // strings only: it cannot fail
	return string(text)
}

// route sends the API's one route to the function.
func (b *builder) route(f *lambda.Function) error {
	integration, err := apigatewayv2.NewIntegration(b.ctx, b.named("webhook"), &apigatewayv2.IntegrationArgs{
		ApiId:                b.api.ID(),
		IntegrationType:      pulumi.String("AWS_PROXY"),
		IntegrationMethod:    pulumi.String("POST"),
		IntegrationUri:       f.InvokeArn,
		PayloadFormatVersion: pulumi.String("2.0"),
		// A little more than the function has, so that its own timeout comes first.
		TimeoutMilliseconds: pulumi.Int((media.WebhookTimeout + time.Second).Milliseconds()),
	}, b.child())
	if err != nil {
		return err
	}
	if _, err := apigatewayv2.NewRoute(b.ctx, b.named("webhook"), &apigatewayv2.RouteArgs{
		ApiId:    b.api.ID(),
		RouteKey: pulumi.String(media.WebhookRoute),
		Target:   pulumi.Sprintf("integrations/%s", integration.ID()),
	}, b.child()); err != nil {
		return err
	}
	_, err = lambda.NewPermission(b.ctx, b.named("webhook"), &lambda.PermissionArgs{
		Action:    pulumi.String("lambda:InvokeFunction"),
		Function:  f.Name,
		Principal: pulumi.String("apigateway.amazonaws.com"),
		// In every stage, this route alone.
		SourceArn: pulumi.Sprintf("%s/*/%s", b.api.ExecutionArn, strings.Replace(media.WebhookRoute, " ", "", 1)),
	}, b.child())
	return err
}

package cloud

import (
	"strings"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
)

// makeWebhook makes the function that stores the results, behind the API's one
// route.
func makeWebhook(s scope, a api, table *dynamodb.Table, all secrets) (function, error) {
	var used []reference
	if s.Config.WebhookAuth != env.AuthSignature {
		used = append(used, all.callbackKeys)
	}
	if all.webhook != nil {
		used = append(used, *all.webhook)
	}
	f, err := makeFunction(s, functionSpec{
		handler:     webhookHandler,
		description: "Stores what Ittybit says of a job",
		timeout:     media.WebhookTimeout,
		environment: pulumi.StringMap{env.WebhookAuth: pulumi.String(s.Config.WebhookAuth)},
		secrets:     used,
		grants: []statement{{
			actions:   []string{"dynamodb:GetItem", "dynamodb:UpdateItem"},
			resources: []pulumi.StringInput{table.Arn},
		}},
	}, table, all.filled)
	if err != nil {
		return function{}, err
	}
	return f, makeRoute(s, a, f)
}

// makeRoute sends the API's one route to the function.
func makeRoute(s scope, a api, webhook function) error {
	integration, err := apigatewayv2.NewIntegration(s.ctx, s.named(webhookHandler), &apigatewayv2.IntegrationArgs{
		ApiId:                a.ID(),
		IntegrationType:      pulumi.String("AWS_PROXY"),
		IntegrationMethod:    pulumi.String("POST"),
		IntegrationUri:       webhook.InvokeArn,
		PayloadFormatVersion: pulumi.String("2.0"),
		// A little more than the function has, so that its own timeout comes first.
		TimeoutMilliseconds: pulumi.Int((media.WebhookTimeout + time.Second).Milliseconds()),
	}, s.child())
	if err != nil {
		return err
	}
	if _, err := apigatewayv2.NewRoute(s.ctx, s.named(webhookHandler), &apigatewayv2.RouteArgs{
		ApiId:    a.ID(),
		RouteKey: pulumi.String(media.WebhookRoute),
		Target:   pulumi.Sprintf("integrations/%s", integration.ID()),
	}, s.child()); err != nil {
		return err
	}
	// In every stage, this route alone.
	route := pulumi.Sprintf("%s/*/%s", a.ExecutionArn, strings.Replace(media.WebhookRoute, " ", "", 1))
	_, err = permit(s, webhookHandler, webhook, "apigateway", route)
	return err
}

package cloud

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
)

// webhook is the handler that Ittybit's callbacks invoke.
const webhook = "webhook"

// makeWebhook makes the function that stores the results, behind the API's one
// route.
func (b *builder) makeWebhook() error {
	var secrets []reference
	if b.Config.WebhookAuth != env.AuthSignature {
		secrets = append(secrets, b.secrets.callbackKeys)
	}
	if b.secrets.webhook != nil {
		secrets = append(secrets, *b.secrets.webhook)
	}
	f, err := b.makeFunction(function{
		handler:     webhook,
		description: "Stores what Ittybit says of a job",
		timeout:     media.WebhookTimeout,
		environment: pulumi.StringMap{env.WebhookAuth: pulumi.String(b.Config.WebhookAuth)},
		secrets:     secrets,
		grants: []statement{{
			actions:   []string{"dynamodb:GetItem", "dynamodb:UpdateItem"},
			resources: []pulumi.StringInput{b.table.Arn},
		}},
	})
	if err != nil {
		return err
	}
	return b.route(f)
}

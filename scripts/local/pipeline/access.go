package pipeline

import (
	"os"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/access"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/lambda"
)

// noPolicy is all that the fake's connection needs: it reads the objects in
// this process.
const noPolicy = `{"Version":"2012-10-17","Statement":[]}`

// Access is what the scripts need to know of the pipeline, with the outputs
// that a deployed stack of its configuration would have. Only the AWS console
// has no pages of it, and the API no log: the fake writes none.
func (p *Pipeline) Access() access.Access {
	settings := p.settings
	settings.IttybitAPIURL = p.apiURL
	settings.APIKeySecret = apiKeySecret
	outputs := stack.Outputs{
		Region:             endpoint.Region,
		Bucket:             p.Bucket,
		Table:              p.Table,
		WebhookURL:         p.WebhookURL,
		Rule:               ruleName,
		RetryQueueURL:      p.RetryQueue.URL(p.awsURL),
		DeadLetterQueueURL: p.DeadLetter.URL(p.awsURL),
		Functions:          map[string]string{},
		LogGroups:          map[string]string{},
		Settings:           settings,
		ConnectionPolicy:   noPolicy,
		Console:            map[string]string{},
	}
	for _, f := range []*lambda.Function{p.Dispatch, p.Webhook, p.Sweep} {
		outputs.Functions[f.Name()] = f.Name()
		outputs.LogGroups[f.Name()] = lambda.LogGroup(f.Name())
	}
	return access.Access{
		Outputs:   outputs,
		AWSURL:    p.awsURL,
		S3URL:     p.S3URL,
		AccessKey: p.AccessKey,
		SecretKey: p.SecretKey,
		PID:       os.Getpid(),
	}
}

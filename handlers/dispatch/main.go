// Command dispatch is the Lambda function that turns uploads into Ittybit jobs.
// EventBridge invokes it for every upload; the retry queue brings back what
// failed.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"ittybit-media/handlers/dispatch/dispatcher"
	"ittybit-media/handlers/function"
)

func main() {
	h, err := dispatcher.Wire(os.Getenv, function.Options{})
	if err != nil {
		function.Exit(err)
	}
	lambda.Start(h)
}

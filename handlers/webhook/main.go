// Command webhook is the Lambda function behind API Gateway that takes
// Ittybit's callbacks and writes the results to the table.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"ittybit-media/handlers/function"
	"ittybit-media/handlers/webhook/receiver"
)

func main() {
	h, err := receiver.Wire(os.Getenv, function.Options{})
	if err != nil {
		function.Exit(err)
	}
	lambda.Start(h.Handle)
}

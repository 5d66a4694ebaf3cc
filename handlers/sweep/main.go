// Command sweep is the Lambda function that ends the jobs whose callback does
// not come: on a schedule, it asks Ittybit for them. Any event invokes it, so a
// person may, too.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"ittybit-media/handlers/function"
	"ittybit-media/handlers/sweep/sweeper"
)

func main() {
	h, err := sweeper.Wire(os.Getenv, function.Options{})
	if err != nil {
		function.Exit(err)
	}
	lambda.Start(h.Handle)
}

package results

import (
	"github.com/aws/aws-sdk-go-v2/aws"

	"ittybit-media/handlers/awsclient"
)

// Connect begins to open the first connection to DynamoDB that a client of the
// configuration will use; see [awsclient.Client.Connect].
func Connect(cfg aws.Config) {
	awsclient.NewClient(cfg, awsclient.Service{Name: "DynamoDB", ID: "DynamoDB", Signed: "dynamodb", Target: "DynamoDB_20120810"}).Connect()
}

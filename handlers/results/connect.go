package results

import (
	"github.com/aws/aws-sdk-go-v2/aws"

	"ittybit-media/handlers/awsclient/awscall"
)

// Connect begins to open the first connection to DynamoDB that a client of the
// configuration will use; see [awscall.Client.Connect].
func Connect(cfg aws.Config) {
	awscall.New(cfg, awscall.Service{Name: "DynamoDB", ID: "DynamoDB", Signed: "dynamodb", Target: "DynamoDB_20120810"}).Connect()
}

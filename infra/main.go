// Command infra is the Pulumi program of the pipeline: `pulumi up` runs it.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/infra/cloud"
)

func main() {
	var p cloud.Program
	pulumi.Run(p.Run, p.Configure)
}

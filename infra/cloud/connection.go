package cloud

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/infra/stack"
)

// folder is a part of a bucket; without a bucket, of the watched one.
type folder struct{ bucket, prefix string }

// connectionPolicy returns what the IAM user behind Ittybit's connection has to
// be allowed: to read the uploads of the routes and to write the jobs' outputs.
func connectionPolicy(c stack.Config, p place, watched pulumi.StringOutput) pulumi.StringOutput {
	var read, written []folder
	for _, route := range c.Routes {
		read = append(read, folder{prefix: route.Prefix})
		for _, job := range route.Jobs {
			if job.Output == "" {
				continue // Ittybit keeps it
			}
			bucket, prefix := job.Output.Destination()
			if bucket == "" || bucket == c.BucketName {
				bucket, prefix = "", c.OutputPrefix
			}
			written = append(written, folder{bucket, prefix})
		}
	}
	// objects are those whose keys begin with the folders' prefixes.
	objects := func(folders []folder) []pulumi.StringInput {
		var all []pulumi.StringInput
		for i, f := range folders {
			if slices.Contains(folders[:i], f) {
				continue
			}
			var bucket pulumi.StringInput = pulumi.String(f.bucket)
			if f.bucket == "" {
				bucket = watched
			}
			all = append(all, pulumi.Sprintf("arn:%s:s3:::%s/%s*", p.partition, bucket, literal.Replace(f.prefix)))
		}
		return all
	}
	statements := []statement{{actions: []string{"s3:GetObject"}, resources: objects(read)}}
	if written != nil {
		statements = append(statements, statement{actions: []string{"s3:AbortMultipartUpload", "s3:PutObject"}, resources: objects(written)})
	}
	return policy(statements...)
}

// literal keeps IAM from reading characters of a key as its own ("IAM policy
// elements: Variables and tags", IAM User Guide).
var literal = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")

package cloud

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// connectionPolicy is what the IAM user behind Ittybit's connection has to be
// allowed: to read the uploads of the routes and to write the jobs' outputs.
func (b *builder) connectionPolicy() pulumi.StringOutput {
	var inputs, outputs []pulumi.StringInput
	add := func(list *[]pulumi.StringInput, seen *[]string, bucket, prefix string) {
		if id := bucket + "/" + prefix; !slices.Contains(*seen, id) {
			*seen = append(*seen, id)
			*list = append(*list, b.objects(bucket, prefix))
		}
	}
	var read, written []string
	for _, route := range b.Config.Routes {
		add(&inputs, &read, "", route.Prefix)
		for _, job := range route.Jobs {
			if job.Output == "" {
				continue // Ittybit keeps it
			}
			bucket, prefix := job.Output.Destination()
			if bucket == "" || bucket == b.Config.BucketName {
				bucket, prefix = "", b.Config.OutputPrefix
			}
			add(&outputs, &written, bucket, prefix)
		}
	}
	statements := []statement{{actions: []string{"s3:GetObject"}, resources: inputs}}
	if outputs != nil {
		statements = append(statements, statement{actions: []string{"s3:AbortMultipartUpload", "s3:PutObject"}, resources: outputs})
	}
	return policy(statements...)
}

// objects are the objects of the bucket, "" for the watched one, whose keys
// begin with prefix.
func (b *builder) objects(bucket, prefix string) pulumi.StringOutput {
	var name pulumi.StringInput = pulumi.String(bucket)
	if bucket == "" {
		name = b.pipeline.Bucket
	}
	return pulumi.Sprintf("arn:%s:s3:::%s/%s*", b.place.partition, name, literal.Replace(prefix))
}

// literal keeps IAM from reading characters of a key as its own ("IAM policy
// elements: Variables and tags", IAM User Guide).
var literal = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/pipeline"
)

// serve runs the pipeline until the user ends it. While it does, the scripts
// find it by what it leaves at accessFile.
func serve(ctx context.Context, p *pipeline.Pipeline, page string, o *observer, config stack.Config, accessFile string, stdout io.Writer) (err error) {
	a := p.Access()
	if err := a.Write(accessFile); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Remove(accessFile)) }()
	key := pipeline.DefaultKey(config.Routes, "sample"+config.Routes[0].Suffixes[0])
	fmt.Fprintf(stdout, `
Page         %[7]s (drop files on it)
S3 endpoint  %[1]s (path style, region %[2]s)
Bucket       %[3]s
Access key   %[4]s
Secret key   %[5]s

Upload a file:

  AWS_ACCESS_KEY_ID=%[4]s AWS_SECRET_ACCESS_KEY=%[5]s AWS_REGION=%[2]s \
    aws --endpoint-url %[1]s s3 cp testdata/sample.mov s3://%[3]s/%[6]s

  curl --fail --aws-sigv4 aws:amz:%[2]s:s3 --user %[4]s:%[5]s \
    --upload-file testdata/sample.mov %[1]s/%[3]s/%[6]s

The scripts take -local in place of -stack while this runs.

Ctrl-C ends it.

`, p.S3URL, endpoint.Region, p.Bucket, p.AccessKey, p.SecretKey, key, page)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.news:
			for _, s := range o.take() {
				if line := stepLine(s); line != "" {
					fmt.Fprintln(stdout, line)
				}
			}
		}
	}
}

// stepLine is a step for people; "" for what they need not see.
func stepLine(s pipeline.Step) string {
	if s.Kind == pipeline.Called || s.Kind == pipeline.Swept && s.Text == "" {
		return "" // their own logs say more
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-11s ", s.Time.Format("15:04:05.000"), s.Source)
	if s.Upload.Key != "" {
		fmt.Fprintf(&b, "%s: ", cli.Printable(s.Upload.Key))
	}
	if s.Kind != pipeline.Logged {
		b.WriteString(string(s.Kind))
		if s.Text != "" {
			b.WriteString(": ")
		}
	}
	b.WriteString(cli.Printable(s.Text))
	return b.String()
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

// bucketKeys are the keys of the stack file that the bucket's checks go by.
var bucketKeys = []string{"bucketName", "manageNotifications"}

func (s *subject) bucket(context.Context) []finding {
	found, _ := s.watched()
	return found
}

// lookAtBucket finds out about the bucket that is to be watched, and whether it
// can be.
func (s *subject) lookAtBucket(ctx context.Context) (found []finding, usable bool) {
	if wait := s.waits(bucketKeys...); wait != nil {
		return wait, false
	}
	name := s.config.BucketName
	if name == "" {
		return skipped("bucketName is not set: up makes a bucket"), false
	}
	place, wait := s.clients(bucketKeys...)
	if wait != nil {
		return wait, false
	}
	who, _ := s.caller() // or there were no clients
	client := place.S3()
	out, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name, ExpectedBucketOwner: &who.account})
	region := bucketRegion(out, err)
	switch status := httpStatus(err); {
	case status == http.StatusNotFound:
		return bad(fmt.Sprintf("correct bucketName, make the bucket (aws s3 mb s3://%s --region %s), or leave bucketName out: up then makes one", name, s.region), "there is no bucket %s", name), false
	case region != "" && region != s.region:
		return bad(fmt.Sprintf("set aws:region to %s, or watch a bucket in %s", region, s.region), "bucket %s is in %s, the stack in %s: EventBridge hears of uploads in a bucket's own region", name, region, s.region), false
	case status == http.StatusForbidden:
		if _, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name}); err == nil {
			return bad("take a bucket of this account, or credentials for the bucket's", "bucket %s is another account's: its uploads are told to EventBridge there, and not in %s", name, who.account), false
		}
		return bad("see in whose account the bucket is; if it is this one, have s3:ListBucket allowed", "bucket %s is there, but these credentials of account %s may not see it", name, who.account), false
	case err != nil:
		return s.trouble(err), false
	case aws.ToBool(out.AccessPointAlias) || out.BucketLocationType != "":
		return bad("give the bucket's own name", "%s is the alias of an access point or a directory bucket: such have no events", name), false
	}
	return good("%s is this account's and in this region%s", name, versioning(ctx, client, name)), true
}

// bucketRegion is where S3 says that the bucket is, which it says in refusals
// too (HeadBucket, Amazon S3 API Reference); "" when it does not say.
func bucketRegion(out *s3.HeadBucketOutput, err error) string {
	if answer, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return answer.Response.Header.Get("X-Amz-Bucket-Region")
	}
	if err != nil {
		return ""
	}
	return aws.ToString(out.BucketRegion)
}

// versioning says what becomes of an object that is overwritten: that decides
// which uploads are the same.
func versioning(ctx context.Context, client *s3.Client, name string) string {
	out, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &name})
	switch {
	case err != nil:
		return "; whether it keeps versions cannot be known: " + cmp.Or(refusal(err), err.Error())
	case out.Status == types.BucketVersioningStatusEnabled:
		return "; it keeps versions"
	default:
		return "; it keeps no versions: the same bytes under the same key are the same upload"
	}
}

// notifications tells what up would do to the notifications of an existing
// bucket, or what somebody has to do if up leaves them alone.
func (s *subject) notifications(ctx context.Context) []finding {
	if wait := s.waits(bucketKeys...); wait != nil {
		return wait
	}
	if s.config.BucketName == "" {
		return skipped("up turns EventBridge on for the bucket that it makes")
	}
	if _, usable := s.watched(); !usable {
		return skipped("they are looked at when the bucket is right")
	}
	place, err := s.place()
	if err != nil {
		return s.trouble(err)
	}
	has, err := getNotifications(ctx, place.S3(), s.config.BucketName)
	const allow = "have s3:GetBucketNotification allowed"
	switch {
	case operator.Denied(err) && s.config.ManageNotifications:
		return bad(allow+": up needs it too", "these credentials may not see what up would delete")
	case operator.Denied(err):
		return doubtful(allow+", or look in the AWS console (bucket, Properties, Amazon EventBridge)", "these credentials may not see whether EventBridge is on")
	case err != nil:
		return s.trouble(err)
	case s.config.ManageNotifications:
		return s.wouldDelete(has)
	case has.EventBridgeConfiguration == nil:
		return bad(s.call.Command("preflight", "-enable-eventbridge"), "EventBridge is off for bucket %s, and up leaves it so: no upload would be noticed", s.config.BucketName)
	}
	return good("EventBridge is on, beside %s; up leaves all as it is", count(len(describe(has)), "other notification"))
}

// wouldDelete names what up would delete.
func (s *subject) wouldDelete(has *types.NotificationConfiguration) []finding {
	var found []finding
	for _, other := range describe(has) {
		found = append(found, bad("set manageNotifications to false, or move it elsewhere", "up would delete the notification to %s", other)...)
	}
	if found != nil {
		return found
	}
	return good("up turns EventBridge on; the bucket has no other notifications to delete")
}

func getNotifications(ctx context.Context, client *s3.Client, bucket string) (*types.NotificationConfiguration, error) {
	out, err := client.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &bucket})
	if err != nil {
		return nil, err
	}
	return &types.NotificationConfiguration{
		TopicConfigurations:          out.TopicConfigurations,
		QueueConfigurations:          out.QueueConfigurations,
		LambdaFunctionConfigurations: out.LambdaFunctionConfigurations,
		EventBridgeConfiguration:     out.EventBridgeConfiguration,
	}, nil
}

// describe names all notifications but EventBridge's, each in full and in an
// order of its own: S3 keeps none.
func describe(c *types.NotificationConfiguration) []string {
	var all []string
	add := func(kind string, arn, id *string, events []types.Event, filter *types.NotificationConfigurationFilter) {
		text := fmt.Sprintf("%s %s, for %s", kind, aws.ToString(arn), join(events))
		if filter != nil && filter.Key != nil {
			var rules []string
			for _, r := range filter.Key.FilterRules {
				rules = append(rules, fmt.Sprintf("%s %q", strings.ToLower(string(r.Name)), aws.ToString(r.Value)))
			}
			slices.Sort(rules)
			text += " with " + strings.Join(rules, " and ")
		}
		all = append(all, fmt.Sprintf("%s (%s)", text, aws.ToString(id)))
	}
	for _, t := range c.TopicConfigurations {
		add("topic", t.TopicArn, t.Id, t.Events, t.Filter)
	}
	for _, q := range c.QueueConfigurations {
		add("queue", q.QueueArn, q.Id, q.Events, q.Filter)
	}
	for _, f := range c.LambdaFunctionConfigurations {
		add("function", f.LambdaFunctionArn, f.Id, f.Events, f.Filter)
	}
	slices.Sort(all)
	return all
}

func join(events []types.Event) string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = string(e)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// count is a number of things, in words.
func count(n int, thing string) string {
	if n == 0 {
		return "no " + thing + "s"
	}
	return cli.Count(n, thing)
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/scripts/internal/atomicfile"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

// enabled is what -enable-eventbridge did, for -json.
type enabled struct {
	Bucket  string `json:"bucket"`
	Changed bool   `json:"changed"`
	// Configuration is what the bucket has, or with -dry-run would get.
	Configuration any    `json:"configuration"`
	Backup        string `json:"backup"` // file with what it had; "": nothing was changed
}

// enableEventBridge adds EventBridge to the notifications of the bucket and
// keeps the others.
//
// S3 takes a whole configuration and no condition on what it replaces
// (PutBucketNotificationConfiguration, Amazon S3 API Reference). What somebody
// else writes between our reading and our writing would be lost: reading once
// more just before, and again after, makes that time short and tells of it.
func (s *subject) enableEventBridge(ctx context.Context) error {
	client, err := s.bucketToEnable()
	if err != nil {
		return err
	}
	bucket := s.config.BucketName
	had, err := getNotifications(ctx, client, bucket)
	switch {
	case operator.Code(err) == "NoSuchBucket":
		return fmt.Errorf("there is no bucket %s: correct bucketName in %s, or make the bucket", bucket, s.file)
	case err != nil:
		return fmt.Errorf("bucket %s: its notifications cannot be read: %w", bucket, err)
	case had.EventBridgeConfiguration != nil:
		return s.tell(enabled{Bucket: bucket, Configuration: plain(had)}, "EventBridge is on for bucket %s already: nothing was changed.", bucket)
	}
	wanted := *had
	wanted.EventBridgeConfiguration = &types.EventBridgeConfiguration{}
	for _, other := range describe(had) {
		s.call.Say("kept: the notification to %s", cli.Printable(other))
	}
	if s.call.DryRun {
		return s.tell(enabled{Bucket: bucket, Configuration: plain(&wanted)}, "Bucket %s would get this configuration: %s", bucket, plain(&wanted))
	}
	if err := s.call.Confirm(ctx, fmt.Sprintf("Turn EventBridge on for bucket %s and keep %s?", bucket, count(len(describe(had)), "other notification"))); err != nil {
		return err
	}
	if now, err := getNotifications(ctx, client, bucket); err != nil {
		return fmt.Errorf("bucket %s: its notifications cannot be read: %w", bucket, err)
	} else if !slices.Equal(describe(now), describe(had)) || now.EventBridgeConfiguration != nil {
		return fmt.Errorf("somebody has just changed the notifications of bucket %s: nothing was done; see what they are now, and run this again", bucket)
	}
	backup, err := s.backUp(had)
	if err != nil {
		return err
	}
	s.call.Say("What bucket %s has now is kept in %s", bucket, backup)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// What begins here is brought to its end, whoever interrupts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, refused := client.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: &bucket, NotificationConfiguration: &wanted,
		// The others are as they were. One whose queue, topic or function is gone
		// would have the whole configuration refused, and each of the rest would get
		// a test message ("SkipDestinationValidation", same page).
		SkipDestinationValidation: aws.Bool(true),
	}, func(o *s3.Options) { o.RetryMaxAttempts = writeAttempts })
	if httpStatus(refused)/100 == 4 { // all else may have been done
		return fmt.Errorf("bucket %s: nothing was changed: %w", bucket, refused)
	}
	if err := s.verify(ctx, client, had); err != nil {
		return errors.Join(fmt.Errorf("bucket %[1]s: %[2]w\nto put back what was there before: aws s3api put-bucket-notification-configuration --bucket %[1]s --notification-configuration file://%[3]s", bucket, err, backup), refused)
	}
	return s.tell(enabled{Bucket: bucket, Changed: true, Configuration: plain(&wanted), Backup: backup},
		"EventBridge is on for bucket %s. It takes about five minutes until S3 goes by it.", bucket)
}

// bucketToEnable is a client for the bucket, when it is for this script to turn
// EventBridge on.
func (s *subject) bucketToEnable() (*s3.Client, error) {
	const rest = "preflight without flags says more"
	switch {
	case s.unread != nil:
		return nil, cli.Usagef("%w", s.unread)
	case s.waits(bucketKeys...) != nil:
		return nil, cli.Usagef("%s says wrong which bucket is watched; %s:\n%w", s.file, rest, s.mistakes)
	case s.config.BucketName == "":
		return nil, cli.Usagef("%s names no bucket: up makes one, and turns EventBridge on for it", s.file)
	case s.config.ManageNotifications:
		return nil, cli.Usagef("manageNotifications is true in %s: up turns EventBridge on and deletes all other notifications of bucket %s; say false to keep them", s.file, s.config.BucketName)
	}
	place, err := s.place()
	if err != nil {
		return nil, err
	}
	return place.S3(), nil
}

// backUp leaves a configuration in a file, in the form that the AWS CLI puts
// back.
func (s *subject) backUp(had *types.NotificationConfiguration) (string, error) {
	name := fmt.Sprintf("notifications-%s-%s.json", s.config.BucketName, s.call.Now().UTC().Format("20060102T150405.000000000Z"))
	path := filepath.Join(s.call.Root, ".build", name)
	return path, atomicfile.Write(path, append(plain(had), '\n'))
}

// writeAttempts are few: where no answer comes, reading tells what has become
// of the write.
const writeAttempts = 3

// The pauses between the readings that verify a change: a bucket's
// configuration is consistent in the end only ("Amazon S3 data consistency
// model", S3 User Guide).
var pauses = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

// verify reads what the bucket has now. It returns nil when EventBridge is on
// and nothing is lost of what was there.
func (s *subject) verify(ctx context.Context, client *s3.Client, had *types.NotificationConfiguration) error {
	for i := 0; ; i++ {
		problem := s.compare(ctx, client, had)
		if problem == nil || i == len(pauses) {
			return problem
		}
		if cli.Pause(ctx, pauses[i]) != nil {
			return problem
		}
	}
}

func (s *subject) compare(ctx context.Context, client *s3.Client, had *types.NotificationConfiguration) error {
	has, err := getNotifications(ctx, client, s.config.BucketName)
	if err != nil {
		return fmt.Errorf("whether EventBridge is on cannot be known: %w", err)
	}
	after := describe(has)
	lost := slices.DeleteFunc(describe(had), func(other string) bool { return slices.Contains(after, other) })
	switch {
	case has.EventBridgeConfiguration == nil:
		return errors.New("EventBridge is still off: somebody else writes the notifications too; run this again when they have ended")
	case len(lost) > 0:
		return fmt.Errorf("EventBridge is on, but somebody else has changed the notifications meanwhile; these are gone:\n%s", strings.Join(lost, "\n"))
	}
	return nil
}

func (s *subject) tell(did enabled, format string, args ...any) error {
	s.call.Say(format, args...)
	if s.call.JSON {
		return s.call.PrintJSON(did)
	}
	return nil
}

// plain is a configuration as the AWS CLI takes it: the SDK's names are the
// API's, but what is not set must not be there.
func plain(c *types.NotificationConfiguration) json.RawMessage {
	var all any
	text, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err == nil {
		text, err = json.Marshal(withoutNulls(all))
	}
	if err != nil { // not with the types that there are
		return json.RawMessage("null")
	}
	return text
}

func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if value == nil {
				delete(v, name)
			} else {
				v[name] = withoutNulls(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return v
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

// keys prints what happened to the keys.
func (j *jobs) keys(ctx context.Context) error {
	var errs []error
	for i, key := range j.Args {
		if i > 0 && !j.JSON {
			fmt.Fprintln(j.Out)
		}
		if err := j.key(ctx, key); err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (j *jobs) key(ctx context.Context, key string) error {
	all, err := j.rowsOf(ctx, key)
	if err != nil {
		return err
	}
	now := j.Now()
	var rows []results.Row
	for _, row := range all {
		if j.takes(row, now) {
			rows = append(rows, row)
		}
	}
	switch {
	case len(all) == 0:
		return errors.Join(fmt.Errorf("%s has no row", cli.Printable(key)), j.explain(ctx, key), j.printLog(ctx, key))
	case len(rows) == 0:
		return fmt.Errorf("%s has %s, of which none fits", cli.Printable(key), cli.Count(len(all), "row"))
	}
	if err := j.printRows(key, rows, now); err != nil {
		return err
	}
	if j.logs {
		err = j.printLog(ctx, key)
	}
	if !j.JSON && !j.filter.given() && len(j.plan(all, now).requests) > 0 {
		fmt.Fprintf(j.Out, "\nThis makes what failed again, once the reason is mended:\n  %s\n", j.Command("jobs", "-retry", key))
	}
	return err
}

func (j *jobs) printRows(key string, rows []results.Row, now time.Time) error {
	if !j.JSON {
		j.printKey(key, rows, now)
		return nil
	}
	for _, row := range rows {
		if err := j.PrintJSON(printable(row)); err != nil {
			return err
		}
	}
	return nil
}

// explanation is why a key may have no row. What could not be found out is nil.
type explanation struct {
	Key         string          `json:"pk"`
	Rows        int             `json:"rows"` // none
	Object      *object         `json:"object,omitempty"`
	Missing     bool            `json:"missing"` // there is no such object
	Skipped     string          `json:"skipped,omitempty"`
	Jobs        []string        `json:"jobs,omitempty"` // that the route makes
	RetryQueue  *operator.Depth `json:"retry_queue,omitempty"`
	DeadLetters *operator.Depth `json:"dead_letters,omitempty"`
}

// object is the object that is under a key now.
type object struct {
	Upload    string    `json:"upload"`
	Size      int64     `json:"size"`
	ETag      string    `json:"etag"`
	VersionID string    `json:"version_id,omitempty"`
	Modified  time.Time `json:"modified"`

	upload media.Upload
}

// errNoObject says that there is nothing under a key.
var errNoObject = errors.New("there is no such object in the bucket")

// object asks S3 what is under a key.
func (j *jobs) object(ctx context.Context, key string) (object, error) {
	bucket := j.stack.Outputs.Bucket
	head, err := j.stack.S3().HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	switch {
	case operator.Code(err) == "NotFound":
		return object{}, errNoObject
	case err != nil:
		return object{}, fmt.Errorf("asking S3 for %s: %w", cli.Printable(key), err)
	}
	u := media.Upload{
		Bucket:    bucket,
		Key:       key,
		Size:      aws.ToInt64(head.ContentLength),
		ETag:      aws.ToString(head.ETag),
		VersionID: aws.ToString(head.VersionId),
		Time:      aws.ToTime(head.LastModified),
	}.FromS3()
	return object{u.ID(j.table.Name()), u.Size, u.ETag, u.VersionID, u.Time, u}, nil
}

// explain says why a key may have no row.
func (j *jobs) explain(ctx context.Context, key string) error {
	e := explanation{Key: key}
	var errs [4]error
	u := media.Upload{Key: key, Size: media.UnknownSize}
	switch o, err := j.object(ctx, key); {
	case err == nil:
		e.Object, u = &o, o.upload
	case errors.Is(err, errNoObject):
		e.Missing = true
	default:
		errs[0] = err
	}
	route, skip := j.routes.For(u, j.outputs())
	e.Skipped = skip
	for _, job := range route.Jobs {
		e.Jobs = append(e.Jobs, job.Name)
	}
	e.RetryQueue, errs[1] = j.stack.QueueDepth(ctx, j.stack.Outputs.RetryQueueURL)
	e.DeadLetters, errs[2] = j.stack.QueueDepth(ctx, j.stack.Outputs.DeadLetterQueueURL)
	if j.JSON {
		errs[3] = j.PrintJSON(e)
	} else {
		j.printExplanation(e)
	}
	return errors.Join(errs[:]...)
}

func (j *jobs) printExplanation(e explanation) {
	fmt.Fprintf(j.Out, "%s\n\n", cli.Printable(e.Key))
	t := cli.NewTable(j.Out)
	t.Row("rows", "none")
	switch {
	case e.Object != nil:
		t.Row("object", fmt.Sprintf("%s, made %s%s%s", cli.Count(e.Object.Size, "byte"), cli.Time(e.Object.Modified), detail("etag", e.Object.ETag), detail("version", e.Object.VersionID)))
	case e.Missing:
		t.Row("object", "there is none in "+j.stack.Outputs.Bucket)
	default:
		t.Row("object", unknown)
	}
	if e.Skipped != "" {
		t.Row("route", "dispatch makes no job of it: "+e.Skipped)
	} else {
		t.Row("route", "makes "+strings.Join(e.Jobs, ", "))
	}
	t.Row("retry queue", depth(e.RetryQueue))
	t.Row("dead letters", depth(e.DeadLetters))
	_ = t.Flush()
	switch {
	case e.Skipped != "" || e.Missing:
	case e.DeadLetters != nil && e.DeadLetters.All() > 0:
		fmt.Fprintf(j.Out, "\nWhether it is in the dead letters:\n  %s\n", j.Command("redrive", "-key", e.Key))
	case e.Object != nil:
		fmt.Fprintf(j.Out, "\nAn event of S3 takes seconds, in the first 5 minutes of a bucket's configuration minutes, and\nnone comes for what was there before. To dispatch it now:\n  %s\n", j.Command("backfill", "-prefix", e.Key))
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
)

// cleanUp deletes what the run made. What it cannot delete it names.
func (s *smoke) cleanUp(ctx context.Context) error {
	rows, err := s.rows(ctx)
	if err == nil {
		err = s.deleteObjects(ctx, rows)
	}
	if err == nil {
		err = s.deleteRows(ctx, rows)
	}
	if err != nil {
		return fmt.Errorf("not everything could be deleted; look for keys with %s in the bucket %s and in the table %s: %w", s.marker, s.out.Bucket, s.out.Table, err)
	}
	if len(s.missing(rows)) > 0 {
		s.call.Note("Dispatch may still get %s, from EventBridge or the retry queue: its jobs will fail then, for there is nothing any more", cli.Printable(s.key))
	}
	return nil
}

// deleteObjects deletes the uploads and what the rows name as their outputs, as
// far as these are in the bucket's folder for outputs and have the run's name.
// Jobs may have written more files beside those that they name.
func (s *smoke) deleteObjects(ctx context.Context, rows []results.Row) error {
	prefixes := []string{s.key}
	for _, row := range rows {
		for _, o := range append([]results.Output{{URL: row.OutputURL}}, row.Outputs...) {
			key, here := strings.CutPrefix(o.URL, "s3://"+s.out.Bucket+"/")
			if here && (media.Folder{Prefix: s.out.Settings.OutputPrefix}).Holds(key) {
				prefixes = append(prefixes, key)
			}
		}
	}
	for i, key := range prefixes {
		prefixes[i] = s.upToMarker(key)
	}
	slices.Sort(prefixes)
	for _, prefix := range slices.Compact(prefixes) {
		if prefix == "" {
			continue
		}
		if err := s.deleteUnder(ctx, prefix); err != nil {
			return err
		}
	}
	return nil
}

// upToMarker is the key up to the end of the run's name in it; "" if it has not
// got that.
func (s *smoke) upToMarker(key string) string {
	before, _, ours := strings.Cut(key, s.marker)
	if !ours {
		return ""
	}
	return before + s.marker
}

// deleteUnder deletes every version of every object whose key begins so.
func (s *smoke) deleteUnder(ctx context.Context, prefix string) error {
	pages := s3.NewListObjectVersionsPaginator(s.s3, &s3.ListObjectVersionsInput{Bucket: &s.out.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("listing the versions under s3://%s/%s: %w", s.out.Bucket, prefix, err)
		}
		for _, v := range page.Versions {
			err = errors.Join(err, s.delete(ctx, *v.Key, v.VersionId))
		}
		for _, m := range page.DeleteMarkers {
			err = errors.Join(err, s.delete(ctx, *m.Key, m.VersionId))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *smoke) delete(ctx context.Context, key string, version *string) error {
	if !strings.Contains(key, s.marker) {
		return fmt.Errorf("%s is not of this run", key)
	}
	if _, err := s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.out.Bucket, Key: &key, VersionId: version}); err != nil {
		return fmt.Errorf("deleting s3://%s/%s: %w", s.out.Bucket, key, err)
	}
	return nil
}

// deleteRows deletes the rows of finished jobs, and with the last row of an upload
// its ledger. A callback for a job that goes on would make its row again.
func (s *smoke) deleteRows(ctx context.Context, rows []results.Row) error {
	stay := 0
	uploads := map[string]string{} // → key
	for _, row := range rows {
		uploads[row.Upload] = row.Key
		deleted, err := s.table.Delete(ctx, s.db, row)
		if err != nil {
			return err
		}
		if !deleted {
			stay++
		}
	}
	if stay == 0 {
		for upload, key := range uploads {
			if err := s.table.DeleteLedger(ctx, s.db, key, upload); err != nil {
				return err
			}
		}
	} else {
		s.call.Note("%s of %s not over: the rows stay, and the jobs will fail without their upload", cli.Count(stay, "job"), cli.Printable(s.key))
	}
	return nil
}

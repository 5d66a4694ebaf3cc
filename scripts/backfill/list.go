package main

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/handlers/media"
)

// entry is something that the bucket lists under a key.
type entry struct {
	upload   media.Upload
	marker   bool // a delete marker
	old      bool // not what is under the key now
	hidden   bool // the key is deleted now
	archived bool // nobody can read it
	last     bool // of its key
}

// lister lists the bucket in the order of the keys' bytes (Amazon S3 API
// Reference, "ListObjectsV2", "ListObjectVersions").
type lister struct {
	s3        *s3.Client
	bucket    string
	prefixes  []string // in order; none begins with another
	versioned bool     // identities need the ids of the versions
}

// versioning asks whether the bucket keeps versions, or has kept some.
func (l lister) versioning(ctx context.Context) (bool, error) {
	out, err := l.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &l.bucket})
	if err != nil {
		return false, fmt.Errorf("asking for the versioning of s3://%s: %w", l.bucket, err)
	}
	return out.Status != "", nil
}

// place is where a page ends.
type place struct {
	key, version string
	hidden       bool // see [entry]
}

// page is what one request lists, in order.
type page struct {
	entries []entry
	next    place
	more    bool
}

// pages lists what comes after a key: all that is under the keys behind it, at
// most a page of which is in memory. It ends at the first error.
func (l lister) pages(ctx context.Context, after string) iter.Seq2[[]entry, error] {
	request := l.objects
	if l.versioned {
		request = l.versions
	}
	return func(yield func([]entry, error) bool) {
		for _, prefix := range l.prefixes {
			at := place{key: after}
			switch {
			case strings.HasPrefix(after, prefix):
			case after > prefix:
				continue // behind all of its keys
			default:
				at = place{}
			}
			for more := true; more; {
				p, err := request(ctx, prefix, at)
				if err != nil {
					yield(nil, fmt.Errorf("listing s3://%s: %w", l.bucket, err))
					return
				}
				if !yield(p.entries, nil) {
					return
				}
				at, more = p.next, p.more
			}
		}
	}
}

// objects lists a bucket that never kept versions.
func (l lister) objects(ctx context.Context, prefix string, after place) (page, error) {
	in := &s3.ListObjectsV2Input{
		Bucket: &l.bucket, Prefix: &prefix, EncodingType: types.EncodingTypeUrl,
		OptionalObjectAttributes: []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus},
	}
	if after.key != "" {
		in.StartAfter = &after.key
	}
	out, err := l.s3.ListObjectsV2(ctx, in)
	if err != nil {
		return page{}, err
	}
	p := page{more: aws.ToBool(out.IsTruncated)}
	for _, o := range out.Contents {
		e, err := l.entry(o.Key, o.Size, o.ETag, nil, o.LastModified)
		if err != nil {
			return page{}, err
		}
		e.archived, e.last = archived(string(o.StorageClass), o.RestoreStatus), true
		p.entries = append(p.entries, e)
		p.next.key = e.upload.Key
	}
	return p, nil
}

// versions lists all versions, of each key the newest first.
func (l lister) versions(ctx context.Context, prefix string, after place) (page, error) {
	in := &s3.ListObjectVersionsInput{
		Bucket: &l.bucket, Prefix: &prefix, EncodingType: types.EncodingTypeUrl,
		OptionalObjectAttributes: []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus},
	}
	if after.key != "" {
		in.KeyMarker = &after.key
	}
	if after.version != "" {
		in.VersionIdMarker = &after.version
	}
	out, err := l.s3.ListObjectVersions(ctx, in)
	if err != nil {
		return page{}, err
	}
	p := page{more: aws.ToBool(out.IsTruncated)}
	if p.next.key, err = decode(out.NextKeyMarker); err != nil {
		return page{}, err
	}
	p.next.version = aws.ToString(out.NextVersionIdMarker)
	for _, o := range out.Versions {
		e, err := l.entry(o.Key, o.Size, o.ETag, o.VersionId, o.LastModified)
		if err != nil {
			return page{}, err
		}
		e.old, e.archived = !aws.ToBool(o.IsLatest), archived(string(o.StorageClass), o.RestoreStatus)
		p.entries = append(p.entries, e)
	}
	for _, m := range out.DeleteMarkers {
		e, err := l.entry(m.Key, nil, nil, m.VersionId, m.LastModified)
		if err != nil {
			return page{}, err
		}
		e.old, e.marker = !aws.ToBool(m.IsLatest), true
		p.entries = append(p.entries, e)
	}
	// The answer has versions and markers apart.
	slices.SortStableFunc(p.entries, func(a, b entry) int { return strings.Compare(a.upload.Key, b.upload.Key) })
	p.mark(after)
	return p, nil
}

// mark notes for each version whether its key is deleted now, which the page
// before may have said of the first key, and whether it is the last of its key.
func (p *page) mark(after place) {
	hidden := map[string]bool{after.key: after.hidden}
	for _, e := range p.entries {
		if e.marker && !e.old {
			hidden[e.upload.Key] = true
		}
	}
	for i := range p.entries {
		e := &p.entries[i]
		e.hidden = hidden[e.upload.Key]
		if i+1 < len(p.entries) {
			e.last = e.upload.Key != p.entries[i+1].upload.Key
		} else {
			e.last = !p.more
		}
	}
	p.next.hidden = hidden[p.next.key]
}

// entry returns what S3 lists under a key.
func (l lister) entry(encoded *string, size *int64, etag, version *string, modified *time.Time) (entry, error) {
	key, err := decode(encoded)
	return entry{upload: media.Upload{
		Bucket:    l.bucket,
		Key:       key,
		Size:      aws.ToInt64(size),
		ETag:      aws.ToString(etag),
		VersionID: aws.ToString(version),
		Time:      aws.ToTime(modified),
	}.FromS3()}, err
}

// decode returns a key as it is. S3 is asked to encode keys, since XML cannot
// hold all of them; it writes a space as a plus.
func decode(key *string) (string, error) {
	decoded, err := url.QueryUnescape(aws.ToString(key))
	if err != nil {
		return "", fmt.Errorf("the key %q is not encoded as it should be: %w", aws.ToString(key), err)
	}
	return decoded, nil
}

// archived reports whether an object has to be restored before anyone can read
// it (Amazon S3 User Guide, "Working with archived objects"). S3's list does
// not tell it of the archive tiers of Intelligent-Tiering.
func archived(class string, restored *types.RestoreStatus) bool {
	if class != string(types.StorageClassGlacier) && class != string(types.StorageClassDeepArchive) {
		return false
	}
	return restored == nil || restored.RestoreExpiryDate == nil
}

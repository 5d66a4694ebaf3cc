package s3

import (
	"context"
	"slices"
	"strings"

	"github.com/rclone/gofakes3"
)

// ListBucket lists keys in the order of their bytes. gofakes3's own
// Prefix.Match is not used: it drops leading delimiters, and so loses keys such
// as "//x".
func (b backend) ListBucket(_ context.Context, name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	bkt, err := b.bucket(name)
	if err != nil {
		return nil, err
	}
	list := gofakes3.NewObjectList()
	last := page.Marker
	for key := range bkt.from(prefix.Prefix, after(last)) {
		obj := bkt.current(key)
		folder := commonPrefix(key, prefix.Prefix, prefix.Delimiter)
		if obj == nil || (folder != "" && folder == last) {
			continue
		}
		if page.MaxKeys > 0 && int64(len(list.Contents)+len(list.CommonPrefixes)) == page.MaxKeys {
			// The marker is the last entry that was listed, be it a key or a common
			// prefix.
			list.IsTruncated, list.NextMarker = true, last
			break
		}
		if folder != "" {
			list.AddPrefix(folder)
			last = folder
			continue
		}
		list.Add(&gofakes3.Content{
			Key: key, LastModified: gofakes3.NewContentTime(obj.modified), ETag: `"` + obj.etag() + `"`,
			Size: obj.size, StorageClass: gofakes3.StorageStandard,
		})
		last = key
	}
	return list, nil
}

// after is the first key that can come after one; empty for none.
func after(key string) string {
	if key == "" {
		return ""
	}
	return key + "\x00"
}

// from yields the keys that start with prefix, beginning with first or where it
// would be.
func (b *bucket) from(prefix, first string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		at, _ := slices.BinarySearch(b.keys, max(prefix, first))
		for _, key := range b.keys[at:] {
			if !strings.HasPrefix(key, prefix) || !yield(key) {
				return
			}
		}
	}
}

// commonPrefix is the part of key up to the first delimiter after the prefix;
// empty if there is none.
func commonPrefix(key, prefix, delimiter string) string {
	if delimiter == "" {
		return ""
	}
	before, _, found := strings.Cut(key[len(prefix):], delimiter)
	if !found {
		return ""
	}
	return key[:len(prefix)+len(before)+len(delimiter)]
}

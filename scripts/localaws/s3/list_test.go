package s3_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

func TestListing(t *testing.T) {
	t.Parallel()
	f := start(t)
	keys := []string{"a", "a/", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "b/1", "//x", "/y", "Z", "é/1", "c"}
	for _, k := range keys {
		f.put(t, k, strings.NewReader(k))
	}
	for _, tc := range []struct {
		name              string
		prefix, delimiter string
		after             string
		want, folders     []string
	}{
		{name: "all, in the order of bytes", want: []string{"//x", "/y", "Z", "a", "a/", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "b/1", "c", "é/1"}},
		{name: "prefix", prefix: "a/", want: []string{"a/", "a/1", "a/2/x", "a/2/y", "a/3"}},
		{name: "top level", delimiter: "/", want: []string{"Z", "a", "a0", "c"}, folders: []string{"/", "a/", "b/", "é/"}},
		{name: "inside a folder", prefix: "a/", delimiter: "/", want: []string{"a/", "a/1", "a/3"}, folders: []string{"a/2/"}},
		{name: "leading delimiter", prefix: "/", delimiter: "/", want: []string{"/y"}, folders: []string{"//"}},
		{name: "part of a name", prefix: "a/2", delimiter: "/", folders: []string{"a/2/"}},
		{name: "start after", prefix: "a/", after: "a/2/x", want: []string{"a/2/y", "a/3"}},
		{name: "start before the prefix", prefix: "b", after: "a", want: []string{"b/1"}},
		{name: "start behind the prefix", prefix: "a", after: "b", want: nil},
		{name: "nothing", prefix: "none/"},
	} {
		for _, size := range []int32{1, 2, 3, 1000} {
			t.Run(tc.name, func(t *testing.T) {
				in := &awss3.ListObjectsV2Input{Bucket: aws.String(uploads), MaxKeys: &size, Prefix: &tc.prefix}
				if tc.delimiter != "" {
					in.Delimiter = &tc.delimiter
				}
				if tc.after != "" {
					in.StartAfter = &tc.after
				}
				var got, folders []string
				pages := awss3.NewListObjectsV2Paginator(f.client, in)
				for pages.HasMorePages() {
					page, err := pages.NextPage(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if n := len(page.Contents) + len(page.CommonPrefixes); n > int(size) || (n == 0 && *page.IsTruncated) {
						t.Fatalf("a page of %d entries, truncated %v", n, *page.IsTruncated)
					}
					for _, o := range page.Contents {
						got = append(got, *o.Key)
						if *o.Size != int64(len(*o.Key)) || *o.ETag != `"`+sum([]byte(*o.Key))+`"` {
							t.Errorf("%s: size %d, etag %s", *o.Key, *o.Size, *o.ETag)
						}
					}
					for _, p := range page.CommonPrefixes {
						folders = append(folders, *p.Prefix)
					}
				}
				if !slices.Equal(got, tc.want) || !slices.Equal(folders, tc.folders) {
					t.Errorf("pages of %d: keys %q, folders %q; want %q, %q", size, got, folders, tc.want, tc.folders)
				}
			})
		}
	}
}

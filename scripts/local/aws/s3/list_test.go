package s3_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/scripts/local/aws/s3"
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

// Keys of any characters come whole when their listing is encoded: some cannot
// stand in XML.
func TestListingEncoded(t *testing.T) {
	t.Parallel()
	f := start(t, versioned)
	keys := []string{"a b", "a+b", "a%2Bb", "a&b<c>", `"quoted"'s`, "é/日本語", "😀", "control \x01\x1f", "tab\tnew\nline", "\u2028", "~*-_.", "x=1&y=2;z", "\ufffe"}
	for _, key := range keys {
		f.put(t, key, strings.NewReader("x"))
	}
	slices.Sort(keys)
	for _, size := range []int32{1, 5, 1000} {
		var got []string
		pages := awss3.NewListObjectsV2Paginator(f.client, &awss3.ListObjectsV2Input{Bucket: aws.String(uploads), MaxKeys: &size, EncodingType: types.EncodingTypeUrl})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if page.EncodingType != types.EncodingTypeUrl {
				t.Errorf("encoding %q", page.EncodingType)
			}
			for _, o := range page.Contents {
				key, err := url.QueryUnescape(*o.Key)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, key)
			}
		}
		if !slices.Equal(got, keys) {
			t.Errorf("pages of %d: %q, want %q", size, got, keys)
		}
		var versions []string
		for _, entry := range f.versions(t, awss3.ListObjectVersionsInput{MaxKeys: &size, EncodingType: types.EncodingTypeUrl}).entries {
			versions = append(versions, entry[:strings.LastIndex(entry, " ")])
		}
		slices.Sort(versions)
		if !slices.Equal(versions, keys) {
			t.Errorf("versions in pages of %d: %q, want %q", size, versions, keys)
		}
	}
}

// As many objects as a backfill may find take many pages and little memory,
// however they were put. Other tests would be measured with it, so it does not
// run beside them.
func TestManyObjects(t *testing.T) {
	created := 0
	f := start(t, versioned, func(o *s3.Options) { o.OnCreated = func(s3.Created) { created++ } })
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	key := func(i int) string { return fmt.Sprintf("uploads/%d/film-%d.mov", i%10, i) }
	f.put(t, "a.mov", strings.NewReader("x")) // what the first request makes is no object's
	const objects, throughAPI = 5_000, 500
	put := 1
	for _, part := range []struct {
		until int
		put   func(key string)
	}{
		{throughAPI, func(key string) { f.put(t, key, strings.NewReader("x")) }},
		{objects, func(key string) {
			if err := f.store.PutFile(t.Context(), uploads, key, file); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		before, from := heap(), put
		for ; put < part.until; put++ {
			part.put(key(put))
		}
		if per := (heap() - before) / int64(put-from); per > 1<<10 {
			t.Errorf("%d bytes for each of %d objects", per, put-from)
		}
	}
	if created != objects {
		t.Errorf("%d events", created)
	}
	seen := map[string]bool{}
	for pages := awss3.NewListObjectsV2Paginator(f.client, &awss3.ListObjectsV2Input{Bucket: aws.String(uploads)}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			seen[*o.Key] = true
		}
	}
	versions := f.versions(t, awss3.ListObjectVersionsInput{})
	if len(seen) != objects || len(versions.entries) != objects || versions.pages != objects/1000 {
		t.Errorf("%d keys, %d versions in %d pages", len(seen), len(versions.entries), versions.pages)
	}
}

package s3_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/s3"
)

func versioned(o *s3.Options) { o.Buckets[0].Versioned = true }

func (f *fixture) remove(t *testing.T, key string) *awss3.DeleteObjectOutput {
	t.Helper()
	out, err := f.client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(uploads), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestVersions(t *testing.T) {
	t.Parallel()
	f := start(t, versioned)
	ctx, bucket, key := t.Context(), aws.String(uploads), aws.String("k")
	first, second := f.put(t, "k", strings.NewReader("one")), f.put(t, "k", strings.NewReader("second"))
	if first.VersionId == nil || second.VersionId == nil || *first.VersionId == *second.VersionId {
		t.Fatalf("version ids %v, %v", first.VersionId, second.VersionId)
	}
	got := f.events.of("k")
	if len(got) != 2 || got[0].VersionID != *first.VersionId || got[1].VersionID != *second.VersionId {
		t.Errorf("events %+v", got)
	}
	if body := string(f.get(t, "k")); body != "second" {
		t.Errorf("current = %q", body)
	}
	if body, err := f.fetch(ctx, &awss3.GetObjectInput{Key: key, VersionId: first.VersionId}); err != nil || string(body) != "one" {
		t.Errorf("first version = %q, %v", body, err)
	}
	if head, err := f.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: bucket, Key: key, VersionId: first.VersionId}); err != nil || *head.ContentLength != 3 {
		t.Errorf("head of the first version: %+v, %v", head, err)
	}
	if _, err := f.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: key}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.fetch(ctx, &awss3.GetObjectInput{Key: key}); endpointtest.Code(err) != "NoSuchKey" {
		t.Errorf("after deletion: %v", err)
	}
	versions, err := f.client.ListObjectVersions(ctx, &awss3.ListObjectVersionsInput{Bucket: bucket})
	if err != nil || len(versions.Versions) != 2 || len(versions.DeleteMarkers) != 1 || !*versions.DeleteMarkers[0].IsLatest {
		t.Errorf("versions: %+v, %v", versions, err)
	}
	if _, err := f.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: versions.DeleteMarkers[0].VersionId}); err != nil {
		t.Fatal(err)
	}
	if body := string(f.get(t, "k")); body != "second" {
		t.Errorf("after the marker went: %q", body)
	}
	if v, err := f.client.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: bucket}); err != nil || v.Status != types.BucketVersioningStatusEnabled {
		t.Errorf("versioning: %+v, %v", v, err)
	}
}

// listed are the entries of all pages, each as "KEY VERSION", with a "-" for a
// delete marker and a "*" for the latest.
type listed struct {
	entries []string
	pages   int
}

func (f *fixture) versions(t *testing.T, in awss3.ListObjectVersionsInput) listed {
	t.Helper()
	in.Bucket = aws.String(uploads)
	var l listed
	decode := func(text string) string {
		if in.EncodingType != types.EncodingTypeUrl {
			return text
		}
		decoded, err := url.QueryUnescape(text)
		if err != nil {
			t.Fatal(err)
		}
		return decoded
	}
	for more := true; more; l.pages++ {
		page, err := f.client.ListObjectVersions(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(page.Versions) + len(page.DeleteMarkers); in.MaxKeys != nil && n > int(*in.MaxKeys) || n == 0 && *page.IsTruncated {
			t.Fatalf("a page of %d entries, truncated %t", n, *page.IsTruncated)
		}
		mark := func(latest *bool) string { return map[bool]string{true: "*", false: ""}[*latest] }
		for _, v := range page.Versions {
			if *v.ETag == "" || v.LastModified == nil || v.Size == nil {
				t.Errorf("%+v", v)
			}
			l.entries = append(l.entries, decode(*v.Key)+" "+*v.VersionId+mark(v.IsLatest))
		}
		for _, m := range page.DeleteMarkers {
			l.entries = append(l.entries, decode(*m.Key)+" -"+*m.VersionId+mark(m.IsLatest))
		}
		if l.pages == 1000 {
			t.Fatal("the pages do not end")
		}
		if more = *page.IsTruncated; more {
			in.KeyMarker, in.VersionIdMarker = aws.String(decode(*page.NextKeyMarker)), page.NextVersionIdMarker
		}
	}
	slices.Sort(l.entries) // the client gives versions and delete markers apart
	return l
}

// The ids of versions say nothing to anybody; the tests name them by number.
func (l listed) numbered(ids []string) []string {
	var names []string
	for i, id := range ids {
		names = append(names, id, fmt.Sprint(i))
	}
	replace := strings.NewReplacer(names...)
	var out []string
	for _, e := range l.entries {
		out = append(out, replace.Replace(e))
	}
	return out
}

func TestListingVersionsInPages(t *testing.T) {
	t.Parallel()
	f := start(t, versioned)
	var ids []string
	put := func(key string) { ids = append(ids, *f.put(t, key, strings.NewReader(key)).VersionId) }
	remove := func(key string) { ids = append(ids, *f.remove(t, key).VersionId) }
	put("a")    // 0
	put("a")    // 1
	put("b/x")  // 2
	remove("a") // 3
	put("b/y")  // 4
	put("b/x")  // 5
	remove("c") // 6: of what never was
	put("a")    // 7
	put("d +é") // 8
	for _, tt := range []struct {
		name string
		in   awss3.ListObjectVersionsInput
		want []string
	}{
		{"all", awss3.ListObjectVersionsInput{}, []string{"a 7*", "a 1", "a 0", "b/x 5*", "b/x 2", "b/y 4*", "d +é 8*", "a -3", "c -6*"}},
		{"prefix", awss3.ListObjectVersionsInput{Prefix: aws.String("b/")}, []string{"b/x 5*", "b/x 2", "b/y 4*"}},
		{"after a key", awss3.ListObjectVersionsInput{KeyMarker: aws.String("a")}, []string{"b/x 5*", "b/x 2", "b/y 4*", "d +é 8*", "c -6*"}},
		{"after a version", awss3.ListObjectVersionsInput{KeyMarker: aws.String("a"), VersionIdMarker: &ids[3], Prefix: aws.String("a")}, []string{"a 1", "a 0"}},
		{"after the oldest", awss3.ListObjectVersionsInput{KeyMarker: aws.String("a"), VersionIdMarker: &ids[0], Prefix: aws.String("a")}, nil},
	} {
		for _, size := range []int32{1, 2, 3, 1000} {
			for _, encoding := range []types.EncodingType{"", types.EncodingTypeUrl} {
				in := tt.in
				in.MaxKeys, in.EncodingType = &size, encoding
				got := f.versions(t, in)
				want := slices.Clone(tt.want)
				numbered := got.numbered(ids)
				slices.Sort(numbered)
				slices.Sort(want)
				if !slices.Equal(numbered, want) {
					t.Errorf("%s, pages of %d %s: %q; want %q", tt.name, size, encoding, numbered, want)
				}
				if n := len(tt.want); size == 1 && n > 0 && got.pages != n {
					t.Errorf("%s: %d pages for %d entries", tt.name, got.pages, n)
				}
			}
		}
	}
	// In one page they are in order: of keys, and of each key the newest first.
	out, err := f.client.ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{Bucket: aws.String(uploads), Prefix: aws.String("a")})
	if err != nil || len(out.Versions) != 3 || *out.Versions[0].VersionId != ids[7] || *out.Versions[2].VersionId != ids[0] {
		t.Errorf("%+v, %v", out, err)
	}
}

// A listing goes on behind what was deleted since its last page.
func TestDeletingWhileListingVersions(t *testing.T) {
	t.Parallel()
	f := start(t, versioned)
	const objects = 20
	for i := range objects {
		key := fmt.Sprintf("k%d", i%3)
		if i%5 == 4 {
			f.remove(t, key)
		} else {
			f.put(t, key, strings.NewReader("x"))
		}
	}
	deleted := 0
	in := &awss3.ListObjectVersionsInput{Bucket: aws.String(uploads), MaxKeys: aws.Int32(3)}
	for pages := awss3.NewListObjectVersionsPaginator(f.client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var ids []types.ObjectIdentifier
		for _, v := range page.Versions {
			ids = append(ids, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			ids = append(ids, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		out, err := f.client.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String(uploads), Delete: &types.Delete{Objects: ids}})
		if err != nil || len(out.Errors) > 0 {
			t.Fatalf("%+v, %v", out, err)
		}
		for _, d := range out.Deleted {
			if aws.ToString(d.VersionId) == "" {
				t.Errorf("deleted %+v", d)
			}
			deleted++
		}
	}
	if left := f.versions(t, awss3.ListObjectVersionsInput{}); deleted != objects || len(left.entries) > 0 {
		t.Errorf("deleted %d; %q is left", deleted, left.entries)
	}
}

func TestDeletingSeveral(t *testing.T) {
	t.Parallel()
	f := start(t, versioned)
	first := f.put(t, "a", strings.NewReader("first")).VersionId
	f.put(t, "a", strings.NewReader("second"))
	f.put(t, "b", strings.NewReader("x"))
	third := f.put(t, "a", strings.NewReader("third")).VersionId
	out, err := f.client.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String(uploads), Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String("a"), VersionId: first}, {Key: aws.String("b")}, {Key: aws.String("a"), VersionId: third}, {Key: aws.String("none")},
	}}})
	if err != nil || len(out.Deleted) != 4 {
		t.Fatalf("%+v, %v", out, err)
	}
	if body := string(f.get(t, "a")); body != "second" {
		t.Errorf("a is %q", body)
	}
	l := f.versions(t, awss3.ListObjectVersionsInput{Prefix: aws.String("b")})
	if len(l.entries) != 2 || !strings.HasPrefix(l.entries[0], "b -") {
		t.Errorf("b has %q", l.entries)
	}
}

func TestVersionsOfABucketThatKeepsNone(t *testing.T) {
	t.Parallel()
	f := start(t)
	for range 2 {
		f.put(t, "a", strings.NewReader("x"))
		f.put(t, "b", strings.NewReader("x"))
	}
	for _, size := range []int32{1, 1000} {
		if l := f.versions(t, awss3.ListObjectVersionsInput{MaxKeys: &size}); !slices.Equal(l.entries, []string{"a null*", "b null*"}) {
			t.Errorf("versions %q", l.entries)
		}
	}
	ctx, bucket, key := t.Context(), aws.String(uploads), aws.String("a")
	if v, err := f.client.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: bucket}); err != nil || v.Status != "" {
		t.Errorf("versioning %+v, %v", v, err)
	}
	if body, err := f.fetch(ctx, &awss3.GetObjectInput{Key: key, VersionId: aws.String("null")}); err != nil || string(body) != "x" {
		t.Errorf("the version null: %q, %v", body, err)
	}
	if _, err := f.fetch(ctx, &awss3.GetObjectInput{Key: key, VersionId: aws.String("v1")}); endpointtest.Code(err) != "NoSuchVersion" {
		t.Errorf("a version that is not there: %v", err)
	}
	if _, err := f.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: aws.String("null")}); err != nil {
		t.Error(err)
	}
	out, err := f.client.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("b"), VersionId: aws.String("null")}}}})
	if err != nil || len(out.Deleted) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if l := f.versions(t, awss3.ListObjectVersionsInput{}); len(l.entries) > 0 {
		t.Errorf("%q is left", l.entries)
	}
}

func TestTurningVersioningOn(t *testing.T) {
	t.Parallel()
	f := start(t)
	ctx, bucket := t.Context(), aws.String("another")
	if _, err := f.client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	set := func(bucket *string, status types.BucketVersioningStatus) error {
		_, err := f.client.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status}})
		return err
	}
	for range 2 { // the second time it is so already
		if err := set(bucket, types.BucketVersioningStatusEnabled); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := f.client.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("x")}); err != nil || aws.ToString(out.VersionId) == "" {
		t.Errorf("%+v, %v", out, err)
	}
	if out := f.put(t, "k", strings.NewReader("x")); out.VersionId != nil {
		t.Errorf("another bucket keeps versions: %s", *out.VersionId)
	}
}

func TestSuspendingVersioning(t *testing.T) {
	t.Parallel()
	f := start(t)
	set := func(status types.BucketVersioningStatus) {
		t.Helper()
		in := &awss3.PutBucketVersioningInput{Bucket: aws.String(uploads), VersioningConfiguration: &types.VersioningConfiguration{Status: status}}
		if _, err := f.client.PutBucketVersioning(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if out, err := f.client.GetBucketVersioning(t.Context(), &awss3.GetBucketVersioningInput{Bucket: in.Bucket}); err != nil || out.Status != status {
			t.Errorf("%+v, %v; want %s", out, err, status)
		}
	}
	put := func(body string) string { return aws.ToString(f.put(t, "k", strings.NewReader(body)).VersionId) }
	want := func(ids []string, want ...string) {
		t.Helper()
		slices.Sort(want)
		for _, size := range []int32{1, 2, 1000} {
			got := f.versions(t, awss3.ListObjectVersionsInput{MaxKeys: &size}).numbered(ids)
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("pages of %d: %q, want %q", size, got, want)
			}
		}
	}
	put("from before")
	set(types.BucketVersioningStatusEnabled)
	ids := []string{put("kept"), put("kept, too")}
	want(ids, "k null", "k 0", "k 1*")
	set(types.BucketVersioningStatusSuspended)
	if id := put("not kept"); id != "" {
		t.Errorf("version %q", id)
	}
	put("in its place")
	want(ids, "k 0", "k 1", "k null*")
	if got := f.events.of("k"); len(got) != 5 || got[4].VersionID != "" {
		t.Errorf("%+v", got)
	}
	f.remove(t, "k")
	want(ids, "k 0", "k 1", "k -null*")
	if _, err := f.fetch(t.Context(), &awss3.GetObjectInput{Key: aws.String("k")}); endpointtest.Code(err) != "NoSuchKey" {
		t.Error(err)
	}
	set(types.BucketVersioningStatusEnabled)
	ids = append(ids, put("kept again"))
	want(ids, "k 0", "k 1", "k -null", "k 2*")
}

func TestWrongListingsOfVersions(t *testing.T) {
	t.Parallel()
	f := start(t, versioned)
	id := f.put(t, "k", strings.NewReader("x")).VersionId
	for why, tt := range map[string]struct {
		in   awss3.ListObjectVersionsInput
		want string
	}{
		"no bucket":              {awss3.ListObjectVersionsInput{Bucket: aws.String("none")}, "NoSuchBucket"},
		"a version without key":  {awss3.ListObjectVersionsInput{VersionIdMarker: id}, "InvalidArgument"},
		"an empty version":       {awss3.ListObjectVersionsInput{KeyMarker: aws.String("k"), VersionIdMarker: aws.String("")}, "InvalidArgument"},
		"no version":             {awss3.ListObjectVersionsInput{KeyMarker: aws.String("k"), VersionIdMarker: aws.String("yesterday's")}, "InvalidArgument"},
		"fewer than no keys":     {awss3.ListObjectVersionsInput{MaxKeys: aws.Int32(-1)}, "InvalidArgument"},
		"folders":                {awss3.ListObjectVersionsInput{Delimiter: aws.String("/")}, "NotImplemented"},
		"an encoding of its own": {awss3.ListObjectVersionsInput{EncodingType: "rot13"}, "InvalidArgument"},
	} {
		if tt.in.Bucket == nil {
			tt.in.Bucket = aws.String(uploads)
		}
		if _, err := f.client.ListObjectVersions(t.Context(), &tt.in); endpointtest.Code(err) != tt.want {
			t.Errorf("%s: %v, want %s", why, err, tt.want)
		}
	}
	out, err := f.client.ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{Bucket: aws.String(uploads), MaxKeys: aws.Int32(0)})
	if err != nil || len(out.Versions) > 0 || *out.IsTruncated {
		t.Errorf("no keys: %+v, %v", out, err)
	}
}

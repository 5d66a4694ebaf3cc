package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/s3"
)

func TestKeysArriveByteExact(t *testing.T) {
	t.Parallel()
	f := start(t)
	keys := []string{
		"plain.mp4", "a//b", "/leading", "//two", "a/../b", "../up", "./here", "trailing/", "folder//",
		"sp ace", "plus+plus", "%41", "100%", "hash#tag", "quest?ion=1&x=2", "semi;colon", "quote'\"", "back\\slash",
		"ampersand&<tag>", "emoji 🎬.mov", "e\u0301", "é", "日本語/動画.mp4", "tilde~", "star*", "comma,colon:at@",
		"{brace}", "[x]^`|", strings.Repeat("k", 1024), strings.Repeat("é", 512), "versions", "uploads", "~", "$a=b",
	}
	for i, key := range keys {
		f.put(t, key, strings.NewReader(fmt.Sprint(i)))
	}
	for i, key := range keys {
		if got := string(f.get(t, key)); got != fmt.Sprint(i) {
			t.Errorf("get %q = %q, want %d", key, got, i)
		}
		got := f.events.of(key)
		if len(got) != 1 {
			t.Errorf("%d events for %q, want one", len(got), key)
		}
	}
	listed := map[string]bool{}
	pages := awss3.NewListObjectsV2Paginator(f.client, &awss3.ListObjectsV2Input{Bucket: aws.String(uploads), MaxKeys: aws.Int32(7)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			listed[*o.Key] = true
		}
	}
	for _, key := range keys {
		if !listed[key] {
			t.Errorf("list misses %q", key)
		}
	}
	if len(listed) != len(keys) {
		t.Errorf("listed %d keys, want %d", len(listed), len(keys))
	}
}

func TestRefusedKeys(t *testing.T) {
	t.Parallel()
	f := start(t)
	long := strings.Repeat("k", 1025)
	_, err := f.client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(uploads), Key: &long, Body: strings.NewReader("x")})
	if endpointtest.Code(err) != "KeyTooLongError" {
		t.Errorf("put of a long key: %v", err)
	}
	_, err = f.client.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String(uploads), Key: &long})
	if endpointtest.Code(err) != "KeyTooLongError" {
		t.Errorf("multipart upload of a long key: %v", err)
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", "bad\xff", long} {
		if err := f.store.PutFile(t.Context(), uploads, key, path); err == nil {
			t.Errorf("PutFile took the key %.10q", key)
		}
	}
	if n := len(f.events.list()); n != 0 {
		t.Errorf("%d events, want none", n)
	}
}

func TestCreatedIsReportedOnceAndReadable(t *testing.T) {
	t.Parallel()
	var f *fixture
	var seen []byte
	var seenErr error
	f = start(t, func(o *s3.Options) {
		record := o.OnCreated
		o.OnCreated = func(c s3.Created) {
			record(c)
			seen, seenErr = f.fetch(context.Background(), &awss3.GetObjectInput{Key: &c.Key})
		}
	})
	before := time.Now()
	f.put(t, "a", strings.NewReader("hello"))
	if seenErr != nil || string(seen) != "hello" {
		t.Errorf("a read inside OnCreated = %q, %v", seen, seenErr)
	}
	f.put(t, "a", strings.NewReader("again"))
	got := f.events.of("a")
	if len(got) != 2 {
		t.Fatalf("%d events, want 2: %+v", len(got), got)
	}
	first := got[0]
	if first.Bucket != uploads || first.Size != 5 || first.ETag != sum([]byte("hello")) || first.VersionID != "" || first.Reason != s3.ReasonPut {
		t.Errorf("event = %+v", first)
	}
	if first.Time.Before(before) {
		t.Errorf("made at %v, before it was put", first.Time)
	}
	if len(first.Sequencer) < 16 || strings.Trim(first.Sequencer, "0123456789ABCDEF") != "" || first.Sequencer >= got[1].Sequencer {
		t.Errorf("sequencers %q, %q", first.Sequencer, got[1].Sequencer)
	}
	if _, err := f.client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(uploads), Key: aws.String("a")}); err != nil {
		t.Fatal(err)
	}
	if n := len(f.events.list()); n != 2 {
		t.Errorf("a deletion was reported")
	}
}

func TestConcurrentPutsOfOneKey(t *testing.T) {
	t.Parallel()
	f := start(t)
	const n = 30
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f.put(t, "same", strings.NewReader(strings.Repeat(fmt.Sprint(i%10), 1000+i))) })
	}
	wg.Wait()
	got := f.events.of("same")
	last := got[0]
	sequencers := map[string]bool{}
	for _, c := range got {
		sequencers[c.Sequencer] = true
		if c.Sequencer > last.Sequencer {
			last = c
		}
	}
	if len(got) != n || len(sequencers) != n {
		t.Errorf("%d events, %d sequencers, want %d", len(got), len(sequencers), n)
	}
	if body := f.get(t, "same"); sum(body) != last.ETag {
		t.Error("the object is not the one with the highest sequencer")
	}
}

func TestConditionalPutHasOneWinner(t *testing.T) {
	t.Parallel()
	f := start(t)
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = f.client.PutObject(t.Context(), &awss3.PutObjectInput{
				Bucket: aws.String(uploads), Key: aws.String("once"), Body: strings.NewReader("x"), IfNoneMatch: aws.String("*"),
			})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case endpointtest.Code(err) != "PreconditionFailed":
			t.Error(err)
		}
	}
	if won != 1 || len(f.events.list()) != 1 {
		t.Errorf("%d winners, %d events, want one each", won, len(f.events.list()))
	}
}

func TestReadersKeepTheirVersion(t *testing.T) {
	t.Parallel()
	f := start(t)
	old := bytes.Repeat([]byte("old"), 1<<20)
	f.put(t, "k", bytes.NewReader(old))
	path, release, err := f.store.Open(uploads, "k")
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.client.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String(uploads), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	f.put(t, "k", strings.NewReader("new"))
	body, err := io.ReadAll(out.Body)
	if err != nil || !bytes.Equal(body, old) {
		t.Errorf("the reader got %d bytes, %v", len(body), err)
	}
	if onDisk, err := os.ReadFile(path); err != nil || !bytes.Equal(onDisk, old) {
		t.Errorf("the opened file has %d bytes, %v", len(onDisk), err)
	}
	release()
	release()
	// The handler closes its file after the client has read the last byte.
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the old bytes stay on disk after the last reader left")
		}
		time.Sleep(time.Millisecond)
	}
	if _, _, err := f.store.Open(uploads, "other"); !errors.Is(err, s3.ErrNotFound) {
		t.Errorf("Open of nothing: %v", err)
	}
}

func TestRangesAndHead(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put(t, "k", strings.NewReader("0123456789"))
	for rng, want := range map[string]string{"bytes=0-0": "0", "bytes=2-4": "234", "bytes=7-": "789", "bytes=-2": "89", "bytes=8-99": "89"} {
		body, err := f.fetch(t.Context(), &awss3.GetObjectInput{Key: aws.String("k"), Range: &rng})
		if err != nil || string(body) != want {
			t.Errorf("%s = %q, %v; want %q", rng, body, err, want)
		}
	}
	if _, err := f.fetch(t.Context(), &awss3.GetObjectInput{Key: aws.String("k"), Range: aws.String("bytes=10-")}); endpointtest.Code(err) != "InvalidRange" {
		t.Errorf("a range after the end: %v", err)
	}
	head, err := f.client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(uploads), Key: aws.String("k")})
	if err != nil || *head.ContentLength != 10 || *head.ETag != `"`+sum([]byte("0123456789"))+`"` {
		t.Errorf("head = %+v, %v", head, err)
	}
	for _, absent := range []string{"no", "K"} {
		if _, err := f.fetch(t.Context(), &awss3.GetObjectInput{Key: &absent}); endpointtest.Code(err) != "NoSuchKey" {
			t.Errorf("get of nothing: %v", err)
		}
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	f := start(t)
	ctx, bucket := t.Context(), aws.String(uploads)
	_, err := f.client.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: bucket, Key: aws.String("src é+.mp4"), Body: strings.NewReader("bytes"),
		ContentType: aws.String("video/mp4"), Metadata: map[string]string{"camera": "left"},
	})
	if err != nil {
		t.Fatal(err)
	}
	source := aws.String(uploads + "/src%20%C3%A9%2B.mp4")
	copied, err := f.client.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: bucket, Key: aws.String("dst"), CopySource: source})
	if err != nil {
		t.Fatal(err)
	}
	if *copied.CopyObjectResult.ETag != `"`+sum([]byte("bytes"))+`"` {
		t.Errorf("etag %s", *copied.CopyObjectResult.ETag)
	}
	head := func(key string) *awss3.HeadObjectOutput {
		out, err := f.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := head("dst"); *got.ContentType != "video/mp4" || got.Metadata["camera"] != "left" {
		t.Errorf("kept: %s %v", *got.ContentType, got.Metadata)
	}
	self := &awss3.CopyObjectInput{
		Bucket: bucket, Key: aws.String("src é+.mp4"), CopySource: source, MetadataDirective: types.MetadataDirectiveReplace,
		ContentType: aws.String("video/quicktime"), Metadata: map[string]string{"camera": "right"},
	}
	if _, err := f.client.CopyObject(ctx, self); err != nil {
		t.Fatal(err)
	}
	if got := head("src é+.mp4"); *got.ContentType != "video/quicktime" || got.Metadata["camera"] != "right" {
		t.Errorf("replaced: %s %v", *got.ContentType, got.Metadata)
	}
	if _, err := f.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: aws.String("src é+.mp4")}); err != nil {
		t.Fatal(err)
	}
	if got := string(f.get(t, "dst")); got != "bytes" {
		t.Errorf("the copy after its source is gone: %q", got)
	}
	if got := f.events.of("dst"); len(got) != 1 || got[0].Reason != s3.ReasonCopy || got[0].Size != 5 || got[0].ETag != sum([]byte("bytes")) {
		t.Errorf("events of the copy: %+v", got)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	f := start(t)
	ctx, bucket := t.Context(), aws.String(uploads)
	for _, k := range []string{"a", "b", "c"} {
		f.put(t, k, strings.NewReader(k))
	}
	if _, err := f.client.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: bucket}); endpointtest.Code(err) != "BucketNotEmpty" {
		t.Errorf("delete of a full bucket: %v", err)
	}
	out, err := f.client.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{
		Objects: []types.ObjectIdentifier{{Key: aws.String("a")}, {Key: aws.String("b")}, {Key: aws.String("never")}},
	}})
	if err != nil || len(out.Deleted) != 3 || len(out.Errors) != 0 {
		t.Errorf("delete many: %+v, %v", out, err)
	}
	list, err := f.client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: bucket})
	if err != nil || len(list.Contents) != 1 || *list.Contents[0].Key != "c" {
		t.Errorf("left: %+v, %v", list.Contents, err)
	}
	if _, err := f.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: aws.String("c")}); err != nil {
		t.Error(err)
	}
	if _, err := f.client.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: bucket}); err != nil {
		t.Errorf("delete of an empty bucket: %v", err)
	}
}

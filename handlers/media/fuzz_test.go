package media_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"ittybit-media/handlers/media"
)

// FuzzSign: a token says what it was made of, byte for byte.
func FuzzSign(f *testing.F) {
	f.Add("my-media-bucket", "uploads/video.mov", "0123456789abcdef", "video", 0)
	f.Add("b", "\x00\xff {}\"\\ü", "u", "j", 7)
	k := keys(f, newest)
	f.Fuzz(func(t *testing.T, bucket, key, upload, job string, attempt int) {
		ref := media.JobRef{Bucket: bucket, Key: key, Upload: upload, Job: job, Attempt: attempt}
		token, err := k.Sign(ref)
		if err != nil || !utf8.ValidString(bucket) || !utf8.ValidString(upload) || !utf8.ValidString(job) { // only keys can be any bytes
			return
		}
		got, err := k.Verify(token)
		if valid := bucket != "" && key != "" && upload != "" && job != "" && attempt >= 0; valid && (err != nil || got != ref) || err == nil && got != ref {
			t.Errorf("%+v comes back as %+v, %v", ref, got, err)
		}
	})
}

// FuzzTemplate: an output that the configuration lets pass never leaves the
// folder for outputs, whatever the upload's key.
func FuzzTemplate(f *testing.F) {
	f.Add("s3://${bucket}/ittybit-output/${dir}${stem}.mp3", "uploads/video.mov")
	f.Add("s3://other/${job}/{date}/${key}${ext}", "a{b}/../c")
	f.Add("s3://${bucket}/${key}", "ittybit-output/x")
	f.Add("s3://my-media-bucket/ittybit-output/$${stem}}", "${bucket}")
	f.Fuzz(func(t *testing.T, template, key string) {
		outputs := media.Folder{Bucket: "my-media-bucket", Prefix: "ittybit-output/"}
		routes, err := json.Marshal([]any{map[string]any{"jobs": []any{map[string]any{"name": "video", "kind": "video", "output": template}}}})
		if err != nil {
			t.Fatal(err)
		}
		parsed, _, err := media.ParseRoutes(routes, outputs)
		if err != nil || key == "" {
			return
		}
		output := parsed[0].Jobs[0].Output
		url, err := output.Render(media.JobRef{Bucket: outputs.Bucket, Key: key, Job: "video"})
		if output == "" || err != nil {
			return
		}
		if outputs.Loops(url) {
			t.Errorf("%q of %q writes %q: an upload again", template, key, url)
		}
		bucket, prefix := output.Destination()
		if bucket == "" {
			bucket = outputs.Bucket
		}
		if !strings.HasPrefix(url, "s3://"+bucket+"/"+prefix) {
			t.Errorf("%q of %q writes %q, not into %q %q", template, key, url, bucket, prefix)
		}
		if strings.ContainsAny(key, "{}") && strings.Contains(url, key) && strings.Contains(template, "${key}") {
			t.Errorf("a brace of the key %q is in %q", key, url)
		}
	})
}

package media_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/media"
)

var upload = media.Upload{
	Bucket:    "my-media-bucket",
	Key:       "uploads/video.mov",
	Size:      5242880,
	ETag:      "b1946ac92492d2347c6235b4d2611184",
	VersionID: "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
	Sequencer: "00617F08299329D189",
	Time:      time.Date(2026, 4, 3, 7, 20, 0, 0, time.UTC),
}

func TestUploadID(t *testing.T) {
	t.Parallel()
	id := upload.ID("table")
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		t.Errorf("%q is not of 32 hex digits", id)
	}
	same := upload
	same.Sequencer, same.Size, same.ETag, same.Time = "", media.UnknownSize, "other", upload.Time.AddDate(1, 0, 0)
	if same.ID("table") != id {
		t.Error("what no list call returns is part of the identity")
	}
	ids := map[string]string{id: "the upload"}
	for name, change := range map[string]func(*media.Upload) string{
		"another table":   func(*media.Upload) string { return "table2" },
		"another bucket":  func(u *media.Upload) string { u.Bucket += "2"; return "table" },
		"another key":     func(u *media.Upload) string { u.Key += "2"; return "table" },
		"another version": func(u *media.Upload) string { u.VersionID += "2"; return "table" },
		"no version":      func(u *media.Upload) string { u.VersionID = ""; return "table" },
	} {
		u := upload
		table := change(&u)
		if other, ok := ids[u.ID(table)]; ok {
			t.Errorf("%s has the identity of %s", name, other)
		}
		ids[u.ID(table)] = name
	}
	a, b := media.Upload{Bucket: "b", Key: "k1", ETag: "x"}, media.Upload{Bucket: "bk", Key: "1", ETag: "x"}
	if a.ID("t") == b.ID("t") {
		t.Error("bucket and key run into each other")
	}
}

var ref = media.JobRef{Bucket: "my-media-bucket", Key: "uploads/video.mov", Upload: "0123456789abcdef0123456789abcdef", Job: "video", Attempt: 1}

func metadata(t *testing.T, r media.JobRef) map[string]string {
	t.Helper()
	body, _, err := media.JobRequest{Upload: media.Upload{Bucket: r.Bucket, Key: r.Key}, Ref: r, Job: media.Job{Name: r.Job, Kind: "video"}, WebhookURL: "https://x", Token: "t"}.Body()
	if err != nil {
		t.Fatal(err)
	}
	var request struct{ Metadata map[string]string }
	if err := json.Unmarshal(body, &request); err != nil {
		t.Fatal(err)
	}
	return request.Metadata
}

func TestMetadataNamesTheJob(t *testing.T) {
	t.Parallel()
	all := metadata(t, ref)
	if got, err := media.RefFromMetadata(all); err != nil || got != ref {
		t.Errorf("got %+v, %v", got, err)
	}
	if !ref.Owns(all) || ref.Contradicts(all) {
		t.Error("a job does not know its own metadata")
	}
	if ref.Contradicts(nil) || ref.Owns(nil) {
		t.Error("metadata that is not there counts")
	}
	for name := range all {
		less := maps.Clone(all)
		delete(less, name)
		if _, err := media.RefFromMetadata(less); err == nil {
			t.Errorf("metadata without %s names a job", name)
		}
		if ref.Owns(less) || ref.Contradicts(less) {
			t.Errorf("without %s: owns %v, contradicts %v", name, ref.Owns(less), ref.Contradicts(less))
		}
		other := maps.Clone(all)
		other[name] += "0"
		if ref.Owns(other) || !ref.Contradicts(other) {
			t.Errorf("with another %s: owns %v, contradicts %v", name, ref.Owns(other), ref.Contradicts(other))
		}
	}
	more := maps.Clone(all)
	more["theirs"] = "too"
	if !ref.Owns(more) || ref.Contradicts(more) {
		t.Error("somebody else's metadata counts")
	}
}

func TestStatesOnlyRise(t *testing.T) {
	t.Parallel()
	type row struct {
		state media.State
		word  string
		rank  int
		final bool
	}
	for _, want := range []row{
		{media.Queued, "queued", 0, false},
		{media.Processing, "processing", 1, false},
		{media.InferredFailed, "failed", 2, true},
		{media.Failed, "failed", 3, true},
		{media.Cancelled, "cancelled", 3, true},
		{media.Succeeded, "succeeded", 4, true},
	} {
		if got := (row{want.state, want.state.String(), want.state.Rank(), want.state.Final()}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestResultHasAMainOutput(t *testing.T) {
	t.Parallel()
	r := media.Result{}
	if r.OutputURL() != "" {
		t.Error("no output has a URL")
	}
	r.Outputs = []media.Output{{URL: "a"}, {URL: "b"}}
	if r.OutputURL() != "a" {
		t.Errorf("got %q", r.OutputURL())
	}
}

// The guide's request, with what the pipeline adds to it.
func TestTheGuidesRequest(t *testing.T) {
	t.Parallel()
	r := ref
	r.Attempt = 0
	request := media.JobRequest{
		Upload:     upload,
		Ref:        r,
		Job:        media.DefaultRoutes()[0].Jobs[0],
		Outputs:    "ittybit-output/",
		Connection: "conn_abc123",
		Placement:  media.PlacementOptions,
		WebhookURL: "https://xyz.lambda-url.us-east-1.on.aws/webhook",
		Token:      "a.b.c",
	}
	body, key, err := request.Body()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"input":"s3://my-media-bucket/uploads/video.mov","kind":"video",` +
		`"options":{"connection_id":"conn_abc123","format":"mp4","quality":"high","width":1920},` +
		`"webhook_url":"https://xyz.lambda-url.us-east-1.on.aws/webhook?token=a.b.c",` +
		`"metadata":{"attempt":"0","job":"video","source_bucket":"my-media-bucket","source_key":"uploads/video.mov","upload":"0123456789abcdef0123456789abcdef"}}`
	if string(body) != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	if len(key) != 32 {
		t.Errorf("idempotency key %q has not 32 characters", key)
	}
	again, sameKey, _ := request.Body()
	if string(again) != string(body) || sameKey != key {
		t.Error("the same request has other bytes")
	}
	if _, leaked := media.DefaultRoutes()[0].Jobs[0].Options[media.ConnectionOption]; leaked {
		t.Error("the connection was written into the route")
	}
}

// A rotation of the callback key, another connection or a changed job must not
// let Ittybit take a second try for another job.
func TestIdempotencyKeyIsTheIdentityOfTheJob(t *testing.T) {
	t.Parallel()
	of := func(change func(*media.JobRequest)) string {
		t.Helper()
		r := media.JobRequest{Upload: upload, Ref: ref, Job: media.DefaultRoutes()[0].Jobs[0], Outputs: "ittybit-output/", WebhookURL: "https://x/webhook", Token: "t"}
		change(&r)
		_, key, err := r.Body()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key := of(func(*media.JobRequest) {})
	if len(key) != 32 || strings.Trim(key, "0123456789abcdef") != "" {
		t.Errorf("%q is not of 32 hex digits", key)
	}
	for name, change := range map[string]func(*media.JobRequest){
		"another token":      func(r *media.JobRequest) { r.Token = "u" },
		"another connection": func(r *media.JobRequest) { r.Connection = "conn_2" },
		"another placement":  func(r *media.JobRequest) { r.Connection, r.Placement = "conn_2", media.PlacementRoot },
		"another webhook":    func(r *media.JobRequest) { r.WebhookURL = "https://y/webhook" },
		"other options":      func(r *media.JobRequest) { r.Job.Options = nil },
		"another kind":       func(r *media.JobRequest) { r.Job.Kind = "audio" },
		"an output":          func(r *media.JobRequest) { r.Job.Output = "s3://other/${key}" },
	} {
		if of(change) != key {
			t.Errorf("%s changes the idempotency key", name)
		}
	}
	seen := map[string]string{key: "the job"}
	for name, change := range map[string]func(*media.JobRef){
		"another table":   func(r *media.JobRef) { r.Upload = upload.ID("other") },
		"another upload":  func(r *media.JobRef) { r.Upload = "1" + r.Upload[1:] },
		"another job":     func(r *media.JobRef) { r.Job = "audio" },
		"another attempt": func(r *media.JobRef) { r.Attempt = 2 },
		"a longer job":    func(r *media.JobRef) { r.Job, r.Attempt = "video1", 0 },
		"attempt 10":      func(r *media.JobRef) { r.Attempt = 10 },
	} {
		other := of(func(r *media.JobRequest) { change(&r.Ref) })
		if first, ok := seen[other]; ok {
			t.Errorf("%s has the idempotency key of %s", name, first)
		}
		seen[other] = name
	}
}

func TestWhereTheConnectionGoes(t *testing.T) {
	t.Parallel()
	own := map[string]any{media.ConnectionOption: "conn_own"}
	for name, tt := range map[string]struct {
		connection string
		placement  media.Placement
		options    map[string]any
		want       string // the part of the body before the webhook's URL
	}{
		"in the options":         {connection: "conn_1", placement: media.PlacementOptions, want: `"options":{"connection_id":"conn_1"}`},
		"at the root":            {connection: "conn_1", placement: media.PlacementRoot, want: `"connection_id":"conn_1"`},
		"nowhere":                {placement: media.PlacementOptions, want: ``},
		"the job's own":          {connection: "conn_1", placement: media.PlacementOptions, options: own, want: `"options":{"connection_id":"conn_own"}`},
		"the job's own, at root": {connection: "conn_1", placement: media.PlacementRoot, options: own, want: `"options":{"connection_id":"conn_own"}`},
	} {
		body, _, err := media.JobRequest{Upload: upload, Ref: ref, Job: media.Job{Name: "v", Kind: "video", Options: tt.options},
			Connection: tt.connection, Placement: tt.placement, WebhookURL: "https://x/webhook", Token: "t"}.Body()
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`"kind":"video",%s,"webhook_url"`, tt.want)
		if tt.want == "" {
			want = `"kind":"video","webhook_url"`
		}
		if !strings.Contains(string(body), want) {
			t.Errorf("%s: %s is not in %s", name, want, body)
		}
	}
}

func TestKeysReachIttybitUnchanged(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"a b.mov", "a+b.mov", "%41.mov", "a#b.mov", "a?b&c.mov", `"quoted"'s.mov`, "😀/ملف.mov", "<script>.mov",
		"../../etc/passwd.mov", "a//b.mov", "/lead.mov", strings.Repeat("k", 1020) + ".mov", "back\\slash.mov", "{brace}.mov",
	} {
		u := upload
		u.Key = key
		r := ref
		r.Key = key
		body, _, err := media.JobRequest{Upload: u, Ref: r, Job: media.Job{Name: "v", Kind: "video"}, WebhookURL: "https://x/webhook", Token: "t"}.Body()
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Input    string
			Metadata map[string]string
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if got.Input != "s3://my-media-bucket/"+key || got.Metadata["source_key"] != key {
			t.Errorf("%q arrives as %q and %q", key, got.Input, got.Metadata["source_key"])
		}
	}
}

func TestOutputsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key, output string
		want, says  string
	}{
		"under the folder":          {key: "uploads/a.b.mov", output: "s3://${bucket}/out/${dir}${stem}-${job}.mp3", want: `"output":"s3://my-media-bucket/out/uploads/a.b-audio.mp3"`},
		"the whole key":             {key: "uploads/a.b.mov", output: "s3://other/${dir}${stem}${ext}", want: `"output":"s3://other/uploads/a.b.mov"`},
		"the upload's own":          {key: "a.mov", output: "s3://other/${upload}.mp4", want: `"output":"s3://other/0123456789ab.mp4"`},
		"Ittybit's own templates":   {key: "a.mov", output: "s3://other/{date}/{filename}.mp4", want: `"output":"s3://other/{date}/{filename}.mp4"`},
		"a key without a dot":       {key: "uploads/raw", output: "s3://other/${stem}|${ext}", want: `"output":"s3://other/raw|"`},
		"a brace":                   {key: "uploads/{date}.mov", output: "s3://other/${stem}.mp4", says: "brace"},
		"a brace that is not used":  {key: "{x}/a.mov", output: "s3://other/${stem}.mp4", want: `"output":"s3://other/a.mp4"`},
		"a key that grows too long": {key: strings.Repeat("k", 1020) + ".mov", output: "s3://other/x/${key}", says: "1026 bytes"},
		"a loop":                    {key: "a.mov", output: "s3://my-media-bucket/elsewhere/${stem}.mov", says: "an upload again"},
		"another bucket is no loop": {key: "a.mov", output: "s3://my-media-bucket-2/elsewhere/${stem}.mov", want: `"output":"s3://my-media-bucket-2/elsewhere/a.mov"`},
	} {
		u, r := upload, ref
		u.Key, r.Key, r.Job = tt.key, tt.key, "audio"
		body, _, err := media.JobRequest{Upload: u, Ref: r, Job: media.Job{Name: "audio", Kind: "audio", Output: media.Template(tt.output)}, Outputs: "out/", WebhookURL: "https://x", Token: "t"}.Body()
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: error %v does not say %q", name, err, tt.says)
			}
		} else if err != nil || !strings.Contains(string(body), tt.want) {
			t.Errorf("%s: %v, %s is not in %s", name, err, tt.want, body)
		}
	}
}

func TestVersionIsOfThreeNumbers(t *testing.T) {
	t.Parallel()
	var major, minor, patch int
	if n, err := fmt.Sscanf(media.Version, "%d.%d.%d", &major, &minor, &patch); n != 3 || err != nil {
		t.Errorf("version %q: %v", media.Version, err)
	}
}

package results

import (
	"cmp"
	"strings"
	"time"

	"ittybit-media/handlers/media"
)

// Row is a job's row, or that of a rejected job or upload. Attributes that the
// row does not have are zero values; a zero value is not stored. As JSON it
// reads as in the table, without [EventAttribute], which is for the stream.
type Row struct {
	Key     string `json:"pk"`
	SortKey string `json:"sk"`

	Description

	Status      string `json:"status,omitempty"` // Ittybit's own word
	State       string `json:"state,omitempty"`  // a [media.State], or [media.Rejected]
	Rank        *int   `json:"rank,omitempty"`   // the state's; nil: rejected
	Error       string `json:"error,omitempty"`
	CompletedAt Millis `json:"completed_at,omitempty"`
	DurationMS  *int64 `json:"duration_ms,omitempty"`

	OutputURL      string   `json:"output_url,omitempty"` // the main output's, fit for JSON as it is
	Outputs        []Output `json:"outputs,omitempty"`
	OutputsOmitted int      `json:"outputs_omitted,omitempty"` // without room in the row

	Bucket  string `json:"source_bucket,omitempty"`
	Upload  string `json:"upload,omitempty"`
	Job     string `json:"job,omitempty"` // "" in the row of a rejected upload
	Attempt int    `json:"attempt"`
	Size    *int64 `json:"size,omitempty"` // bytes; in rows of rejections

	UpdatedAt Millis  `json:"updated_at,omitempty"` // when the state was written
	ExpiresAt Seconds `json:"expires_at,omitempty"`
	Open      string  `json:"open,omitempty"` // not "" while the job is not over
	CheckAt   Millis  `json:"check_at,omitempty"`
}

// Description is the part of a row that is the same in every state.
type Description struct {
	Kind         string `json:"kind,omitempty"`
	Input        string `json:"input,omitempty"`
	ETag         string `json:"etag,omitempty"`
	VersionID    string `json:"version_id,omitempty"`
	Sequencer    string `json:"sequencer,omitempty"`
	UploadedAt   Millis `json:"uploaded_at,omitempty"`   // when S3 made the object
	DispatchedAt Millis `json:"dispatched_at,omitempty"` // when dispatch noted the job
	CreatedAt    Millis `json:"created_at,omitempty"`    // when Ittybit made the job
}

// Output is one file that a job made.
type Output struct {
	URL    string `json:"url,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Format string `json:"format,omitempty"`
	Width  int    `json:"width,omitempty"`  // pixels
	Height int    `json:"height,omitempty"` // pixels
}

// Millis is a time in Unix milliseconds; 0 is none.
type Millis int64

// Time is the zero time for none.
func (m Millis) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}

func millis(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}

// Seconds is a time in Unix seconds; 0 is none.
type Seconds int64

// Prefixes of sort keys.
const (
	jobPrefix    = "task#" // the guide's
	uploadPrefix = "upload#"
)

// JobID is Ittybit's id of the job; "" when there was none.
func (r Row) JobID() string {
	if id, ok := strings.CutPrefix(r.SortKey, jobPrefix); ok {
		return id
	}
	return ""
}

// Ref is the job that the row is for.
func (r Row) Ref() media.JobRef {
	return media.JobRef{Bucket: r.Bucket, Key: r.Key, Upload: r.Upload, Job: r.Job, Attempt: r.Attempt}
}

// Since is the best that the row knows of when its job began.
func (r Row) Since() time.Time {
	return cmp.Or(r.DispatchedAt, r.CreatedAt, r.UpdatedAt).Time()
}

// describe fills in what dispatch knows of an upload.
func (d *Description) describe(u media.Upload) {
	d.ETag, d.VersionID, d.Sequencer = u.ETag, u.VersionID, u.Sequencer
	d.UploadedAt = millis(u.Time)
}

// Uploaded is the upload that the row is of, as far as the row tells: what
// [Description.describe] put into it. That it tells enough shows in the
// upload's identity, which is then the row's.
func (r Row) Uploaded() media.Upload {
	u := media.Upload{
		Bucket:    r.Bucket,
		Key:       r.Key,
		Size:      media.UnknownSize,
		ETag:      r.ETag,
		VersionID: r.VersionID,
		Sequencer: r.Sequencer,
		Time:      r.UploadedAt.Time(),
	}
	if r.Size != nil {
		u.Size = *r.Size
	}
	return u
}

// jobRow is the row of a job as Ittybit told of it.
func jobRow(ref media.JobRef, r media.Result) Row {
	outputs, omitted := fit(r.Outputs)
	row := Row{
		Key:     ref.Key,
		SortKey: jobPrefix + r.JobID,
		Description: Description{
			Kind:      plain(media.Redact(r.Kind)),
			CreatedAt: millis(r.CreatedAt),
		},
		Status:         plain(media.Redact(cmp.Or(r.Status, r.State.String()))),
		State:          r.State.String(),
		Rank:           new(r.State.Rank()),
		Error:          media.Redact(r.Error),
		CompletedAt:    millis(r.FinishedAt),
		DurationMS:     r.DurationMS,
		Outputs:        outputs,
		OutputsOmitted: omitted + r.OutputsOmitted,
		Bucket:         ref.Bucket,
		Upload:         ref.Upload,
		Job:            ref.Job,
		Attempt:        ref.Attempt,
	}
	if len(outputs) > 0 {
		row.OutputURL = percent(outputs[0].URL, "")
	}
	return row
}

// A row must stay under DynamoDB's 400 KB ("Quotas", Amazon DynamoDB Developer
// Guide), or its job would never end. HLS jobs can list many files.
const (
	maxOutputs = 100
	// maxOutputBytes is of text. The first URL stands twice in the row, once at
	// up to three times its length.
	maxOutputBytes = 90 << 10
)

// fit leaves out the outputs that a row has no room for, from the first one
// that is too much.
func fit(all []media.Output) (outputs []Output, omitted int) {
	room := maxOutputBytes
	for i, from := range all {
		o := Output{
			URL:    from.URL,
			Kind:   media.Redact(from.Kind),
			Format: media.Redact(from.Format),
			Width:  from.Width,
			Height: from.Height,
		}
		if room -= len(o.URL) + len(o.Kind) + len(o.Format); i == maxOutputs || room < 0 {
			return outputs, len(all) - i
		}
		outputs = append(outputs, o)
	}
	return outputs, 0
}

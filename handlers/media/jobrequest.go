package media

import (
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
)

// Placement says where in a job request Ittybit expects the connection.
type Placement string

// The two places that Ittybit's documentation names.
const (
	PlacementOptions Placement = "options"
	PlacementRoot    Placement = "root"
)

// JobRequest has all that the body of a job request is made of.
type JobRequest struct {
	Upload     Upload
	Ref        JobRef
	Job        Job
	Outputs    string // the folder of the upload's bucket that outputs must stay in
	Connection string // "": Ittybit's default connection
	Placement  Placement
	WebhookURL string // without the token
	Token      string // the callback token
}

// Body returns the body of the request to create the job, and the idempotency
// key that goes with it. It fails when the job has an output that the upload's
// key makes impossible.
func (r JobRequest) Body() (body []byte, idempotencyKey string, err error) {
	output := ""
	if r.Job.Output != "" {
		if output, err = r.Job.Output.Render(r.Ref); err != nil {
			return nil, "", err
		}
		if (Folder{Bucket: r.Upload.Bucket, Prefix: r.Outputs}).Loops(output) {
			return nil, "", fmt.Errorf("the output of job %q would be an upload again: into the watched bucket it must lie under %q", r.Job.Name, r.Outputs)
		}
		if _, key, _ := Template(output).split(); len(key) > MaxKey {
			return nil, "", fmt.Errorf("the output of job %q would have a key of %d bytes; S3 takes %d: use a shorter key or output", r.Job.Name, len(key), MaxKey)
		}
	}
	options, root := r.Job.Options, ""
	if _, own := options[ConnectionOption]; r.Connection != "" && !own {
		if r.Placement == PlacementRoot {
			root = r.Connection
		} else {
			options = maps.Clone(options)
			if options == nil {
				options = map[string]any{}
			}
			options[ConnectionOption] = r.Connection
		}
	}
	body, err = MarshalJSON(struct {
		Input      string         `json:"input"`
		Kind       string         `json:"kind"`
		Connection string         `json:"connection_id,omitempty"`
		Options    map[string]any `json:"options,omitempty"`
		Output     string         `json:"output,omitempty"`
		WebhookURL string         `json:"webhook_url"`
		// A map's keys are marshalled in order, so the bytes do not change.
		Metadata map[string]string `json:"metadata"`
	}{
		Input:      r.Upload.URL(),
		Kind:       r.Job.Kind,
		Connection: root,
		Options:    options,
		Output:     output,
		WebhookURL: r.WebhookURL + "?token=" + url.QueryEscape(r.Token),
		Metadata:   r.Ref.metadata(),
	})
	if err != nil {
		return nil, "", fmt.Errorf("the request for job %q cannot be written as JSON: %w", r.Job.Name, err)
	}
	return body, r.Ref.idempotencyKey(), nil
}

// idempotencyKey returns 32 hex digits, the most that Ittybit takes
// (https://ittybit.com/api/idempotency), by which it knows a second request for
// the same job. They come from the identity alone, in which the upload's ID
// stands for the table: a key made from the body would change with a rotated
// callback key or another connection, and Ittybit would create the job twice.
func (r JobRef) idempotencyKey() string {
	return digest([]byte(strings.Join([]string{"job/1", r.Upload, r.Job, strconv.Itoa(r.Attempt)}, "\x00")))
}

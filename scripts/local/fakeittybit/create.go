package fakeittybit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"ittybit-media/handlers/media"
)

// maxBody is more than any job needs.
const maxBody = 1 << 20

// jobRequest is the body of POST /jobs (https://ittybit.com/api/create-job).
// Fields that are not here are accepted: the reference does not say that they
// are not.
type jobRequest struct {
	Input      string            `json:"input"`
	Kind       string            `json:"kind"`
	Connection string            `json:"connection_id"` // of older editions
	Options    map[string]any    `json:"options"`
	Output     string            `json:"output"`
	WebhookURL string            `json:"webhook_url"`
	Metadata   map[string]string `json:"metadata"`
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	defer s.stats.fly()()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, "request_too_large", "the body is larger than 1 MiB")
		return
	} else if err != nil {
		return // the client has gone
	}
	wanted, malformed := parseJobRequest(body)
	request := Request{Op: Create, Input: wanted.Input, Kind: wanted.Kind, Key: r.Header.Get("Idempotency-Key")}
	if s.opts.Record != nil {
		s.opts.Record(request, body)
	}
	fault := s.fault(request)

	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()

	var claim *use
	var result *answer
	if request.Key != "" {
		claim, result = s.idem.begin(ctx, request.Key, body, s.opts.InFlight)
	}
	s.sleep(ctx, s.opts.Latency+fault.Delay)

	first := claim != nil || request.Key == ""
	var job *Job
	switch {
	case !first || fault.spoils() && !fault.Accept:
	case malformed != nil:
		result = malformed
	default:
		if job, result = s.newJob(wanted, request.Key, s.base(r)); job != nil {
			a := respond(http.StatusCreated, job.object())
			result = &a
		}
	}
	if claim != nil {
		s.idem.finish(claim, s.toRepeat(result, fault, job != nil))
	}
	if job != nil {
		s.start(job)
	}
	if fault.spoils() {
		s.spoil(w, r, fault)
		return
	}
	result.write(w)
}

// toRepeat is the answer that repetitions of a first request get; nil: they
// are tried anew.
func (s *Server) toRepeat(result *answer, fault Fault, made bool) *answer {
	if a := fault.answer(); fault.spoils() && a != nil && a.status >= 500 && s.opts.ReplayFailures {
		return a
	}
	if made || result != nil && s.opts.ReplayRefusals {
		return result
	}
	return nil
}

func parseJobRequest(body []byte) (jobRequest, *answer) {
	var wanted jobRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // options are given back as they came
	if err := d.Decode(&wanted); err != nil {
		return wanted, invalid("the body is not the JSON of a job: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return wanted, invalid("there is something after the JSON of the job")
	}
	return wanted, nil
}

// newJob checks what is wanted and makes the job.
func (s *Server) newJob(wanted jobRequest, key, base string) (*Job, *answer) {
	if bad := s.check(wanted); bad != nil {
		return nil, bad
	}
	plan, err := newPlan(wanted.Kind, wanted.Options)
	if err != nil {
		return nil, invalid("options: %v", err)
	}
	now := s.opts.Clock.Now()
	j := &Job{
		ID:         newID("job", now),
		Kind:       wanted.Kind,
		Input:      wanted.Input,
		Output:     fillTemplate(wanted.Output, wanted.Input, now),
		Options:    wanted.Options,
		Metadata:   wanted.Metadata,
		WebhookURL: wanted.WebhookURL,
		Key:        key,
		Status:     Queued,
		CreatedAt:  now,
		UpdatedAt:  now,
		base:       base,
		plan:       plan,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	j.number = len(s.ids)
	// The caller goes on with a copy: the job may change from now on.
	created := *j
	s.jobs[j.ID] = j
	s.ids = append(s.ids, j.ID)
	s.byInput[j.Input] = append(s.byInput[j.Input], j.ID)
	s.busy++
	return &created, nil
}

// check returns why a job is refused, nil if it is not.
func (s *Server) check(wanted jobRequest) *answer {
	if bad := checkInput(wanted.Input); bad != nil {
		return bad
	}
	if wanted.Kind == "" {
		return invalid("kind is missing")
	}
	// The reference's tables, as the pipeline knows them.
	table, ok := media.Kinds[wanted.Kind]
	if !ok {
		return invalid("kind %q is not one of %s", wanted.Kind, strings.Join(slices.Sorted(maps.Keys(media.Kinds)), ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(wanted.Options)) {
		if check := table[name]; check != nil {
			if err := check(wanted.Options[name]); err != nil {
				return invalid("options.%s: %v", name, err)
			}
		}
	}
	if bad := s.opts.Connection.check(wanted); bad != nil {
		return bad
	}
	if wanted.Output != "" {
		if _, object, ok := splitS3(wanted.Output); !ok || strings.HasSuffix(object, "/") {
			return invalid("output must be s3://BUCKET/KEY")
		}
	}
	if wanted.WebhookURL != "" && !callable(wanted.WebhookURL) {
		return invalid("webhook_url must be an https URL (this fake also takes http on loopback)")
	}
	return nil
}

func (c Connection) check(wanted jobRequest) *answer {
	named, elsewhere := text(wanted.Options, media.ConnectionOption), wanted.Connection
	if c.At == media.PlacementRoot {
		named, elsewhere = elsewhere, named
	}
	switch {
	case c.ID == "":
	case named != "" && named != c.ID:
		return invalid("there is no connection %q", named)
	case elsewhere != "" && c.Strict:
		return invalid("%s is not known here", media.ConnectionOption)
	}
	return nil
}

func checkInput(input string) *answer {
	if input == "" {
		return invalid("input is missing")
	}
	scheme, rest, ok := strings.Cut(input, "://")
	if !ok || !slices.Contains([]string{"http", "https", "s3"}, scheme) {
		return invalid("input must begin with http://, https:// or s3://")
	}
	if scheme == "s3" {
		_, _, ok = splitS3(input)
	} else {
		ok = rest != ""
	}
	if !ok {
		return invalid("input names no object")
	}
	return nil
}

// splitS3 takes s3://BUCKET/KEY apart. The key is taken as it stands, never
// URL-decoded.
func splitS3(address string) (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(address, "s3://")
	if !ok {
		return "", "", false
	}
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key, bucket != "" && key != ""
}

func callable(webhook string) bool {
	u, err := url.Parse(webhook)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()))
}

// fillTemplate fills in what Ittybit does in an output's URL
// (https://ittybit.com/guides/organize-output-with-path-templates).
func fillTemplate(output, input string, now time.Time) string {
	return strings.NewReplacer(
		"{date}", now.UTC().Format(time.DateOnly),
		"{filename}", stem(input),
	).Replace(output)
}

// stem is the base name of an input without its extension.
func stem(input string) string {
	_, name := path.Split(input)
	return strings.TrimSuffix(name, path.Ext(name))
}

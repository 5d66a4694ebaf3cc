package ittybit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"ittybit-media/handlers/media"
)

const jobsPath = "/jobs"

// Create makes a job from the body of a request, see [media.JobRequest.Body].
// For 24 hours, a repetition with the same key gives the first one's job
// (https://ittybit.com/api). What the call got as an answer is an [*Error].
func (c *Client) Create(ctx context.Context, body []byte, idempotencyKey string) (media.Result, error) {
	return c.job(ctx, request{
		op:             "create job",
		method:         http.MethodPost,
		path:           jobsPath,
		body:           body,
		idempotencyKey: idempotencyKey,
		limit:          maxAnswer,
	})
}

// Get asks for a job. What the call got as an answer is an [*Error]; see
// [Error.NotFound] and [Error.OtherJob].
func (c *Client) Get(ctx context.Context, id string) (media.Result, error) {
	if id == "" || id == "." || id == ".." { // a path of its own
		return media.Result{}, fmt.Errorf("ittybit: get job: %q is not a job id", id)
	}
	req := request{
		op:     "get job " + clip(id, maxID),
		method: http.MethodGet,
		path:   jobsPath + "/" + url.PathEscape(id),
		limit:  maxAnswer,
	}
	result, err := c.job(ctx, req)
	if e, ok := errors.AsType[*Error](err); ok && e.tooLong {
		result, err = c.longJob(ctx, req)
	}
	if err == nil && result.JobID != id {
		other := req.malformed(response{status: http.StatusOK}, "the answer is about job %s", result.JobID)
		other.Kind = kindOther
		return media.Result{}, other
	}
	return result, err
}

// longJob reads a long answer. It does so for one at a time: each takes six
// times its length in memory, and several would be more than a function has.
func (c *Client) longJob(ctx context.Context, req request) (media.Result, error) {
	select {
	case c.long <- struct{}{}:
		defer func() { <-c.long }()
	case <-ctx.Done():
		return media.Result{}, noAnswer(req.op, ctx.Err(), nil)
	}
	req.limit = maxJob
	return c.job(ctx, req)
}

// job makes a call that a job answers.
func (c *Client) job(ctx context.Context, req request) (media.Result, error) {
	resp, err := c.call(ctx, req)
	if err != nil {
		return media.Result{}, err
	}
	var root envelope
	if err := json.Unmarshal(resp.body, &root); err != nil {
		return media.Result{}, req.malformed(resp, "it is not a job: %v", err)
	}
	j, _ := root.resource()
	result, _, err := j.result("")
	if err != nil {
		return media.Result{}, req.malformed(resp, "%v", err)
	}
	return result, nil
}

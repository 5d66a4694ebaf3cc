package schedules_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/schedules"
	"ittybit-media/handlers/secrets"
)

const (
	apiKeySecret   = "ittybit/key"
	callbackSecret = "callback/keys"
	oldCallbackKey = "oooooooooooooooooooooooooooooooo"
	newCallbackKey = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
)

var began = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // as every process's clock

// function is what the functions are made of, over a process's client.
type function struct {
	table   *results.Table
	ittybit *ittybit.Client
	keys    *secrets.Value[media.CallbackKeys]
}

func environment(name string) string {
	return map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"AWS_ENDPOINT_URL_DYNAMODB": "http://dynamodb.test", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://secrets.test",
	}[name]
}

func awsConfig(c *http.Client) aws.Config {
	cfg, err := awsclient.FromEnv(environment)
	if err != nil {
		panic(err)
	}
	cfg.HTTPClient = c
	return cfg
}

func newFunction(c *http.Client) function {
	cfg := awsConfig(c)
	key := secrets.NewValue("key", secrets.FromSecretsManager(cfg, apiKeySecret), secrets.APIKey)
	client, err := ittybit.New(ittybit.Options{BaseURL: "https://ittybit.test", Key: key.Get, HTTP: c})
	if err != nil {
		panic(err)
	}
	return function{
		table:   results.New(dynamodb.NewFromConfig(cfg), tableName, results.Options{}),
		ittybit: client.Attempts(1),
		keys:    secrets.NewValue("callback keys", secrets.FromSecretsManager(cfg, callbackSecret), secrets.CallbackKeys),
	}
}

var upload = media.Upload{Bucket: "uploads", Key: "film.mov", Size: 1, ETag: "0123", Time: began}

func refOf(name string) media.JobRef {
	return media.JobRef{Bucket: upload.Bucket, Key: upload.Key, Upload: upload.ID(tableName), Job: name}
}

// dispatch does in short what the function does about an upload.
func dispatch(names ...string) func(context.Context, *http.Client, string) error {
	return func(ctx context.Context, c *http.Client, _ string) error {
		f := newFunction(c)
		keys, err := f.keys.Get(ctx)
		if err != nil {
			return err
		}
		done, err := f.table.Upload(ctx, upload.Key, upload.ID(tableName))
		if err != nil {
			return err
		}
		found := map[string]media.Result{}
		for r, err := range f.ittybit.ByInput(ctx, upload.URL(), upload.Time) {
			if err != nil {
				return err
			}
			found[r.Metadata["job"]] = r
		}
		errs := make([]error, len(names))
		var jobs sync.WaitGroup
		for i, name := range names {
			jobs.Go(func() {
				if !done.Has(name, 0) {
					errs[i] = f.job(ctx, keys, refOf(name), found[name])
				}
			})
		}
		jobs.Wait()
		return errors.Join(errs...)
	}
}

func (f function) job(ctx context.Context, keys media.CallbackKeys, ref media.JobRef, r media.Result) error {
	if r.JobID == "" {
		token, err := keys.Sign(ref)
		if err != nil {
			return err
		}
		body, key, err := media.JobRequest{Upload: upload, Ref: ref, Job: media.Job{Name: ref.Job, Kind: "video"}, WebhookURL: "https://hook.test/webhook", Token: token}.Body()
		if err != nil {
			return err
		}
		if r, err = f.ittybit.Create(ctx, body, key); err != nil {
			return err
		}
	}
	_, err := f.table.Queued(ctx, began, upload, ref, r, began.Add(time.Hour))
	return err
}

// callback ends the job of the input at Ittybit and then does in short what the
// webhook function does about it.
func callback(ctx context.Context, c *http.Client, id string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://ittybit.test/jobs/"+id+"/succeeded", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	f := newFunction(c)
	name := strings.Split(id, "_")[2]
	_, err = f.table.Apply(ctx, began, refOf(name), media.Result{JobID: id, Status: "succeeded", State: media.Succeeded}, results.CreateOrUpdate)
	return err
}

// sweep does in short what the function does.
func sweep(ctx context.Context, c *http.Client, _ string) error {
	f := newFunction(c)
	var errs []error
	for row, err := range f.table.Overdue(ctx, began.Add(24*time.Hour)) {
		if err != nil {
			return err
		}
		r, err := f.ittybit.Get(ctx, row.JobID())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if r.State.Final() {
			_, err = f.table.Apply(ctx, began, row.Ref(), r, results.UpdateOnly)
		} else {
			_, err = f.table.Reschedule(ctx, row.Key, row.JobID(), began.Add(time.Hour))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func once(schedules.View) []string { return []string{""} }

// unfinished lists the jobs that Ittybit has not ended.
func unfinished(v schedules.View) []string {
	var ids []string
	for _, j := range v.Store("ittybit").(*fake).jobs {
		if j.Status == "queued" {
			ids = append(ids, j.ID)
		}
	}
	return ids
}

func world(t *testing.T, m manners, stale int) map[string]schedules.Store {
	return map[string]schedules.Store{
		"dynamodb": newTable(t, stale),
		"secrets":  vault{values: map[string]string{apiKeySecret: "key", callbackSecret: `["` + oldCallbackKey + `"]`}},
		"ittybit":  &fake{manners: m},
	}
}

// oneOfEach: Ittybit has at most one job of each name.
func oneOfEach(v schedules.View) error {
	seen := map[string]string{}
	for _, j := range v.Store("ittybit").(*fake).jobs {
		if other := seen[j.Metadata["job"]]; other != "" {
			return fmt.Errorf("two jobs: %s and %s", other, j.ID)
		}
		seen[j.Metadata["job"]] = j.ID
	}
	return nil
}

// rowsAreRight: open is on the rows that are not final, and what Ittybit ended is
// final once nothing happens any more.
func rowsAreRight(v schedules.View) error {
	final := map[string]bool{}
	for _, r := range v.Store("dynamodb").(*table).rows {
		id, ok := strings.CutPrefix(r["sk"], "task#")
		if !ok {
			continue
		}
		final[id] = r["state"] == "succeeded"
		if final[id] == (r["open"] != "") {
			return fmt.Errorf("row %s: state %q, open %q", id, r["state"], r["open"])
		}
	}
	for _, j := range v.Store("ittybit").(*fake).jobs {
		if noted, ok := final[j.ID]; !ok {
			return fmt.Errorf("job %s has no row", j.ID)
		} else if j.Status == "succeeded" && !noted {
			return fmt.Errorf("job %s has ended, its row has not", j.ID)
		}
	}
	return nil
}

func both(checks ...func(schedules.View) error) func(schedules.View) error {
	return func(v schedules.View) error {
		for _, check := range checks {
			if err := check(v); err != nil {
				return err
			}
		}
		return nil
	}
}

// deliveries are two of one event, callbacks, and a last delivery that nothing
// disturbs.
func deliveries(t *testing.T, m manners, names ...string) schedules.Scenario {
	return schedules.Scenario{
		Stores: world(t, m, 0),
		Processes: []schedules.Process{
			{Name: "dispatch", Run: dispatch(names...), Copies: 2},
			{Name: "callback", Run: callback, Inputs: unfinished, Copies: 2},
			{Name: "sweep", Run: sweep, Inputs: once},
			{Name: "dispatch at last", Run: dispatch(names...), Inputs: func(v schedules.View) []string {
				if v.Over("dispatch") {
					return []string{""}
				}
				return nil
			}},
			{Name: "sweep at last", Run: sweep, Last: true},
		},
		Crashes: 1,
		Always:  oneOfEach,
		AtEnd:   rowsAreRight,
	}
}

func TestDeliveriesOfRealCode(t *testing.T) {
	t.Parallel()
	for n, names := range [][]string{{"film"}, {"film", "thumb"}} {
		t.Run(fmt.Sprint(n+1, " jobs"), func(t *testing.T) {
			r := schedules.Explore(t, deliveries(t, manners{}, names...))
			t.Log(r)
			if r.Violation != nil {
				t.Fail()
			}
		})
	}
}

func TestTwoJobsForOneKeyAreFound(t *testing.T) {
	t.Parallel()
	r := schedules.Explore(t, deliveries(t, manners{Race: true}, "film"))
	t.Log(r)
	if r.Violation == nil || !strings.Contains(r.Violation.Err.Error(), "two jobs") || !r.Violation.Confirmed {
		t.Fail()
	}
}

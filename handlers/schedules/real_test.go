package schedules_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
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
	key := secrets.NewValue(slog.New(slog.DiscardHandler), "key", secrets.FromSecretsManager(cfg, apiKeySecret), secrets.APIKey)
	client, err := ittybit.New(ittybit.Options{BaseURL: "https://ittybit.test", Key: key.Get, HTTP: c})
	if err != nil {
		panic(err)
	}
	return function{
		table:   results.New(dynamodb.NewFromConfig(cfg), tableName, results.Options{}),
		ittybit: client.Attempts(1),
		keys:    secrets.NewValue(slog.New(slog.DiscardHandler), "callback keys", secrets.FromSecretsManager(cfg, callbackSecret), secrets.CallbackKeys),
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
		done, err := f.table.RowsByUpload(ctx, upload.Key, upload.ID(tableName))
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
	_, err := f.table.InsertQueued(ctx, results.Dispatched{At: began, CheckAt: began.Add(time.Hour), Upload: upload, Ref: ref, Result: r})
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
	var ended job
	if err := json.NewDecoder(resp.Body).Decode(&ended); err != nil {
		return err
	}
	_, token, _ := strings.Cut(ended.WebhookURL, "?token=")
	f := newFunction(c)
	ref, err := f.verify(ctx, token)
	if err != nil {
		return err
	}
	_, err = f.table.Apply(ctx, results.Report{At: began, Ref: ref, Result: media.Result{JobID: id, Status: "succeeded", State: media.Succeeded}, Mode: results.CreateOrUpdate})
	return err
}

func (f function) verify(ctx context.Context, token string) (media.JobRef, error) {
	keys, err := f.keys.Get(ctx)
	if err != nil {
		return media.JobRef{}, err
	}
	ref, err := keys.Verify(token)
	if errors.Is(err, media.ErrUnknownKey) {
		if keys, err = f.keys.Refresh(ctx, 0); err == nil {
			ref, err = keys.Verify(token)
		}
	}
	return ref, err
}

// rotate puts a new callback key before the old one.
func rotate(ctx context.Context, c *http.Client, _ string) error {
	client := awsclient.NewClient(awsConfig(c), awsclient.Service{Name: "Secrets Manager", ID: "Secrets Manager", Signed: "secretsmanager", Target: "secretsmanager"})
	var none struct{}
	return client.Call(ctx, "PutSecretValue", map[string]string{"SecretId": callbackSecret, "SecretString": `["` + newCallbackKey + `","` + oldCallbackKey + `"]`}, &none)
}

// sweep does in short what the function does.
func sweep(ctx context.Context, c *http.Client, _ string) error {
	f := newFunction(c)
	var errs []error
	for row, err := range f.table.OverdueRows(ctx, began.Add(24*time.Hour)) {
		if err != nil {
			return err
		}
		r, err := f.ittybit.Get(ctx, row.JobID())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if r.State.Final() {
			_, err = f.table.Apply(ctx, results.Report{At: began, Ref: row.Ref(), Result: r, Mode: results.UpdateOnly})
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
		"secrets":  vault{values: map[string]string{apiKeySecret: "key", callbackSecret: `["` + oldCallbackKey + `"]`}, rotate: callbackSecret},
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

// finalRowsStay: a row that is final never becomes anything else.
func finalRowsStay(before, after schedules.View) error {
	state := map[string]string{}
	for _, r := range after.Store("dynamodb").(*table).rows {
		state[r["sk"]] = r["state"]
	}
	for _, r := range before.Store("dynamodb").(*table).rows {
		if r["state"] == "succeeded" && state[r["sk"]] != "succeeded" {
			return fmt.Errorf("row %s was final and is %q", r["sk"], state[r["sk"]])
		}
	}
	return nil
}

// callbacksAreTaken: no callback is refused.
func callbacksAreTaken(v schedules.View) error {
	if v.Count("callback", schedules.Failed) > 0 {
		return errors.New("a callback was refused")
	}
	return nil
}

// deliveries are two of one event and one more when they are over, callbacks,
// runs of sweep, and a rotation.
func deliveries(t *testing.T, m manners, names ...string) schedules.Scenario {
	afterDispatch := func(v schedules.View) []string {
		if v.Over("dispatch") {
			return []string{""}
		}
		return nil
	}
	return schedules.Scenario{
		Stores: world(t, m, 0),
		Processes: []schedules.Process{
			{Name: "dispatch", Run: dispatch(names...), Copies: 2},
			{Name: "callback", Run: callback, Inputs: unfinished, Copies: len(names)},
			{Name: "rotation", Run: rotate, Inputs: afterDispatch},
			{Name: "dispatch at last", Run: dispatch(names...), Inputs: afterDispatch},
			{Name: "sweep at last", Run: sweep, Last: true},
		},
		Crashes: 1,
		Always:  both(oneOfEach, callbacksAreTaken),
		Step:    finalRowsStay,
		AtEnd:   rowsAreRight,
	}
}

var (
	whole    = flag.Bool("whole", false, "explore the large scenarios, too")
	schedule = flag.String("schedule", "", "replay one schedule, as a violation prints it, of the one test that -run names")
)

// holds explores a scenario, or replays the schedule of the flag, and expects no
// violation.
func holds(t *testing.T, s schedules.Scenario) {
	t.Helper()
	if *schedule == "" {
		r := schedules.Explore(t, s)
		t.Log(r)
		if r.Violation != nil {
			t.Error(r.Violation.Err)
		}
		return
	}
	path, err := schedules.ParsePath(*schedule)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := schedules.Replay(t, s, path)
	t.Log("\n" + strings.Join(steps, "\n"))
	if err != nil {
		t.Error(err)
	}
}

func TestDeliveriesOfOneJob(t *testing.T) {
	t.Parallel()
	s := deliveries(t, manners{}, "film")
	s.Processes = append(s.Processes, schedules.Process{Name: "sweep", Run: sweep, Inputs: once})
	holds(t, s)
}

func TestDeliveriesOfTwoJobs(t *testing.T) {
	t.Parallel()
	s := deliveries(t, manners{}, "film", "thumb")
	if *whole {
		s.Processes = append(s.Processes, schedules.Process{Name: "sweep", Run: sweep, Inputs: once})
	} else {
		s.Processes[1].Copies = 1
	}
	holds(t, s)
}

func TestLostAnswersAndServerErrors(t *testing.T) {
	t.Parallel()
	s := deliveries(t, manners{Refusals: []int{http.StatusInternalServerError}}, "film")
	s.Crashes, s.Faults = 0, 1
	s.Always = oneOfEach
	holds(t, s)
}

func TestTwoJobsForOneKeyAreFound(t *testing.T) {
	t.Parallel()
	r := schedules.Explore(t, deliveries(t, manners{Race: true}, "film"))
	t.Log(r)
	if r.Violation == nil || !strings.Contains(r.Violation.Err.Error(), "two jobs") || !r.Violation.Confirmed {
		t.Fail()
	}
}

// A read that does not ask for consistency may miss the last write.
func TestAStaleReadIsAChoice(t *testing.T) {
	t.Parallel()
	count := schedules.Process{Name: "count", Run: func(ctx context.Context, c *http.Client, _ string) error {
		table := newFunction(c).table
		if err := table.AddJobs(ctx, began, 1); err != nil {
			return err
		}
		if n, err := table.JobCount(ctx, began); err != nil || n != 1 {
			return fmt.Errorf("%d jobs, %w", n, err)
		}
		return nil
	}}
	for stale, want := range map[int]int{0: 1, 1: 2} {
		s := schedules.Scenario{Stores: world(t, manners{}, stale), Processes: []schedules.Process{count}}
		r := schedules.Explore(t, s)
		s.AtEnd = func(v schedules.View) error {
			if v.Count("count", schedules.Failed) > 0 {
				return errors.New("the count is stale")
			}
			return nil
		}
		if v := schedules.Explore(t, s).Violation; int(r.Schedules) != want || (v != nil) != (stale > 0) {
			t.Errorf("stale by up to %d: %v; %v", stale, r, v)
		}
	}
}

package sweeper

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/record"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/fakeittybit"
)

const (
	tableName    = handlertest.TableName
	keyName      = "ittybit/key"
	apiKey       = "ittybit_test_key"
	overdueAfter = 30 * time.Minute
	giveUpAfter  = 7 * 24 * time.Hour
)

// upload is the upload of that name.
func upload(name string, at time.Time) media.Upload {
	return media.Upload{Bucket: "media", Key: "uploads/" + name, Size: 1, ETag: "e", Time: at}
}

func refTo(u media.Upload) media.JobRef {
	return media.JobRef{Bucket: u.Bucket, Key: u.Key, Upload: u.ID(tableName), Job: "video"}
}

// world is what sweep is deployed in: AWS, and Ittybit with jobs that go on
// until a test ends them and whose callbacks are all lost. Make it outside of
// the synctest bubble that it is used in. One request is over before the next
// one begins, unless a test makes it wait: nothing then waits on the network
// while the bubble's clock is to move.
type world struct {
	*handlertest.AWS
	ittybit *fakeittybit.Server
	env     handlertest.Env
	finish  chan end   // jobs for Ittybit to end, outside of the bubble
	ended   chan error // each of them

	lists atomic.Int32 // how many were asked for

	mu       sync.Mutex
	fault    func(fakeittybit.Request) fakeittybit.Fault
	poisoned map[string]http.HandlerFunc // answers for single jobs
}

// end is how a job ends.
type end struct {
	id     string
	status fakeittybit.Status
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{AWS: handlertest.New(t), finish: make(chan end), ended: make(chan error), poisoned: map[string]http.HandlerFunc{}}
	w.Secrets.Set(keyName, apiKey)
	var err error
	w.ittybit, err = fakeittybit.New(fakeittybit.Options{
		Keys:       []string{apiKey},
		Instant:    true,
		Deliveries: func(fakeittybit.Job) []fakeittybit.Delivery { return nil },
		Outcome: func(fakeittybit.Job) fakeittybit.Outcome {
			return fakeittybit.Outcome{Status: fakeittybit.Processing}
		},
		Fault: func(r fakeittybit.Request) fakeittybit.Fault {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.fault == nil || r.Op != fakeittybit.Get && r.Op != fakeittybit.List {
				return fakeittybit.Fault{}
			}
			return w.fault(r)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.env = w.Env().With(env.IttybitAPIURL, handlertest.Serve(t, http.HandlerFunc(w.serve)), env.IttybitAPIKeySecret, keyName)
	t.Cleanup(func() { _ = w.ittybit.Close() })
	// Ittybit's goroutines must not begin in a bubble, which ends before them.
	go func() {
		for e := range w.finish {
			w.ended <- w.ittybit.Finish(e.id, fakeittybit.Outcome{Status: e.status})
		}
	}()
	t.Cleanup(func() { close(w.finish) })
	return w
}

// serve is Ittybit, but for the jobs that are poisoned.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	if r.Method == http.MethodGet && name == "jobs" {
		w.lists.Add(1)
	}
	w.mu.Lock()
	answer := w.poisoned[name]
	w.mu.Unlock()
	if answer == nil {
		answer = w.ittybit.ServeHTTP
	}
	answer(rw, r)
}

// poison has requests for a job answered like that.
func (w *world) poison(id string, answer http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.poisoned[id] = answer
}

// status answers every request for one of the jobs with it, where "" stands for
// lists; every request if none is named.
func (w *world) status(status int, ids ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = func(r fakeittybit.Request) fakeittybit.Fault {
		if len(ids) > 0 && !slices.Contains(ids, r.JobID) {
			return fakeittybit.Fault{}
		}
		return fakeittybit.Fault{Status: status}
	}
}

// deployed is the deployed function with all that it says.
type deployed struct {
	*Handler
	*world
	log     handlertest.Log
	asked   []string // jobs, in the order in which they were asked for
	runs    int
	lastErr error
}

// deploy wires the function; the pairs of changes are set in its environment.
func (w *world) deploy(t *testing.T, changes ...string) *deployed {
	t.Helper()
	h, err := Wire(w.env.With(changes...).Get, function.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &deployed{Handler: h, world: w}
	h.log, h.metrics = f.log.Logger(), f.log.Metrics()
	h.results.Metrics = h.metrics
	next := h.ittybit
	h.ittybit = asking{next, func(ctx context.Context, id string) (media.Result, error) {
		f.mu.Lock()
		f.asked = append(f.asked, id)
		f.mu.Unlock()
		return next.Get(ctx, id)
	}}
	t.Cleanup(func() { f.log.Keeps(t, apiKey) })
	return f
}

// asking is an asker before another.
type asking struct {
	asker
	get func(ctx context.Context, id string) (media.Result, error)
}

func (a asking) Get(ctx context.Context, id string) (media.Result, error) { return a.get(ctx, id) }

// at is an invocation of the function at that time, whatever the clock of the
// bubble says: all that tells it is the deadline.
func (f *deployed) at(t *testing.T, now time.Time) record.Summary {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), now.Add(media.SweepTimeout))
	defer cancel()
	f.runs++
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: fmt.Sprint("run ", f.runs)})
	f.asked = nil
	var s record.Summary
	s, f.lastErr = f.Handle(ctx)
	return s
}

// well is an invocation without an error.
func (f *deployed) well(t *testing.T, now time.Time) record.Summary {
	t.Helper()
	s := f.at(t, now)
	if f.lastErr != nil {
		t.Errorf("sweep failed: %v", f.lastErr)
	}
	return s
}

// badly is an invocation that fails and says all that.
func (f *deployed) badly(t *testing.T, now time.Time, says ...string) record.Summary {
	t.Helper()
	s := f.at(t, now)
	for _, text := range says {
		if f.lastErr == nil || !strings.Contains(f.lastErr.Error(), text) {
			t.Errorf("sweep says %v, want %q in it", f.lastErr, text)
		}
	}
	return s
}

// dispatched makes a job at Ittybit and notes it as dispatch does.
func (f *deployed) dispatched(t *testing.T, name string, at time.Time) (id string) {
	t.Helper()
	client, err := ittybit.New(ittybit.Options{BaseURL: f.env[env.IttybitAPIURL], Key: func(context.Context) (string, error) { return apiKey, nil }})
	if err != nil {
		t.Fatal(err)
	}
	u := upload(name, at)
	body, key, err := media.JobRequest{Upload: u, Ref: refTo(u), Job: media.Job{Name: "video", Kind: "video"}, WebhookURL: "https://127.0.0.1/webhook", Token: "t"}.Body()
	if err != nil {
		t.Fatal(err)
	}
	result, err := client.Create(t.Context(), body, key)
	if err != nil {
		t.Fatal(err)
	}
	f.note(t, name, at, result)
	for !slices.ContainsFunc(f.world.ittybit.Jobs(), func(j fakeittybit.Job) bool { return j.ID == result.JobID && j.Status == fakeittybit.Processing }) {
		runtime.Gosched()
	}
	return result.JobID
}

// note writes the row of a job.
func (f *deployed) note(t *testing.T, name string, at time.Time, r media.Result) {
	t.Helper()
	u := upload(name, at)
	if _, err := f.Table.InsertQueued(t.Context(), results.Dispatched{At: at, CheckAt: at.Add(overdueAfter), Upload: u, Ref: refTo(u), Result: r}); err != nil {
		t.Fatal(err)
	}
}

// unknown notes a job that Ittybit does not have.
func (f *deployed) unknown(t *testing.T, name string, at time.Time) (id string) {
	t.Helper()
	id = "job_unknown_" + name
	f.note(t, name, at, media.Result{JobID: id, Status: "queued"})
	return id
}

// ends ends a job at Ittybit, whose callback is lost.
func (f *deployed) ends(t *testing.T, id string, status fakeittybit.Status) {
	t.Helper()
	f.finish <- end{id, status}
	if err := <-f.ended; err != nil {
		t.Fatal(err)
	}
}

// rows is the whole table by the ids of the jobs.
func (f *deployed) rows(t *testing.T) map[string]results.Row {
	t.Helper()
	all := map[string]results.Row{}
	for _, row := range f.Rows(t, "") {
		all[row.JobID()] = row
	}
	return all
}

// want checks a job's row: its state, and when it is looked at next, which is
// the zero time for a job that is over.
func (f *deployed) want(t *testing.T, id string, state media.State, checkAt time.Time) results.Row {
	t.Helper()
	row, ok := f.rows(t)[id]
	if !ok {
		t.Fatalf("job %s has no row", id)
	}
	if row.Rank == nil || *row.Rank != state.Rank() || row.State != state.String() {
		t.Errorf("job %s is %s, rank %v; want %s, %d", id, row.State, row.Rank, state, state.Rank())
	}
	if (row.Open != "") == state.Final() {
		t.Errorf("job %s is %s and open %q", id, row.State, row.Open)
	}
	if !row.CheckAt.Time().Equal(checkAt) {
		t.Errorf("job %s is due at %v, want %v", id, row.CheckAt.Time(), checkAt)
	}
	return row
}

// delete deletes a job's row, open or not.
func (f *deployed) delete(t *testing.T, id string) {
	t.Helper()
	row := f.rows(t)[id]
	f.Delete(t, row.Key, row.SortKey)
}

// wantJobs compares what a run says of its jobs.
func wantJobs(t *testing.T, s record.Summary, behind bool, want map[outcome]int) {
	t.Helper()
	got := map[outcome]int{}
	for o, n := range s.Jobs {
		got[outcome(o)] = n
	}
	if !maps.Equal(got, want) || s.Behind != behind {
		t.Errorf("the run says %v, behind %v; want %v, %v", got, s.Behind, want, behind)
	}
}

// endless is a work list that never ends.
type endless struct {
	mu    sync.Mutex
	moved int
}

func (e *endless) OverdueRows(_ context.Context, now time.Time) iter.Seq2[results.Row, error] {
	return func(yield func(results.Row, error) bool) {
		row := results.Row{Key: "k", SortKey: "task#job", Description: results.Description{DispatchedAt: results.Millis(now.Add(-time.Hour).UnixMilli())}, Rank: new(1)}
		for yield(row, nil) {
		}
	}
}

func (e *endless) Reschedule(context.Context, string, string, time.Time) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.moved++
	return true, nil
}

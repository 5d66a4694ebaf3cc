package receiver

import (
	"maps"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// What a callback about task_2 becomes where there is no row with that id, by
// what the ledger says of the job.
func TestTheLedgerDecidesWhoseJobAnIDIs(t *testing.T) {
	t.Parallel()
	rejected := &results.Rejection{Why: "input", Reason: "no video"}
	bare := `{"id":"task_2","status":"succeeded"}`
	ours := about(t, ref, "job.succeeded", "task_2", "succeeded")
	task := about(t, ref, "task.succeeded", "task_2", "succeeded")
	guides := toJSON(t, map[string]any{"event": "job.succeeded", "data": map[string]any{
		"id": "task_2", "status": "succeeded", "metadata": map[string]string{"source_bucket": ref.Bucket, "source_key": ref.Key},
	}})
	tests := map[string]struct {
		ledger *results.Entry // nil: there is no ledger
		body   string
		want   answer
		waits  time.Duration
		id     string // in the ledger afterwards
	}{
		"none, ours":       {body: ours, want: stored, id: "task_2"},
		"none, a task":     {body: task, want: early, waits: 2 * time.Second},
		"none, bare":       {body: bare, want: early, waits: 2 * time.Second},
		"none, guide's":    {body: guides, want: early, waits: 2 * time.Second},
		"no id, ours":      {ledger: &results.Entry{Reserved: "2026-04-03"}, body: ours, want: stored, id: "task_2"},
		"no id, a task":    {ledger: &results.Entry{Reserved: "2026-04-03"}, body: task, want: early, waits: 2 * time.Second},
		"no id, bare":      {ledger: &results.Entry{Reserved: "2026-04-03"}, body: bare, want: early, waits: 2 * time.Second},
		"it, ours":         {ledger: &results.Entry{ID: "task_2"}, body: ours, want: stored, id: "task_2"},
		"it, a task":       {ledger: &results.Entry{ID: "task_2"}, body: task, want: stored, id: "task_2"},
		"it, bare":         {ledger: &results.Entry{ID: "task_2"}, body: bare, want: stored, id: "task_2"},
		"it, rejected":     {ledger: &results.Entry{ID: "task_2", Rejected: rejected}, body: bare, want: stored, id: "task_2"},
		"another, ours":    {ledger: &results.Entry{ID: "task_1"}, body: ours, want: ignored, id: "task_1"},
		"another, a task":  {ledger: &results.Entry{ID: "task_1"}, body: task, want: ignored, id: "task_1"},
		"another, bare":    {ledger: &results.Entry{ID: "task_1"}, body: bare, want: ignored, id: "task_1"},
		"rejected, ours":   {ledger: &results.Entry{Rejected: rejected}, body: ours, want: stored, id: "task_2"},
		"rejected, a task": {ledger: &results.Entry{Rejected: rejected}, body: task, want: ignored},
		"rejected, bare":   {ledger: &results.Entry{Rejected: rejected}, body: bare, want: ignored},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed) {
				if tt.ledger != nil {
					f.ledger(t, ref, *tt.ledger)
				}
				began := time.Now()
				f.want(t, callback(t, f.token(t, ref, newestKey), tt.body), tt.want)
				if took := time.Since(began); took != tt.waits {
					t.Errorf("answered after %v, want %v", took, tt.waits)
				}
				if n := len(f.rows(t)); (n == 1) != (tt.want == stored) {
					t.Errorf("%d rows after %v", n, tt.want)
				}
				ledger, err := f.Table.Ledger(t.Context(), ref.Key, ref.Upload)
				if got := ledger.Entries[results.Slot{Job: ref.Job}].ID; err != nil || got != tt.id {
					t.Errorf("the ledger names %q, want %q; error %v", got, tt.id, err)
				}
			})
		})
	}
}

// With signatures alone the metadata name the job, and the rest is the same.
func TestTheLedgerDecidesInSignatureOnlyMode(t *testing.T) {
	t.Parallel()
	ours := about(t, ref, "job.succeeded", "task_2", "succeeded")
	task := about(t, ref, "task.succeeded", "task_2", "succeeded")
	c := newCloud(t)
	f := c.deploySigned(t)
	f.want(t, signed(t, "", ours), stored)
	f.want(t, signed(t, "", task), duplicate)
	f.want(t, signed(t, "", strings.ReplaceAll(task, "task_2", "task_3")), ignored)
	f.want(t, signed(t, "", strings.ReplaceAll(ours, "task_2", "task_3")), ignored)
	f.only(t)
}

// A rejection of the whole upload is one of each of its jobs.
func TestACallbackOfARejectedUploadIsIgnored(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	f.ledger(t, refTo(upload, "", 0), results.Entry{Rejected: &results.Rejection{Why: "route"}})
	f.want(t, callback(t, f.token(t, ref, newestKey), `{"id":"task_2","status":"succeeded"}`), ignored)
	f.wantNoRows(t)
}

// The id of an attempt is none of another's.
func TestEveryAttemptHasItsOwnID(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	f.noted(t, ref, "task_1")
	again := refTo(upload, ref.Job, 1)
	f.want(t, callback(t, f.token(t, again, newestKey), about(t, again, "job.succeeded", "task_2", "succeeded")), stored)
	f.want(t, callback(t, f.token(t, ref, newestKey), `{"id":"task_2","status":"succeeded"}`), forbidden) // its row is another attempt's
}

// With the job's own token, an event about a part of the job changes nothing,
// however the job ended.
func TestAnEventAboutATaskOfTheJobMakesNoSecondRow(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	token := f.token(t, ref, newestKey)
	f.noted(t, ref, "job_1")
	f.queued(t, upload, ref, "job_1")
	f.want(t, callback(t, token, about(t, ref, "job.failed", "job_1", "failed")), stored)
	before := f.only(t)
	for _, body := range []string{
		`{"id":"evt_2","object":"event","kind":"task.succeeded","data":{"id":"task_probe2","object":"task","kind":"probe","status":"succeeded"}}`,
		`{"id":"evt_3","object":"event","kind":"task.succeeded","data":{"id":"task_encode2","object":"task","kind":"encode","status":"succeeded"}}`,
		`{"id":"task_probe2","kind":"Probe","status":"succeeded"}`,
		`{"id":"job_1","kind":"import","status":"succeeded"}`,
		`{"event":"job.succeeded","data":{"id":"job_1","kind":"export","status":"succeeded"}}`,
	} {
		f.want(t, callback(t, token, body), ignored)
	}
	wantRow(t, f.only(t), before)
}

// A task's event does not wait for a ledger where dispatch wrote the row before
// there were ledgers.
func TestATaskOfARowWithoutLedger(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		f.queued(t, upload, ref, "task_abc123")
		token := f.token(t, ref, newestKey)
		began := time.Now()
		f.want(t, callback(t, token, about(t, ref, "task.succeeded", "task_abc123", "succeeded")), stored)
		f.want(t, callback(t, token, about(t, ref, "task.succeeded", "task_other", "succeeded")), early)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %v, want 2s for the other task", took)
		}
		f.only(t)
	})
}

func TestACallbackWaitsForTheLedger(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]answer{`{"id":"task_1","status":"succeeded"}`: stored, `{"id":"task_2","status":"succeeded"}`: ignored} {
		for _, after := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} {
			inBubble(t, func(t *testing.T, f *deployed) {
				req := callback(t, f.token(t, ref, newestKey), body)
				answers := make(chan answer)
				go func() { answers <- f.post(t.Context(), t, req) }()
				time.Sleep(after)
				f.noted(t, ref, "task_1")
				if got := <-answers; got != want {
					t.Errorf("%s after %v: answered %v, want %v", body, after, got, want)
				}
			})
		}
	}
}

// "Not yet" is no error of ours: it has its own metric, and warns.
func TestNotYetIsNoError(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		f.want(t, callback(t, f.token(t, ref, newestKey), `{"id":"task_1","status":"succeeded"}`), early)
		f.log.WantCounted(t, telemetry.CallbacksEarly, map[string]float64{"": 1})
		f.log.WantCounted(t, telemetry.CallbacksRefused, map[string]float64{})
		if line := f.logged(t, "callback too early"); line["level"] != "WARN" {
			t.Errorf("the log says %v, want a warning", line)
		}
		if strings.Contains(f.log.String(), `"ERROR"`) {
			t.Errorf("the log has an error:\n%s", &f.log)
		}
	})
}

// Two jobs' words at once: one id wins, and only it has a row.
func TestTwoIDsOfAJobAtOnceMakeOneRow(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	token := f.token(t, ref, newestKey)
	answers := make(chan answer)
	for _, id := range []string{"task_1", "task_2"} {
		req := callback(t, token, about(t, ref, "job.succeeded", id, "succeeded"))
		go func() { answers <- f.post(t.Context(), t, req) }()
	}
	got := map[answer]int{<-answers: 1}
	got[<-answers]++
	if want := map[answer]int{stored: 1, ignored: 1}; !maps.Equal(got, want) {
		t.Errorf("answered %v, want %v", got, want)
	}
	f.only(t)
}

// The usual callback, about a job that dispatch has noted, is one call.
func TestTheUsualCallbackIsOneCall(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	f.noted(t, ref, "task_abc123")
	f.queued(t, upload, ref, "task_abc123")
	before := f.CallsTo("DynamoDB")
	f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), stored)
	if n := f.CallsTo("DynamoDB") - before; n != 1 {
		t.Errorf("%d calls, want 1: %v", n, f.Calls())
	}
}

// The ledger that a callback makes outlives the rows as dispatch's does.
func TestTheLedgerOfACallbackExpiresAfterItsRows(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		f.want(t, callback(t, f.token(t, ref, newestKey), about(t, ref, "job.succeeded", "task_1", "succeeded")), stored)
		want := &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().AddDate(0, 0, 30+7+2).Unix(), 10)}
		if got := f.Item(t, ref.Key, "ledger#"+ref.Upload)[results.TTLAttribute]; !reflect.DeepEqual(got, want) {
			t.Errorf("the ledger expires at %v, want %v", got, want)
		}
	}, env.ResultTTLDays, "30")
}

// A task's event goes by the ledger even where the id has a row.
func TestATaskReadsTheLedgerBeforeItWrites(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	f.noted(t, ref, "job_1")
	f.queued(t, upload, ref, "task_2")
	before := f.only(t)
	f.want(t, callback(t, f.token(t, ref, newestKey), about(t, ref, "task.succeeded", "task_2", "succeeded")), ignored)
	wantRow(t, f.only(t), before)
}

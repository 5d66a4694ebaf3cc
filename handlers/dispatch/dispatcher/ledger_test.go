package dispatcher

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/event"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

// uploadOf is the upload of an event.
func uploadOf(t testing.TB, e []byte) media.Upload {
	t.Helper()
	p, err := event.DecodePayload(e)
	if err != nil {
		t.Fatal(err)
	}
	return p.Messages[0].Request.Upload
}

// dispatchedBefore writes the rows of an upload as they were before there were
// ledgers.
func (w *world) dispatchedBefore(u media.Upload, jobs ...string) {
	w.t.Helper()
	for _, job := range jobs {
		ref := media.JobRef{Bucket: u.Bucket, Key: u.Key, Upload: u.ID(handlertest.TableName), Job: job}
		if _, err := w.Table.InsertQueued(w.t.Context(), results.Dispatched{
			At: time.Now(), CheckAt: time.Now(), Upload: u, Ref: ref, Result: media.Result{JobID: "old_" + ref.Upload[:8] + job},
		}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// An upload costs the same, whatever its key has been through.
func TestAnUploadReadsOneItemOfItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{routes: oneJob})
	var writes sync.WaitGroup
	for part := range 10 {
		writes.Go(func() {
			for i := range 150 {
				u := uploadOf(t, payload(t, func(o map[string]any) { o["version-id"] = fmt.Sprintf("v%d-%d", part, i) }))
				w.dispatchedBefore(u, "video")
			}
		})
	}
	writes.Wait()
	before := w.Calls()
	w.well(payload(t, nil))
	after := w.Calls()
	if gets, queries := after["DynamoDB.GetItem"]-before["DynamoDB.GetItem"], after["DynamoDB.Query"]-before["DynamoDB.Query"]; gets != 1 || queries != 0 {
		t.Errorf("%d items read, %d queries", gets, queries)
	}
}

func TestAnUploadThatWasDispatchedBeforeThereWereLedgers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	e := payload(t, nil)
	w.dispatchedBefore(uploadOf(t, e), "video", "audio")
	w.queue(messages(e))
	w.wantTotal(1) // the thumbnail
	if n := len(w.Rows(t, key)); n != 3 {
		t.Errorf("%d rows", n)
	}
	queries := w.Calls()["DynamoDB.Query"]
	w.queue(messages(e))
	w.wantTotal(1)
	if n := w.Calls()["DynamoDB.Query"]; n != queries {
		t.Error("the rows are read again, though the ledger has them")
	}
}

// A callback made the first ledger of an upload that an earlier version
// dispatched: what the rows know counts all the same.
func TestACallbacksClaimHidesNoOldRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	e := payload(t, nil)
	u := uploadOf(t, e)
	w.dispatchedBefore(u, "video", "audio")
	if _, err := w.Table.ClaimID(t.Context(), time.Now(), u.Key, u.ID(handlertest.TableName), results.Slot{Job: "thumbnail"}, "claimed"); err != nil {
		t.Fatal(err)
	}
	w.queue(messages(e))
	w.wantTotal(0)
	if row := w.row(key, "thumbnail"); row.JobID() != "claimed" || len(w.Rows(t, key)) != 3 {
		t.Errorf("rows %+v", w.Rows(t, key))
	}
}

// One event is delivered twice around a rotation of the callback keys and a
// deployment that changes the connection.
func TestARotationOrDeploymentBetweenTwoDeliveriesMakesNoSecondJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	e := payload(t, nil)
	w.Fail(handlertest.Operation("UpdateItem"), &endpoint.Fault{Type: "ValidationException", Message: "the process died here"})
	w.badly(e) // made, and not noted
	w.Intercept(nil)
	w.Secrets.Set("callback/keys", `["`+strings.Repeat("n", 32)+`","`+callbackKey+`"]`)
	w.env = w.env.With(env.IttybitConnectionID, "conn_other")
	w.Handler = w.wire()
	if _, err := w.invoke(e); err != nil { // where Ittybit minds the other body
		w.queue(messages(e))
	}
	w.wantJobs(key, jobNames...)
}

// A direct delivery that is not the first: Ittybit has forgotten the key.
func TestASecondDirectDeliveryADayLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	e := payload(t, nil)
	w.Fail(handlertest.Operation("UpdateItem"), &endpoint.Fault{Type: "ValidationException", Message: "the process died here"})
	w.badly(e)
	w.Intercept(nil)
	w.ittybit.ForgetKeys()
	w.later = 25 * time.Hour
	w.well(e)
	w.wantJobs(key, jobNames...)
}

// The process dies between the ledger and the rows, and the next try is the last
// that can write them.
func TestInterruptedBetweenTheLedgerAndTheRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	e := payload(t, nil)
	w.Fail(handlertest.Operation("PutItem"), &endpoint.Fault{Type: "ValidationException", Message: "the process died here"})
	w.badly(e)
	if n := len(w.Rows(t, key)); n != 0 {
		t.Fatalf("%d rows", n)
	}
	w.Intercept(nil)
	w.queue(messages(e))
	w.wantJobs(key, jobNames...)
	w.wantRequests(fakeittybit.Create, 3)
}

// What expired must not come back.
func TestRowsAreNotWrittenAgainAfterTwoWeeks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	e := payload(t, nil)
	w.well(e)
	for _, row := range w.Rows(t, key) {
		w.Delete(t, row.Key, row.SortKey)
	}
	w.later = rowsFor + time.Minute
	w.queue(messages(e))
	if n := len(w.Rows(t, key)); n != 0 {
		t.Errorf("%d rows are back", n)
	}
}

func TestARefusalAfterAnOutageIsTheFirstOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{routes: oneJob, ittybit: fakeittybit.Options{Fault: func(r fakeittybit.Request) fakeittybit.Fault {
		switch {
		case r.Op != fakeittybit.Create || r.Ordinal > 4:
			return fakeittybit.Fault{}
		case r.Ordinal <= 3: // of the direct try
			return fakeittybit.Fault{Status: 503}
		}
		return fakeittybit.Fault{Status: 400, Kind: "invalid_input", Message: "not readable yet"}
	}}})
	e := payload(t, nil)
	w.badly(e)
	for range 2 {
		w.later += time.Hour
		if _, err := w.invoke(e); err == nil {
			break
		}
	}
	w.wantJobs(key, "video")
}

// Ittybit answers a conflict for the key: the job is there, or being made.
func TestAConflictIsNoRefusal(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fakeittybit.Fault{
		"409":              {Status: 409, Kind: "conflict", Message: "m"},
		"400 about a key":  {Status: 400, Kind: "invalid_input", Message: "this Idempotency-Key was used with another body"},
		"422 kind says so": {Status: 422, Kind: "idempotency_error", Message: "m"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{routes: oneJob, ittybit: failing(fakeittybit.Create, fault)})
			for range 3 {
				w.badly(payload(t, nil))
				w.later += time.Hour
			}
			if rows := w.Rows(t, key); len(rows) != 0 {
				t.Errorf("rows %+v", rows)
			}
		})
	}
}

// Ten messages of one key, which are worked on one after the other.
func TestABatchIsAnsweredInTimeWhileIttybitHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{routes: oneJob, ittybit: fakeittybit.Options{Latency: time.Hour}})
	var batch [][]byte
	var all []string
	for i := range 10 {
		batch = append(batch, payload(t, func(o map[string]any) { o["version-id"] = fmt.Sprint(i) }))
		all = append(all, fmt.Sprintf("m%d", i))
	}
	w.later = 6*time.Second - media.DispatchTimeout // all the time that is left
	began := time.Now()
	w.queue(batch, all...)
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("answered after %v", took)
	}
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

func TestFailedJobsAreMadeAgain(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ends(fakeittybit.Failed, "audio")
	w.upload("a.mov")
	w.ends(fakeittybit.Cancelled, "video")
	w.upload("b.mov")
	w.heal()

	// Nothing is done without an answer, or dry.
	w.Says(cli.ExitUsage, []string{"Ittybit charges for each job again. Make 1 job of 1 upload again?", "-yes does it without asking"}, "-retry", "a.mov")
	got := w.Says(cli.ExitOK, []string{"1 job of 1 upload would be handed to dispatch"}, "-retry", "-dry-run", "a.mov")
	pipelinetest.WantIn(t, got.Stdout, "a.mov: attempt 1 of audio")
	if n := w.AWS.Calls()["Lambda.Invoke"]; n != 0 {
		t.Fatalf("%d invocations", n)
	}

	got = w.Says(cli.ExitOK, []string{"1 job of 1 upload handed to dispatch"}, "-retry", "-yes", "a.mov")
	pipelinetest.WantIn(t, got.Stdout, "a.mov: attempt 1 of audio")
	w.Quiet()
	w.wantStates("a.mov", "audio", "failed", "succeeded")
	w.wantStates("a.mov", "video", "succeeded")
	w.wantJobs("a.mov", 4)
	again, first := w.row("a.mov", "audio", 1), w.row("a.mov", "audio", 0)
	if again.Uploaded() != first.Uploaded() || again.Upload != first.Upload {
		t.Errorf("the second attempt is of another upload: %+v", again)
	}
	// Once more, there is nothing to do.
	w.Says(cli.ExitFailed, []string{"1 job left alone: an attempt succeeded", "there is nothing to make again"}, "-retry", "-yes", "a.mov")

	// A list of all that failed or was cancelled.
	asks := pipelinetest.Lines[asked](t, w.Want(cli.ExitOK, "-retry", "-yes", "-json", "-newer", "1h"))
	if len(asks) != 1 || asks[0].Key != "b.mov" || asks[0].Attempt != 1 || !slices.Equal(asks[0].Jobs, []string{"video"}) || !asks[0].Sent || asks[0].Upload != w.row("b.mov", "video", 0).Upload {
		t.Errorf("%+v", asks)
	}
	w.Quiet()
	w.wantStates("b.mov", "video", "cancelled", "succeeded")
	w.Want(cli.ExitOK, "-retry", "-yes", "-newer", "1h")
	w.Quiet()
	w.wantJobs("a.mov", 4)
	w.wantJobs("b.mov", 4)

	// A third attempt, since the second failed, too.
	w.ends(fakeittybit.Failed, "audio")
	w.upload("c.mov")
	w.Want(cli.ExitFailed, "-retry", "-yes", "-follow", "c.mov")
	w.heal()
	text := w.Want(cli.ExitOK, "-retry", "-yes", "-follow", "c.mov")
	pipelinetest.WantIn(t, text, "c.mov: attempt 2 of audio", "c.mov: audio succeeded http")
	w.wantStates("c.mov", "audio", "failed", "failed", "succeeded")
}

func TestNoJobIsMadeAgainThatIsOpen(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ends(fakeittybit.Processing, "audio")
	w.upload("a.mov")
	w.Says(cli.ExitFailed, []string{"there is nothing to make again"}, "-retry", "-yes", "a.mov")
	w.ends(fakeittybit.Failed, "audio")
	w.upload("b.mov")
	w.ends(fakeittybit.Processing, "audio")
	w.Want(cli.ExitOK, "-retry", "-yes", "b.mov")
	w.Quiet()
	w.wantStates("b.mov", "audio", "failed", "queued")
	w.Says(cli.ExitFailed, []string{"1 job left alone: an attempt is open"}, "-retry", "-yes", "b.mov")
	w.Says(cli.ExitOK, []string{"1 job left alone: an attempt is open"}, "-retry", "-yes", "-state", "failed")
	w.wantJobs("a.mov", 3)
	w.wantJobs("b.mov", 4)
}

// Between the answer of Lambda and dispatch's row, nothing tells that a job was
// asked for.
func TestTwoRetriesBeforeDispatchRuns(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ends(fakeittybit.Failed, "audio", "video")
	w.upload("a.mov")
	w.heal()
	w.refuses(fakeittybit.List, http.StatusServiceUnavailable) // dispatch cannot begin
	for range 3 {
		text := w.Want(cli.ExitOK, "-retry", "-yes", "a.mov")
		pipelinetest.WantIn(t, text, "a.mov: attempt 1 of audio, video")
		w.Quiet()
	}
	w.wantStates("a.mov", "audio", "failed")
	w.heal()
	w.Pass(media.RetryDelay)
	w.wantStates("a.mov", "audio", "failed", "succeeded")
	w.wantStates("a.mov", "video", "failed", "succeeded")
	w.wantJobs("a.mov", 5)
}

func TestARetryIsStoppedAndStartedAgain(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ends(fakeittybit.Failed, "audio")
	var keys []string
	for i := range 12 {
		keys = append(keys, fmt.Sprintf("%02d.mov", i))
	}
	w.upload(keys...)
	w.heal()
	for _, fault := range []*endpoint.Fault{nil, {Type: "ServiceException", Status: http.StatusInternalServerError, Applied: true}} {
		ctx, stop := context.WithCancel(t.Context())
		calls := atomic.Int32{}
		w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
			if c.AccessKey != w.AccessKey || c.Operation != "Invoke" {
				return nil
			}
			if calls.Add(1) == 4 {
				stop()
				if fault != nil { // the answer is lost, too; the SDK asks again
					return fault
				}
			}
			return nil
		})
		got := w.DoContext(ctx, "-retry", "-yes", "-rate", "1000", "-state", "failed")
		stop()
		w.AWS.Intercept(nil)
		if got.Code != cli.ExitFailed {
			t.Errorf("exit code %d: %s", got.Code, got.Stderr)
		}
		pipelinetest.WantIn(t, got.Stderr, "4 jobs of 4 uploads handed to dispatch", "interrupted", "What is left is made when the same command runs again.")
		w.Quiet()
	}
	got := w.Says(cli.ExitOK, []string{"4 jobs of 4 uploads handed to dispatch"}, "-retry", "-yes", "-rate", "1000", "-state", "failed")
	if strings.Count(got.Stdout, "\n") != 4 {
		t.Error(got.Stdout)
	}
	w.Quiet()
	for _, key := range keys {
		w.wantStates(key, "audio", "failed", "succeeded")
		w.wantJobs(key, 4)
	}
}

func TestOnlyAsManyAsAgreed(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ends(fakeittybit.Failed, "audio", "video")
	w.upload("a.mov", "b.mov")
	w.heal()
	got := w.Says(cli.ExitOK, []string{"3 jobs of 2 uploads handed to dispatch"}, "-retry", "-yes", "-limit", "3", "-state", "failed")
	pipelinetest.WantIn(t, got.Stdout, "a.mov: attempt 1 of audio, video", "b.mov: attempt 1 of audio")
	w.Quiet()
	w.wantStates("b.mov", "video", "failed")
	// The other way round: one job by its name.
	w.Want(cli.ExitFailed, "-retry", "-yes", "-job", "audio", "b.mov")
	w.Want(cli.ExitOK, "-retry", "-yes", "-job", "video", "b.mov")
	w.Quiet()
	w.wantStates("b.mov", "video", "failed", "succeeded")
	w.wantJobs("b.mov", 5)
}

func TestTheAnswerToAQuestion(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ends(fakeittybit.Failed, "audio")
	w.upload("a.mov", "b.mov")
	w.heal()
	list := []string{"-retry", "-state", "failed"}
	if got := w.Answer("n", list...); got.Code != cli.ExitFailed || !strings.Contains(got.Stderr, "not confirmed; nothing was done") || got.Stdout != "" {
		t.Errorf("%+v", got)
	}
	w.Quiet()
	w.wantJobs("a.mov", 3)
	// No more than was agreed to, whatever has failed since.
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey == w.AccessKey && c.Operation == "GetItem" { // it asks for the day's count with its question
			w.reject("0.mov")
		}
		return nil
	})
	got := w.Answer("y", "-retry", "-newer", "1h")
	w.AWS.Intercept(nil)
	if got.Code != cli.ExitOK || !strings.Contains(got.Stderr, "2 jobs of 1 upload handed to dispatch") {
		t.Errorf("%+v", got)
	}
	pipelinetest.WantIn(t, got.Stdout, "0.mov: attempt 1 of audio, thumbnail")
	got = w.Answer("yes", list...)
	pipelinetest.WantIn(t, got.Stderr, "Make 2 jobs of 2 uploads again? [y/N]", "2 jobs of 2 uploads handed to dispatch")
	w.Quiet()
	w.wantStates("a.mov", "audio", "failed", "succeeded")
	w.wantStates("b.mov", "audio", "failed", "succeeded")
	// Where there is nothing to do, nobody is asked.
	got = w.Answer("y", list...)
	if got.Code != cli.ExitOK || strings.Contains(got.Stderr, "[y/N]") {
		t.Errorf("%+v", got)
	}
}

func TestRejectedUploadsAreMadeAgain(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.refuses(fakeittybit.Create, http.StatusUnprocessableEntity)
	w.upload("jobs.mov")
	w.Pass(media.RetryDelay)
	w.wantStates("jobs.mov", "audio", "rejected")
	w.heal()
	w.Want(cli.ExitOK, "-retry", "-yes", "-follow", "jobs.mov")
	for _, job := range pipelinetest.Jobs {
		if r := w.row("jobs.mov", job, 1); r.State != "succeeded" {
			t.Errorf("%s: %+v", job, r)
		}
	}

	// A whole upload: all that its route makes.
	w.reject("whole.mov")
	w.Want(cli.ExitOK, "-retry", "-yes", "-follow", "whole.mov")
	for _, job := range pipelinetest.Jobs {
		w.wantStates("whole.mov", job, "", "succeeded")
	}
	w.wantJobs("whole.mov", 3)
	w.Says(cli.ExitFailed, []string{"3 jobs left alone: an attempt succeeded"}, "-retry", "-yes", "whole.mov")

	w.reject("none.txt")
	w.Says(cli.ExitFailed, []string{"none.txt: upload ", "dispatch makes no job of it now: no route", "1 upload cannot be asked for again"}, "-retry", "-yes", "none.txt")
	w.Says(cli.ExitFailed, []string{"nothing.mov has no row", "/scripts/jobs -local="}, "-retry", "-yes", "nothing.mov")

	// Rejected again: the next attempt is the one after that.
	w.refuses(fakeittybit.Create, http.StatusUnprocessableEntity)
	w.upload("twice.mov")
	w.Pass(media.RetryDelay)
	w.Want(cli.ExitOK, "-retry", "-yes", "twice.mov")
	w.Quiet()
	w.Pass(media.RetryDelay)
	w.heal()
	pipelinetest.WantIn(t, w.Want(cli.ExitOK, "-retry", "-yes", "twice.mov"), "twice.mov: attempt 2 of audio, thumbnail, video")
}

func TestAnUploadThatItsRowsDoNotTell(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ends(fakeittybit.Failed, pipelinetest.Jobs...)
	w.upload("a.mov")
	forget := func(jobs ...string) {
		for _, job := range jobs {
			_, err := w.DynamoDB().UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName:        aws.String(w.Table),
				Key:              map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "a.mov"}, "sk": &types.AttributeValueMemberS{Value: w.row("a.mov", job, 0).SortKey}},
				UpdateExpression: aws.String("REMOVE etag, uploaded_at, dispatched_at, sequencer"),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	w.heal()
	// One row that tells is enough.
	forget("audio", "video")
	w.Want(cli.ExitOK, "-retry", "-dry-run", "a.mov")
	forget("thumbnail")
	got := w.Says(cli.ExitFailed, []string{"its rows do not tell which version of the object it is", "1 upload cannot be asked for again"}, "-retry", "-yes", "a.mov")
	pipelinetest.WantIn(t, got.Stderr, w.row("a.mov", "audio", 0).Upload, "scripts/backfill -local=", "-prefix a.mov")
	w.wantJobs("a.mov", 3)
}

func TestAnUploadThatWasReplaced(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ends(fakeittybit.Failed, "audio")
	w.upload("a.mov")
	old := w.row("a.mov", "audio", 0)
	w.Put("a.mov", "another")
	w.Quiet()
	w.heal()
	text := w.Want(cli.ExitOK, "-retry", "-yes", "a.mov")
	w.Quiet()
	if strings.Count(text, "attempt 1 of audio") != 1 {
		t.Error(text)
	}
	states := map[string]string{}
	for _, r := range w.Rows("a.mov") {
		if r.Job == "audio" && r.Attempt == 1 {
			states[r.Upload] = r.State
		}
	}
	if len(states) != 1 || states[old.Upload] != "" {
		t.Errorf("%v were made again; the old one is %s", states, old.Upload)
	}
	w.Says(cli.ExitFailed, []string{"1 job left alone: a later upload is under the key now"}, "-retry", "-yes", "-id", old.JobID(), "a.mov")
	w.Want(cli.ExitOK, "-retry", "-yes", "-upload", old.Upload, "a.mov")
}

func TestAJobThatSucceededRunsAgainWhereItIsNamed(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.upload("a.mov")
	id := w.row("a.mov", "video", 0).JobID()
	w.Says(cli.ExitFailed, []string{"there is nothing to make again"}, "-retry", "-yes", "a.mov")
	w.Want(cli.ExitOK, "-retry", "-yes", "-follow", "-id", id, "a.mov")
	w.wantStates("a.mov", "video", "succeeded", "succeeded")
	w.Says(cli.ExitOK, []string{"1 job left alone: a later attempt is not of those asked for"}, "-retry", "-yes", "-id", id)
	w.wantJobs("a.mov", 4)
}

// The stack was deployed with other routes since.
func TestAJobThatIsNoLongerMade(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	u := media.Upload{Bucket: w.Bucket, Key: "a.mov", Size: 1, ETag: "e", Time: w.Clock.Now()}
	ref := media.JobRef{Bucket: u.Bucket, Key: u.Key, Upload: u.ID(w.Table), Job: "formerly"}
	if _, err := w.Results.Reject(t.Context(), w.Clock.Now(), u, ref, "no"); err != nil {
		t.Fatal(err)
	}
	w.Says(cli.ExitFailed, []string{"1 job left alone: their route makes no job of that name now"}, "-retry", "-yes", "a.mov")
}

func TestARetryThatFails(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *pipeline.Options) { o.Stack.DailyJobLimit = 4 })
	w.ends(fakeittybit.Failed, pipelinetest.Jobs...)
	w.upload("a.mov")
	w.heal()
	w.Says(cli.ExitUsage, []string{"The day's limit leaves room for 1; the others will wait in the retry queue."}, "-retry", "a.mov")
	w.Deny("Invoke")
	w.Says(cli.ExitFailed, []string{"handing a.mov to dispatch", "have this action allowed", "0 jobs of 0 uploads handed to dispatch"}, "-retry", "-yes", "a.mov")
	w.Deny("Query")
	w.Says(cli.ExitFailed, []string{"allow the role dynamodb:Query"}, "-retry", "-yes", "a.mov")
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation == "Invoke" && c.Ordinal%3 != 0 {
			return &endpoint.Fault{Type: "TooManyRequestsException", Status: http.StatusTooManyRequests}
		}
		return nil
	})
	w.Want(cli.ExitOK, "-retry", "-yes", "a.mov")
	w.Quiet()
	w.wantJobs("a.mov", 3) // the limit holds
	w.Pass(25 * time.Hour)
	w.wantJobs("a.mov", 6)
}

package sweeper

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/fakeittybit"
)

// poisons are answers about single jobs that once kept them, or others, open
// for ever. Of a job that is not there, one ends a day after its dispatch.
var poisons = map[string]struct {
	answer     http.HandlerFunc
	isNotThere bool
}{
	"401":               {answer: says(401, theirs)},
	"402":               {answer: says(402, theirs)},
	"403":               {answer: says(403, theirs)},
	"404, empty":        {answer: says(404, ""), isNotThere: true},
	"404, no kind":      {answer: says(404, `{"message":"Not Found"}`), isNotThere: true},
	"410":               {answer: says(410, theirs), isNotThere: true},
	"another id":        {answer: says(200, `{"id":"job_else","status":"processing"}`), isNotThere: true},
	"another's job":     {answer: echo(`{"id":%q,"status":"succeeded","metadata":{"job":"audio"}}`), isNotThere: true},
	"400":               {answer: says(400, theirs)},
	"429":               {answer: says(429, theirs)},
	"500":               {answer: says(500, theirs)},
	"more than 16 MiB":  {answer: tooLong},
	"goes on and on":    {answer: echo(`{"id":%q,"status":"processing"}`)},
	"no JSON":           {answer: says(200, "<html>")},
	"connection closed": {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
}

const theirs = `{"error":{"kind":"poisoned","message":"the job is poisoned"}}`

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// echo answers with the id that was asked for.
func echo(format string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, format, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	}
}

func tooLong(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write(bytes.Repeat([]byte(" "), 16<<20+1))
}

// notePoisoned notes a job of each kind of poison, in the order of their names, and
// returns the names by the ids.
func (f *deployed) notePoisoned(t *testing.T, at time.Time) map[string]string {
	t.Helper()
	names := map[string]string{}
	for name, p := range poisons {
		id := f.unknown(t, strings.ReplaceAll(name, " ", "_"), at)
		names[id] = name
		f.poison(id, p.answer)
	}
	return names
}

// stillOpen returns the names of the poisoned jobs that are still open, and checks
// that those that ended say why.
func (f *deployed) stillOpen(t *testing.T, names map[string]string) (stay []string) {
	t.Helper()
	rows := f.rows(t)
	for id, name := range names {
		row := rows[id]
		switch {
		case row.Open != "":
			stay = append(stay, name)
		case row.State != media.Failed.String() || !strings.Contains(row.Error, "after it was dispatched"):
			t.Errorf("%s: ended as %s: %q", name, row.State, row.Error)
		}
	}
	slices.Sort(stay)
	return stay
}

// healthy notes jobs that have succeeded and whose callback was lost.
func (f *deployed) healthy(t *testing.T, n int, at time.Time) (ids []string) {
	t.Helper()
	for i := range n {
		ids = append(ids, f.dispatched(t, fmt.Sprint("healthy ", at.Unix(), i), at))
		f.ends(t, ids[i], fakeittybit.Succeeded)
	}
	return ids
}

// One job of each kind of poison, first in the order, costs the others nothing
// but its own requests, and ends: a day after its dispatch if Ittybit does not
// have it, else after giveUpAfter.
func TestPoisonedJobsDelayNoOtherAndEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		const n = 40
		names := f.notePoisoned(t, start)
		run := func(now time.Time, healthy int) {
			t.Helper()
			ids := f.healthy(t, healthy, now.Add(-overdueAfter))
			began := time.Now()
			if s := f.at(t, now); s.Behind || s.Jobs[string(settled)] != healthy {
				t.Errorf("after %v the run says %+v, %v", now.Sub(start), s, f.lastErr)
			}
			most := time.Duration(healthy+len(names))*time.Second/media.SweepRate + 15*time.Second // for tries again
			if took := time.Since(began); took > most {
				t.Errorf("the run took %v, want %v at most", took, most)
			}
			for id, row := range f.rows(t) {
				if row.Open != "" && !row.CheckAt.Time().After(now) {
					t.Errorf("%s was asked for and is not due later", names[id])
				}
				if slices.Contains(ids, id) && row.State != media.Succeeded.String() {
					t.Errorf("a healthy job is %s", row.State)
				}
			}
		}
		run(start.Add(time.Hour), n)
		if stay := f.stillOpen(t, names); len(stay) != len(poisons) {
			t.Errorf("within a day, still open are only %v", stay)
		}
		run(start.Add(missingAfter+time.Hour), 1)
		var want []string
		for name, p := range poisons {
			if !p.isNotThere {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		if stay := f.stillOpen(t, names); !slices.Equal(stay, want) {
			t.Errorf("after a day, still open are %v\nwant %v", stay, want)
		}
		run(start.Add(giveUpAfter), 1)
		if stay := f.stillOpen(t, names); len(stay) > 0 {
			t.Errorf("after giveUpAfter, still open are %v", stay)
		}
		if s := f.at(t, start.Add(giveUpAfter+mostWait)); len(s.Jobs) > 0 {
			t.Errorf("jobs that ended were asked for: %+v", s)
		}
	})
}

// A job that is the only overdue one ends after giveUpAfter if Ittybit answers a
// list, and after twice giveUpAfter whatever it answers.
func TestTheOnlyOverdueJobEnds(t *testing.T) {
	t.Parallel()
	for name, p := range poisons {
		for _, isListed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, list answered %v", name, isListed), func(t *testing.T) {
				t.Parallel()
				inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
					id := f.unknown(t, "a", start)
					f.poison(id, p.answer)
					if !isListed {
						f.status(http.StatusInternalServerError, "")
					}
					f.at(t, start.Add(giveUpAfter-time.Minute))
					f.want(t, id, f.stateOf(t, id), start.Add(giveUpAfter-time.Minute+mostWait))
					now := start.Add(giveUpAfter + mostWait)
					s := f.at(t, now)
					if isListed || name == "goes on and on" { // which is a word on the job itself
						f.want(t, id, media.InferredFailed, time.Time{})
						wantJobs(t, s, false, map[outcome]int{gaveUp: 1})
						return
					}
					f.want(t, id, media.Queued, now.Add(mostWait))
					if f.lastErr == nil || !strings.Contains(f.lastErr.Error(), "HTTP 500") {
						t.Errorf("sweep says %v", f.lastErr)
					}
					f.at(t, start.Add(2*giveUpAfter))
					f.want(t, id, media.InferredFailed, time.Time{})
				})
			})
		}
	}
}

// A list that is answered shows that the key is right, not that it is the key of
// the account that has the jobs: before giveUpAfter, only another job shows that.
func TestAListAloneLosesNoJob(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		now := start.Add(giveUpAfter)
		old := f.unknown(t, "old", start)
		young := f.unknown(t, "young", now.Add(-missingAfter))
		wantJobs(t, f.well(t, now), false, map[outcome]int{gaveUp: 1, missing: 1})
		f.want(t, old, media.InferredFailed, time.Time{})
		f.want(t, young, media.Queued, now.Add(mostWait))
	})
}

// stateOf is queued, or processing for a job that Ittybit said so of.
func (f *deployed) stateOf(t *testing.T, id string) media.State {
	t.Helper()
	if f.rows(t)[id].State == media.Processing.String() {
		return media.Processing
	}
	return media.Queued
}

// A list is asked for once in a run, however many jobs put the account in doubt.
func TestOneListForARun(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		var ids []string
		for i := range 12 {
			ids = append(ids, f.dispatched(t, fmt.Sprint(i), start))
		}
		good := f.healthy(t, 1, start.Add(time.Second))
		f.status(http.StatusUnauthorized, ids...)
		wantJobs(t, f.badly(t, start.Add(time.Hour), "HTTP 401"), false, map[outcome]int{failed: len(ids), settled: 1})
		f.want(t, good[0], media.Succeeded, time.Time{})
		if n := f.lists.Load(); n != 1 {
			t.Errorf("%d lists were asked for", n)
		}
	})
}

// A row that cannot be decoded is passed over: it is named and counted, the
// run fails, and the other jobs are asked for.
func TestUnreadableRowIsNamedAndPassedOver(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		bad := f.unknown(t, "bad", start)
		f.healthy(t, 3, start.Add(time.Second))
		_, err := f.DynamoDB.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String(tableName),
			Key: map[string]types.AttributeValue{
				results.PartitionKey: &types.AttributeValueMemberS{Value: "uploads/bad"},
				results.SortKey:      &types.AttributeValueMemberS{Value: "task#" + bad},
			},
			UpdateExpression:          aws.String("SET attempt = :attempt"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":attempt": &types.AttributeValueMemberS{Value: "first"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		s := f.badly(t, start.Add(time.Hour), bad, `"uploads/bad"`, results.ErrUnreadable.Error())
		wantJobs(t, s, false, map[outcome]int{settled: 3, unreadable: 1})
		f.log.WantCounted(t, telemetry.JobsSwept, map[string]float64{string(settled): 3, string(unreadable): 1})
		if lines := f.log.Said(t, "row passed over"); len(lines) != 1 || lines[0]["key"] != "uploads/bad" {
			t.Errorf("the log says %v", lines)
		}
	})
}

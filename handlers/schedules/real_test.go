package schedules_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/schedules"
)

var (
	whole    = flag.Bool("whole", false, "explore the large scenarios, too")
	schedule = flag.String("schedule", "", "replay one schedule, as a violation prints it, of the one test that -run names")
)

func once(schedules.View) []string { return []string{""} }

// jobsThat lists the jobs of a status at Ittybit.
func jobsThat(status string) func(schedules.View) []string {
	return func(v schedules.View) []string {
		var ids []string
		for _, j := range jobsOf(v) {
			if j.Status == status {
				ids = append(ids, j.ID)
			}
		}
		return ids
	}
}

// retry starts a process that is there because any of another failed.
func retry(failed ...string) func(schedules.View) []string {
	return func(v schedules.View) []string {
		for _, name := range failed {
			if v.Count(name, schedules.Failed)+v.Count(name, schedules.Crashed) > 0 {
				return []string{""}
			}
		}
		return nil
	}
}

func world(t *testing.T, m manners, stale int) map[string]schedules.Store {
	return map[string]schedules.Store{
		"dynamodb": newTable(t, stale),
		"secrets":  vault{values: map[string]string{apiKeySecret: "key", callbackSecret: `["` + oldCallbackKey + `"]`}, rotate: callbackSecret},
		"ittybit":  &fake{manners: m},
	}
}

// How long after the upload the later processes begin. The last try is on the
// next day, which has room again.
const (
	soon     = 2 * time.Minute
	later    = 40 * time.Minute // a job's callback is overdue
	tomorrow = 25 * time.Hour
	afterAll = 32 * time.Hour
)

// deliveries are two tries of one event, the callback of every job, and what
// comes last: tries from the queue if one failed, and runs of sweep.
func deliveries(t *testing.T, f functions, m manners, tries ...schedules.Process) schedules.Scenario {
	var names []string
	for _, p := range tries {
		names = append(names, p.Name)
	}
	s := schedules.Scenario{
		Stores:    world(t, m, 1),
		Processes: tries,
		Crashes:   1,
		Step:      finalRowsStay,
		AtEnd:     rowsAreComplete(f.names),
	}
	s.Processes = append(s.Processes,
		schedules.Process{Name: "callback", Run: f.callback, Inputs: jobsThat("queued"), Copies: len(f.names)},
		schedules.Process{Name: "last try", Run: f.tryAtLast, Inputs: retry(names...), Last: true},
		schedules.Process{Name: "very last try", Run: f.tryAtLast, Inputs: retry("last try"), Last: true},
		schedules.Process{Name: "last sweep", Run: f.sweepAtLast, Last: true},
		schedules.Process{Name: "very last sweep", Run: f.sweepAtLast, Inputs: retry("last sweep"), Last: true},
	)
	checks := []func(schedules.View) error{rowsAreTrue, callbacksAreTaken}
	if !m.Race {
		checks = append(checks, oneOfEach)
	}
	if f.limit > 0 {
		checks = append(checks, limitHolds(f.limit))
	}
	s.Always = all(checks...)
	return s
}

// pairs are two tries of S3's event.
func (f functions) pairs() map[string][]schedules.Process {
	return map[string][]schedules.Process{
		"direct and direct": {{Name: "direct", Run: f.direct(0), Copies: 2}},
		"direct and queued": {{Name: "direct", Run: f.direct(0)}, {Name: "queued", Run: f.queued(soon)}},
	}
}

func (f functions) rotation() schedules.Process {
	return schedules.Process{Name: "rotation", Run: f.rotate, Inputs: once}
}

func (f functions) sweepBeside() schedules.Process {
	return schedules.Process{Name: "sweep", Run: f.sweep(later), Inputs: once}
}

func (f functions) callbackAgain() schedules.Process {
	return schedules.Process{Name: "callback again", Run: f.callback, Inputs: jobsThat("succeeded")}
}

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

// mostStates bounds the large scenarios: some 10 GB of memory.
const mostStates = 20_000_000

// strict is an Ittybit that refuses a key which is in use, or had another body.
var strict = manners{OtherBody: http.StatusConflict, InProgress: http.StatusConflict}

func TestEveryScheduleOfOneJob(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("walked without the race detector")
	}
	for _, test := range []struct {
		limit   int
		ittybit manners
		large   bool
	}{
		{limit: 0, ittybit: strict},
		{limit: 1, ittybit: manners{}},
		{limit: 0, ittybit: manners{}, large: true},
		{limit: 0, ittybit: manners{Bare: true}, large: true},
		{limit: 2, ittybit: manners{}, large: true},
		{limit: 2, ittybit: strict, large: true},
	} {
		f := deploy(t, test.limit, "film")
		for name, tries := range f.pairs() {
			t.Run(fmt.Sprintf("%s, limit %d, Ittybit %+v", name, test.limit, test.ittybit), func(t *testing.T) {
				t.Parallel()
				if (test.large || test.limit == 0 && len(tries) > 1) && !*whole {
					t.Skip("needs -whole")
				}
				s := deliveries(t, f, test.ittybit, tries...)
				s.Processes = append(s.Processes, f.rotation(), f.callbackAgain())
				if len(tries) == 1 || *whole { // with its lease, sweep makes ten times the states
					s.Processes, s.MaxStates = append(s.Processes, f.sweepBeside()), mostStates
				}
				holds(t, s)
			})
		}
	}
}

func TestEveryScheduleOfTwoJobs(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("walked without the race detector")
	}
	for _, limit := range []int{0, 2, 3, 4} {
		f := deploy(t, limit, "film", "thumb")
		for name, tries := range f.pairs() {
			t.Run(fmt.Sprintf("%s, limit %d", name, limit), func(t *testing.T) {
				t.Parallel()
				if (limit > 2 || len(tries) > 1) && !*whole {
					t.Skip("needs -whole")
				}
				s := deliveries(t, f, strict, tries...)
				s.Processes[len(tries)].Copies = 1
				holds(t, s)
			})
		}
	}
}

// A request gets an answer that says nothing of the job, or the answer is lost.
func TestEveryScheduleOfLostAnswersAndServerErrors(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("walked without the race detector")
	}
	for _, limit := range []int{0, 1, 2} {
		f := deploy(t, limit, "film")
		for name, tries := range f.pairs() {
			t.Run(fmt.Sprintf("%s, limit %d", name, limit), func(t *testing.T) {
				t.Parallel()
				if limit == 2 && !*whole {
					t.Skip("needs -whole")
				}
				m := strict
				m.Refusals = []int{http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusBadRequest}
				s := deliveries(t, f, m, tries...)
				s.Crashes, s.Faults = 0, 1
				s.Always = all(oneOfEach, rowsAreTrue) // a callback whose table does not answer fails
				if limit > 0 {
					s.Always = all(oneOfEach, rowsAreTrue, limitHolds(limit))
				}
				holds(t, s)
			})
		}
	}
}

// Where Ittybit makes two jobs for one key, one of them has a row: the ledger
// decides which.
func TestEveryScheduleOfTwoJobsForOneKey(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("walked without the race detector")
	}
	f := deploy(t, 0, "film")
	for name, tries := range f.pairs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deliveries(t, f, manners{Race: true}, tries...)
			s.Processes = slices.Delete(s.Processes, len(tries), len(tries)+1) // no callback tells of the other one
			s.Always = rowsAreTrue
			holds(t, s)
		})
	}
}

func TestTwoJobsForOneKeyAreFound(t *testing.T) {
	t.Parallel()
	f := deploy(t, 0, "film")
	s := deliveries(t, f, manners{Race: true}, f.pairs()["direct and direct"]...)
	s.Always = oneOfEach
	r := schedules.Explore(t, s)
	t.Log(r)
	if r.Violation == nil || !strings.Contains(r.Violation.Err.Error(), "two jobs") || !r.Violation.Confirmed {
		t.Fail()
	}
}

// A read that does not ask for consistency may miss the last write.
func TestAStaleReadIsAChoice(t *testing.T) {
	t.Parallel()
	f := deploy(t, 0, "film")
	count := schedules.Process{Name: "count", Run: func(ctx context.Context, c *http.Client, _ string) error {
		cfg, err := awsclient.FromEnv(f.environment)
		if err != nil {
			panic(err)
		}
		cfg.HTTPClient = c
		client := dynamodb.NewFromConfig(cfg)
		table := results.New(client, tableName, results.Options{})
		if _, err := table.ReserveJobs(ctx, began, 1, 1); err != nil {
			return err
		}
		out, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(tableName), Key: map[string]types.AttributeValue{
			results.PartitionKey: &types.AttributeValueMemberS{Value: "budget#"},
			results.SortKey:      &types.AttributeValueMemberS{Value: began.UTC().Format(time.DateOnly)},
		}})
		if err != nil || len(out.Item) == 0 {
			return fmt.Errorf("no count, %w", err)
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

// A callback about a task of the job, with the job's own token, changes nothing.
func TestEveryScheduleOfAChildCallback(t *testing.T) {
	t.Parallel()
	f := deploy(t, 0, "film")
	s := deliveries(t, f, strict, f.pairs()["direct and direct"]...)
	s.Processes = append(s.Processes, schedules.Process{Name: "child callback", Run: f.childCallback, Inputs: jobsThat("queued")})
	holds(t, s)
}

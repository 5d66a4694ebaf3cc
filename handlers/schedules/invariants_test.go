package schedules_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ittybit-media/handlers/schedules"
)

func all(checks ...func(schedules.View) error) func(schedules.View) error {
	return func(v schedules.View) error {
		for _, check := range checks {
			if err := check(v); err != nil {
				return err
			}
		}
		return nil
	}
}

func jobsOf(v schedules.View) []job { return v.Store("ittybit").(*fake).jobs }

// taskRows are the rows of jobs, by id.
func taskRows(v schedules.View) map[string]row {
	rows := map[string]row{}
	for _, r := range v.Store("dynamodb").(*table).rows {
		if id, ok := strings.CutPrefix(r["sk"], "task#"); ok {
			rows[id] = r
		}
	}
	return rows
}

// oneOfEach: Ittybit has at most one job of each name.
func oneOfEach(v schedules.View) error {
	seen := map[string]string{}
	for _, j := range jobsOf(v) {
		if other := seen[j.Metadata["job"]]; other != "" {
			return fmt.Errorf("two jobs: %s and %s", other, j.ID)
		}
		seen[j.Metadata["job"]] = j.ID
	}
	return nil
}

// rowsAreTrue: every row is of a job that there is, is final only if that has
// ended, and is in the index of open jobs exactly until then.
func rowsAreTrue(v schedules.View) error {
	status := map[string]string{}
	for _, j := range jobsOf(v) {
		status[j.ID] = j.Status
	}
	for id, r := range taskRows(v) {
		isFinal := r["state"] == "succeeded" || r["state"] == "failed" || r["state"] == "cancelled"
		switch {
		case status[id] == "":
			return fmt.Errorf("row %s, state %q, is of no job", id, r["state"])
		case isFinal == (r["open"] != ""):
			return fmt.Errorf("row %s: state %q, open %q", id, r["state"], r["open"])
		case isFinal && r["state"] != status[id]:
			return fmt.Errorf("row %s: state %q, but the job's is %q", id, r["state"], status[id])
		}
	}
	for _, r := range v.Store("dynamodb").(*table).rows {
		if strings.HasPrefix(r["sk"], "upload#") {
			return fmt.Errorf("row %s: a job is rejected that nothing is wrong with", r["sk"])
		}
	}
	return nil
}

// rowsAreComplete: every configured job has its row, and what Ittybit ended is
// final.
func rowsAreComplete(names []string) func(schedules.View) error {
	return func(v schedules.View) error {
		rows := taskRows(v)
		for _, j := range jobsOf(v) {
			if j.Status == "succeeded" && rows[j.ID]["state"] != "succeeded" {
				return fmt.Errorf("job %s has ended, its row has not", j.ID)
			}
		}
		has := map[string]int{}
		for _, r := range rows {
			has[r["job"]]++
		}
		for _, name := range names {
			if has[name] != 1 {
				return fmt.Errorf("job %q has %d rows", name, has[name])
			}
		}
		return nil
	}
}

// limitHolds: no day has more jobs than the limit, and every job is counted.
func limitHolds(limit int) func(schedules.View) error {
	return func(v schedules.View) error {
		counted := 0
		for _, r := range v.Store("dynamodb").(*table).rows {
			if r["pk"] != "budget#" {
				continue
			}
			n, err := strconv.Atoi(r["jobs"])
			if err != nil || n < 0 || n > limit {
				return fmt.Errorf("%q jobs are counted on %s, the limit is %d", r["jobs"], r["sk"], limit)
			}
			counted += n
		}
		if made := len(jobsOf(v)); made > counted {
			return fmt.Errorf("%d jobs are made, %d counted", made, counted)
		}
		return nil
	}
}

// finalRowsStay: a row that is final never becomes anything else.
func finalRowsStay(before, after schedules.View) error {
	now := taskRows(after)
	for id, r := range taskRows(before) {
		if r["state"] == "succeeded" && now[id]["state"] != "succeeded" {
			return fmt.Errorf("row %s was final and is %q", id, now[id]["state"])
		}
	}
	return nil
}

// callbacksAreTaken: every callback is answered with 2xx.
func callbacksAreTaken(v schedules.View) error {
	if v.Count("callback", schedules.Failed) > 0 {
		return errors.New("a callback was refused")
	}
	return nil
}

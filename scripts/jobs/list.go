package main

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
)

// list prints the rows that the filter takes, as they are found.
func (j *jobs) list(ctx context.Context) error {
	now := j.Now()
	t := cli.NewTable(j.Out)
	found := 0
	for row, err := range j.found(ctx, j.filter) {
		if err != nil {
			_ = t.Flush()
			return err
		}
		if !j.JSON && found == 0 {
			t.Row("KEY", "JOB", "ATTEMPT", "STATE", "BEGAN", "JOB ID", "RESULT")
		}
		found++
		if !j.JSON {
			t.Row(row.Key, jobName(row), strconv.Itoa(row.Attempt), row.State, cli.Time(row.Since()), row.JobID(), outcome(row, now))
		} else if err := j.PrintJSON(printable(row)); err != nil {
			return err
		}
	}
	_ = t.Flush()
	if found == 0 {
		j.Say("no row fits")
	}
	return nil
}

// found are the rows that a filter takes, as many as it wants.
func (j *jobs) found(ctx context.Context, f filter) iter.Seq2[results.Row, error] {
	now := j.Now()
	rows := j.table.UnfinishedRows(ctx)
	if !f.indexed() {
		rows = j.scan(ctx, f.state)
	}
	most := f.limit
	if f.id != "" {
		most = 1 // there is no other
	}
	return func(yield func(results.Row, error) bool) {
		n := 0
		for row, err := range rows {
			if err == nil && !f.takes(row, now) {
				continue
			}
			n++
			if !yield(row, err) || err != nil || n == most {
				return
			}
		}
	}
}

// scan reads the whole table for the rows of a state, "" for all, and shows how
// far it is.
func (j *jobs) scan(ctx context.Context, state string) iter.Seq2[results.Row, error] {
	return func(yield func(results.Row, error) bool) {
		if !j.warned {
			j.warned = true
			j.Note("This reads the whole table, whatever it finds there: some 2 cents for a million rows.")
		}
		progress := j.Progress()
		defer progress.End()
		for row, err := range j.table.RowsByState(ctx, &scanner{j.stack.DynamoDB(), progress, 0}, state) {
			progress.End() // a row may be printed
			if !yield(row, err) {
				return
			}
		}
	}
}

// scanner counts the rows that are read, most of which may be of no interest.
type scanner struct {
	dynamodb.ScanAPIClient
	progress *cli.Progress
	rows     int64
}

func (s *scanner) Scan(ctx context.Context, in *dynamodb.ScanInput, o ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	out, err := s.ScanAPIClient.Scan(ctx, in, o...)
	if err == nil {
		s.rows += int64(out.ScannedCount)
		s.progress.Show(func() string { return fmt.Sprintf("%d rows read…", s.rows) })
	}
	return out, err
}

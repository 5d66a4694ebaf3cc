package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/aws/dynamodb"
)

// rowID is what a row is for. That of a rejected upload has no job.
type rowID struct {
	upload, job string // see [media.Upload.ID]
	attempt     int
}

// maxShown is how many examples of a mistake a report gives.
const maxShown = 10

// checkRows counts the open rows. A row must be in sweep's index as long as it
// is not final, and then with a time; and no row may go back: sweep would make
// that good in the end, so it only shows on the way.
func (s *simulation) checkRows() int {
	open := 0
	s.pipeline.Tables.Rows(s.pipeline.Table, func(row dynamodb.Row) {
		if rank, err := strconv.Atoi(row.Text("rank")); err == nil {
			id := maphash.String(s.seed, row.Text(results.PartitionKey)+"\x00"+row.Text(results.SortKey))
			if was, ok := s.ranks[id]; ok && rank < int(was) {
				s.back[fmt.Sprintf("%s %s: back from rank %d to %d", row.Text(results.PartitionKey), row.Text(results.SortKey), was, rank)] = true
			}
			s.ranks[id] = int8(rank)
		}
		isOpen, timed := row.Text(results.OpenIndexHashKey) != "", row.Text(results.OpenIndexSortKey) != ""
		state := row.Text("state")
		over := state != media.Queued.String() && state != media.Processing.String()
		if isOpen {
			open++
		}
		if isOpen == over || timed != isOpen {
			s.opened[fmt.Sprintf("%s %s: state %q, open %t, with a time %t", row.Text(results.PartitionKey), row.Text(results.SortKey), state, isOpen, timed)] = true
		}
	})
	return open
}

// collect reads what came out.
func (s *simulation) collect(ctx context.Context) error {
	s.rows, s.states = map[rowID]string{}, map[string]int{}
	db := s.pipeline.DynamoDB()
	for row, err := range results.New(db, s.pipeline.Table, results.Options{}).ByState(ctx, db, "") {
		if err != nil {
			return err
		}
		s.states[row.State]++
		id, text := rowID{row.Upload, row.Job, row.Attempt}, normal(row)
		if other, ok := s.rows[id]; ok {
			text += "\n" + other // a second row for the same job differs from any one
		}
		if s.expected[id] == text {
			text = s.expected[id] // one text takes less room than two
		}
		s.rows[id] = text
	}
	made := map[rowID]int{}
	for _, j := range s.pipeline.Ittybit.Jobs() {
		s.jobs++
		ref, err := media.RefFromMetadata(j.Metadata)
		if err != nil {
			return fmt.Errorf("job %s: %w", j.ID, err)
		}
		if made[rowID{ref.Upload, ref.Job, ref.Attempt}]++; made[rowID{ref.Upload, ref.Job, ref.Attempt}] > 1 {
			s.doubled = append(s.doubled, fmt.Sprintf("%q %s: %s", ref.Key, ref.Job, j.ID))
		}
	}
	s.deadLetters = len(s.pipeline.DeadLetter.Messages())
	return nil
}

// normal is a row without what is different in every run: job ids, also in
// URLs, and times. Whether there is a time remains.
func normal(row results.Row) string {
	if id := row.JobID(); id != "" {
		row.SortKey = strings.ReplaceAll(row.SortKey, id, "ID")
		row.OutputURL = strings.ReplaceAll(row.OutputURL, id, "ID")
		row.Outputs = slices.Clone(row.Outputs)
		for i := range row.Outputs {
			row.Outputs[i].URL = strings.ReplaceAll(row.Outputs[i].URL, id, "ID")
		}
	}
	for _, at := range []*results.Millis{&row.UploadedAt, &row.DispatchedAt, &row.CreatedAt, &row.CompletedAt, &row.UpdatedAt, &row.CheckAt} {
		*at = min(*at, 1)
	}
	row.Sequencer = row.Sequencer[:min(len(row.Sequencer), 1)]
	text, _ := json.Marshal(row) // strings and numbers always encode
	return string(text)
}

// compare finds what is not as in the reference.
func compare(s simulation) Report {
	r := Report{
		Jobs: s.jobs, Rows: s.states, Doubled: len(s.doubled), Open: len(s.opened), DeadLetters: s.deadLetters,
		SimulatedHours: s.took.Hours(), FunctionMemoryEarly: s.early, FunctionMemory: s.late,
	}
	r.show("doubled", s.doubled)
	r.show("open", slices.Collect(maps.Keys(s.opened)))
	r.Unfinished = len(s.unfinished)
	r.show("unfinished", s.unfinished)
	lost := map[string]bool{}
	var missing, wrong []string
	for id, want := range s.expected {
		switch got, ok := s.rows[id]; {
		case !ok:
			lost[id.upload] = true
			missing = append(missing, "no row like "+want)
		case got != want:
			wrong = append(wrong, got+"\n  instead of\n"+want)
		}
	}
	for id, got := range s.rows {
		if _, ok := s.expected[id]; !ok {
			wrong = append(wrong, "not in the reference: "+got)
		}
	}
	wrong = slices.AppendSeq(wrong, maps.Keys(s.back))
	r.Lost, r.Wrong = len(lost), len(wrong)
	r.show("lost", missing)
	r.show("wrong", wrong)
	return r
}

// count adds what the injector knows.
func (r *Report) count(i *injector) {
	injected := i.counts()
	r.Faults = map[Kind]int{}
	for _, k := range Kinds() {
		r.Faults[k] = injected[k]
	}
	r.Forged, r.SweepScans = i.accepted, i.scanned
}

func (r *Report) show(what string, mistakes []string) {
	slices.Sort(mistakes)
	for _, m := range mistakes[:min(len(mistakes), maxShown)] {
		r.Mistakes = append(r.Mistakes, what+": "+m)
	}
}

// missing are the kinds of faults that never happened.
func (r Report) missing() []Kind {
	var none []Kind
	for _, k := range slices.Sorted(maps.Keys(r.Faults)) {
		if r.Faults[k] == 0 {
			none = append(none, k)
		}
	}
	return none
}

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
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/pipeline"
)

// rowID is what a row is for. That of a rejected upload has no job.
type rowID struct {
	upload, job string // see [media.Upload.ID]
	attempt     int
}

// maxShown is how many examples of a mistake a report gives.
const maxShown = 10

// watch looks at the rows time and again: sweep makes good in the end what is
// wrong on the way.
type watch struct {
	seed   maphash.Seed
	ranks  map[uint64]int8 // of the rows, by a hash of their keys: there are many
	opened map[string]bool // rows in or out of sweep's index that should not be
	back   map[string]bool // rows whose rank fell
}

func newWatch() *watch {
	return &watch{maphash.MakeSeed(), map[uint64]int8{}, map[string]bool{}, map[string]bool{}}
}

// look counts the open rows. A row must be in sweep's index as long as it is not
// final, and then with a time; and no row may go back.
func (w *watch) look(p *pipeline.Pipeline) (open int) {
	p.Tables.Rows(p.Table, func(row dynamodb.Row) {
		name := row.Text(results.PartitionKey) + " " + row.Text(results.SortKey)
		if rank, err := strconv.Atoi(row.Text("rank")); err == nil {
			id := maphash.String(w.seed, name)
			if was, ok := w.ranks[id]; ok && rank < int(was) {
				w.back[fmt.Sprintf("%s: back from rank %d to %d", name, was, rank)] = true
			}
			w.ranks[id] = int8(rank)
		}
		isOpen, timed := row.Text(results.OpenIndexHashKey) != "", row.Text(results.OpenIndexSortKey) != ""
		state := row.Text("state")
		over := state != media.Queued.String() && state != media.Processing.String()
		if isOpen {
			open++
		}
		if isOpen == over || timed != isOpen {
			w.opened[fmt.Sprintf("%s: state %q, open %t, with a time %t", name, state, isOpen, timed)] = true
		}
	})
	return open
}

// findings are what came out of a simulation.
type findings struct {
	took         time.Duration // simulated
	rows         map[rowID]string
	states       map[string]int
	jobs         int
	doubled      []string
	opened, back map[string]bool // see [watch]
	unfinished   []string
	deadLetters  int
	base         int64 // bytes, before the first upload
	early, late  int64 // bytes of the largest process of a function, after a third of the uploads and in the end
}

// collect reads what the pipeline has. expected is of the reference.
func (f *findings) collect(ctx context.Context, p *pipeline.Pipeline, expected map[rowID]string) error {
	f.rows, f.states = map[rowID]string{}, map[string]int{}
	db := p.DynamoDB()
	for row, err := range results.New(db, p.Table, results.Options{}).RowsByState(ctx, db, "") {
		if err != nil {
			return err
		}
		f.states[row.State]++
		id, text := rowID{row.Upload, row.Job, row.Attempt}, normal(row)
		if other, ok := f.rows[id]; ok {
			text += "\n" + other // a second row for the same job differs from any one
		}
		if expected[id] == text {
			text = expected[id] // one text takes less room than two
		}
		f.rows[id] = text
	}
	made := map[rowID]bool{}
	for _, j := range p.Ittybit.Jobs() {
		f.jobs++
		ref, err := media.RefFromMetadata(j.Metadata)
		if err != nil {
			return fmt.Errorf("job %s: %w", j.ID, err)
		}
		id := rowID{ref.Upload, ref.Job, ref.Attempt}
		if made[id] {
			f.doubled = append(f.doubled, fmt.Sprintf("%q %s: %s", ref.Key, ref.Job, j.ID))
		}
		made[id] = true
	}
	f.deadLetters = len(p.DeadLetter.Messages())
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
func compare(expected map[rowID]string, f findings) Report {
	r := Report{
		Jobs: f.jobs, Rows: f.states, Doubled: len(f.doubled), Open: len(f.opened), DeadLetters: f.deadLetters,
		SimulatedHours: f.took.Hours(), FunctionMemoryEarly: f.early, FunctionMemory: f.late,
	}
	r.show("doubled", f.doubled)
	r.show("open", slices.Collect(maps.Keys(f.opened)))
	r.Unfinished = len(f.unfinished)
	r.show("unfinished", f.unfinished)
	lost := map[string]bool{}
	var missing, wrong []string
	for id, want := range expected {
		switch got, ok := f.rows[id]; {
		case !ok:
			lost[id.upload] = true
			missing = append(missing, "no row like "+want)
		case got != want:
			wrong = append(wrong, got+"\n  instead of\n"+want)
		}
	}
	for id, got := range f.rows {
		if _, ok := expected[id]; !ok {
			wrong = append(wrong, "not in the reference: "+got)
		}
	}
	wrong = slices.AppendSeq(wrong, maps.Keys(f.back))
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

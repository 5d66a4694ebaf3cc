package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// refusalsApart is how far apart the two equal refusals are that end a job: the
// first one may come of an object that is not readable yet.
const refusalsApart = time.Minute

// jobs makes the missing jobs, all at once, notes what became of them in the
// ledger, and writes the rows of those that the ledger then names. It returns
// their ids by name. What fails does not keep the others from being made and
// noted; it is tried again when the upload comes again.
func (t task) jobs(ctx context.Context, p plan, s start) (map[string]string, error) {
	adopted, err := t.adopt(ctx, p.missing)
	if err != nil {
		return nil, fmt.Errorf("asking Ittybit for jobs that an earlier try may have made: %w", err)
	}
	outcomes := map[results.Slot]outcome{}
	for _, name := range p.unknown {
		outcomes[t.slot(name)] = outcome{rejected: &results.Rejection{
			Why: rejectNoSuchJob, Reason: fmt.Sprintf("the route of the upload has no job %q", name),
		}}
	}
	for name, result := range adopted {
		outcomes[t.slot(name)] = outcome{result: result, adopted: true}
	}
	wanted := slices.DeleteFunc(slices.Clone(p.missing), func(job media.Job) bool { return adopted[job.Name].JobID != "" })
	if !t.direct {
		if s.reserved, err = t.reserve(ctx, s.known, wanted); err != nil && !errors.Is(err, errDailyLimit) {
			return nil, err
		}
		s.full = err
	}
	if len(wanted) > 0 && s.full == nil {
		t.createAll(ctx, wanted, s, outcomes)
	} else if len(wanted) == 0 {
		s.full = nil
	}
	return t.settle(ctx, p, s, outcomes)
}

// adopt finds, for an upload that may have been tried before, the jobs by name
// that were made then and that the ledger does not name: the try was interrupted
// between Ittybit and the table.
func (t task) adopt(ctx context.Context, missing []media.Job) (map[string]media.Result, error) {
	found := map[string]media.Result{}
	if t.direct || len(missing) == 0 {
		return found, nil
	}
	ctx, cancel := before(ctx, reserveToWrite)
	defer cancel()
	for r, err := range t.ittybit.ByInput(ctx, t.req.Upload.URL(), t.req.Upload.Time) {
		if err != nil {
			return nil, err
		}
		for _, job := range missing {
			if t.ref(t.slot(job.Name)).Owns(r.Metadata) {
				found[job.Name] = r // the list goes back in time: the oldest one stays
			}
		}
	}
	return found, nil
}

// reserve makes room for those of the jobs that have none on this day: of a job
// that may have been made, the reservation stays.
func (t task) reserve(ctx context.Context, known results.Ledger, wanted []media.Job) (reservation, error) {
	n := 0
	for _, job := range wanted {
		if !t.isReserved(known, job) {
			n++
		}
	}
	return t.limit.reserve(ctx, t.now, n)
}

// isReserved reports whether an earlier try's reservation of this day stands.
func (t task) isReserved(known results.Ledger, job media.Job) bool {
	return known.Entries[t.slot(job.Name)].Reserved == dayOf(t.now).Format(time.DateOnly)
}

// createAll requests the jobs, all at once.
func (t task) createAll(ctx context.Context, wanted []media.Job, s start, outcomes map[results.Slot]outcome) {
	ctx, cancel := before(ctx, reserveToWrite)
	defer cancel()
	made := make([]outcome, len(wanted))
	var wg sync.WaitGroup
	for i, job := range wanted {
		wg.Go(func() { made[i] = t.create(ctx, job, s) })
	}
	wg.Wait()
	for i, job := range wanted {
		outcomes[t.slot(job.Name)] = made[i]
	}
}

// create makes a job at Ittybit.
func (t task) create(ctx context.Context, job media.Job, s start) outcome {
	ref := t.ref(t.slot(job.Name))
	token, err := s.keys.Sign(ref)
	if err != nil {
		return outcome{err: err}
	}
	body, idempotencyKey, err := media.JobRequest{
		Upload:     t.req.Upload,
		Ref:        ref,
		Job:        job,
		Outputs:    t.outputs,
		Connection: t.connection,
		Placement:  t.placement,
		WebhookURL: t.webhookURL,
		Token:      token,
	}.Body()
	if err != nil {
		return outcome{rejected: &results.Rejection{Why: rejectOutput, Reason: err.Error()}}
	}
	result, err := t.ittybit.Create(ctx, body, idempotencyKey)
	failure, answered := errors.AsType[*ittybit.Error](err)
	switch {
	case err == nil:
		return outcome{result: result}
	case !answered: // no request went out
		return outcome{err: err}
	case failure.Unknown:
		return outcome{unknown: true, err: err}
	case failure.Refusal():
		return t.refusal(failure, s.known.Entries[t.slot(job.Name)].Refused)
	}
	return outcome{err: err}
}

// refusal weighs a refusal against the one that an earlier try noted: the second
// equal one, a minute later and after a list without the job, is Ittybit's last
// word.
func (t task) refusal(failure *ittybit.Error, before *results.Refusal) outcome {
	isSame := before != nil && before.Status == failure.Status && before.Kind == failure.Kind
	switch {
	case isSame && !t.direct && t.now.Sub(before.At.Time()) >= refusalsApart:
		return outcome{rejected: &results.Rejection{Why: rejectRefused, Reason: failure.Error()}}
	case isSame:
		return outcome{err: failure}
	}
	return outcome{err: failure, refused: &results.Refusal{Status: failure.Status, Kind: failure.Kind, At: results.Millis(t.now.UnixMilli())}}
}

// settle writes the ledger, whose answer says which jobs there are, then their
// rows, and gives back the room that was not used.
func (t task) settle(ctx context.Context, p plan, s start, outcomes map[results.Slot]outcome) (map[string]string, error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	unused := s.reserved.jobs - t.used(s.known, outcomes)
	wg.Go(func() { t.giveBack(ctx, s.reserved, unused) })

	entries := map[results.Slot]results.Entry{}
	if s.known.WrittenAt.IsZero() { // what rows told is not in it yet
		maps.Copy(entries, s.known.Entries)
	}
	errs := []error{s.full}
	for slot, o := range outcomes {
		entries[slot] = o.entry(t.today())
	}
	for _, job := range p.missing { // in the route's order: equal failures read the same
		if err := outcomes[t.slot(job.Name)].err; err != nil {
			errs = append(errs, fmt.Errorf("job %q: %w", job.Name, err))
		}
	}
	l, err := t.store.UpdateLedger(ctx, t.now, t.req.Upload.Key, t.id, entries)
	if err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	w, err := t.rows(ctx, s, l, outcomes)
	if w.created > 0 {
		t.metrics.Add(telemetry.JobsCreated, float64(w.created), "")
	}
	err = errors.Join(append(errs, err)...)
	if err == nil && len(w.ids) > 0 {
		t.metrics.Add(telemetry.UploadsDispatched, 1, "")
	}
	return w.ids, err
}

// used is how many of this try's reservations its jobs have taken.
func (t task) used(known results.Ledger, outcomes map[results.Slot]outcome) int {
	n := 0
	for slot, o := range outcomes {
		if o.used() && !o.adopted && (t.direct || known.Entries[slot].Reserved != t.today()) {
			n++
		}
	}
	return n
}

func (t task) today() string { return dayOf(t.now).Format(time.DateOnly) }

// written is what [task.rows] did.
type written struct {
	ids     map[string]string // of this try's jobs, by name
	created int               // rows of jobs that had none
}

// rows writes the rows of the jobs and rejections that the ledger names, all at
// once. A try that is not the first also writes those that an interrupted one
// left out.
func (t task) rows(ctx context.Context, s start, l results.Ledger, outcomes map[results.Slot]outcome) (written, error) {
	var wg sync.WaitGroup
	slots := l.Slots()
	errs := make([]error, len(slots)+len(s.unnoted))
	created := make([]bool, len(slots))
	ids := map[string]string{}
	for i, slot := range slots {
		entry, o := l.Entries[slot], outcomes[slot]
		_, isOurs := outcomes[slot]
		if isOurs && entry.ID != "" {
			ids[slot.Job] = entry.ID
		}
		if isOurs || t.isRecent(s.known) {
			wg.Go(func() { created[i], errs[i] = t.row(ctx, slot, entry, o) })
		}
	}
	others := errs[len(slots):]
	for slot, id := range s.unnoted {
		err := &others[0]
		others = others[1:]
		wg.Go(func() { _, *err = t.insert(ctx, slot, media.Result{JobID: id}) })
	}
	wg.Wait()
	w := written{ids: ids}
	for _, isNew := range created {
		if isNew {
			w.created++
		}
	}
	return w, errors.Join(errs...)
}

// isRecent reports whether this try writes the rows of all that an earlier one
// noted in the ledger.
func (t task) isRecent(known results.Ledger) bool {
	return !t.direct && !known.WrittenAt.IsZero() && t.now.Sub(known.WrittenAt) < rowsFor
}

// row writes the row of one slot, and reports whether it is that of a job which
// had none: of all tries, one finds so. An id counts for more than a rejection.
func (t task) row(ctx context.Context, slot results.Slot, entry results.Entry, o outcome) (created bool, err error) {
	if entry.ID == "" && entry.Rejected != nil {
		return false, t.rejectionRow(ctx, slot, *entry.Rejected)
	}
	if entry.ID == "" {
		return false, nil
	}
	result := o.result
	if result.JobID != entry.ID {
		result = media.Result{JobID: entry.ID}
	}
	isNew, err := t.insert(ctx, slot, result)
	if err != nil {
		return false, fmt.Errorf("job %q: %w", slot.Job, err)
	}
	if o.result.JobID != "" {
		t.log.InfoContext(ctx, "job dispatched", "upload", t.id, "job", slot.Job, "id", entry.ID, "attempt", slot.Attempt, "adopted", o.adopted, "new", isNew)
	}
	return isNew, nil
}

// insert writes the row of a job, and returns whether no try noted it before.
func (t task) insert(ctx context.Context, slot results.Slot, r media.Result) (created bool, err error) {
	return t.store.InsertQueued(ctx, results.Dispatched{
		At:      t.now,
		CheckAt: t.now.Add(t.overdue),
		Upload:  t.req.Upload,
		Ref:     t.ref(slot),
		Result:  r,
	})
}

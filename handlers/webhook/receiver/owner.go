package receiver

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

// The ledger is read this often, with that pause between two reads, before a
// callback is answered "not yet": dispatch writes it a moment after Ittybit has
// answered. The reads and the row fit into the deadline.
const (
	ledgerReads = 3
	ledgerPause = time.Second
)

// errEarly: neither a row nor the ledger names the job yet.
var errEarly = errors.New("neither a row nor the ledger of the upload names the job yet: dispatch is about to write it")

// record stores a report, and returns the text of the answer. Dispatch's row
// takes it; where there is none, the upload's ledger decides whose job it is.
func (h *Handler) record(ctx context.Context, log *slog.Logger, c ittybit.Callback, report results.Report) (string, error) {
	report.Mode = results.UpdateOnly
	// An event about a task may be about a part of the job, and is not taken
	// for the job before the ledger says so.
	task := strings.HasPrefix(c.Event, "task.")
	if !task {
		if text, found, err := h.store(ctx, log, report); found || err != nil {
			return text, err
		}
	}
	for n := range ledgerReads {
		if n > 0 {
			if err := pause(ctx, ledgerPause); err != nil {
				return "", err
			}
		}
		ledger, err := h.results.Table.Ledger(ctx, report.Ref.Key, report.Ref.Upload)
		if err != nil {
			return "", err
		}
		// Rows of before there were ledgers.
		if task && ledger.WrittenAt.IsZero() {
			if text, found, err := h.store(ctx, log, report); found || err != nil {
				return text, err
			}
		}
		switch owner, err := h.owner(ctx, ledger, c.Event, report); {
		case err != nil:
			return "", err
		case owner == itsJob:
			report.Mode = results.CreateOrUpdate
			text, _, err := h.store(ctx, log, report)
			return text, err
		case owner == anotherJob:
			log.InfoContext(ctx, "callback ignored", "reason", "the upload's ledger has another id for this job, or rejected it")
			return "ignored", nil
		}
	}
	return "", errEarly
}

// owner is whose an id is, as far as the ledger tells.
type owner int

const (
	nobodyYet  owner = iota // the ledger names no id
	itsJob                  // the id is that of the report's job
	anotherJob              // the job has another id, or was rejected
)

// owner finds out whose the report's id is. An event of a job that carries all
// of our metadata is the job's own word: unless another id was first, the
// ledger has its id afterwards.
func (h *Handler) owner(ctx context.Context, ledger results.Ledger, event string, report results.Report) (owner, error) {
	ref, id := report.Ref, report.Result.JobID
	slot := results.Slot{Job: ref.Job, Attempt: ref.Attempt}
	if known := ledger.Entries[slot].ID; known != "" {
		return ownerOf(known, id), nil
	}
	if strings.HasPrefix(event, "job.") && ref.Owns(report.Result.Metadata) {
		ledger, err := h.results.Table.ClaimID(ctx, report.At, ref.Key, ref.Upload, slot, id)
		return ownerOf(ledger.Entries[slot].ID, id), err
	}
	if ledger.Has(ref.Job, ref.Attempt) { // without an id: it was rejected
		return anotherJob, nil
	}
	return nobodyYet, nil
}

func ownerOf(known, id string) owner {
	if known == id {
		return itsJob
	}
	return anotherJob
}

// store writes a report and returns the text of the answer; found is false when
// there is no row to take it.
func (h *Handler) store(ctx context.Context, log *slog.Logger, report results.Report) (text string, found bool, err error) {
	verdict, err := h.results.Record(ctx, log, report)
	switch {
	case err != nil:
		return "", false, err
	case verdict == results.Mismatch:
		return "", false, unauthorized(errors.New("the job belongs to another upload than the callback says"))
	case verdict == results.Missing:
		return "", false, nil
	case verdict == results.Duplicate:
		return "duplicate", true, nil
	}
	return "ok", true, nil
}

// reportOf finds out whose job a result is about: the one that the token
// claims, or, without tokens, the one that the signed metadata name.
func reportOf(now time.Time, r media.Result, claim *media.JobRef) (results.Report, error) {
	report := results.Report{At: now, Result: r}
	if claim == nil {
		ref, err := media.RefFromMetadata(r.Metadata)
		if err != nil {
			return report, unauthorized(err)
		}
		report.Ref = ref
		return report, nil
	}
	if claim.Contradicts(r.Metadata) {
		return report, unauthorized(errors.New("the token is for another job than the callback's metadata name"))
	}
	report.Ref = *claim
	return report, nil
}

// pause waits, or returns the context's error when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Package chaos runs the pipeline through everything that can go wrong
// between its parts, for days of simulated time, and compares what comes out
// with a run in which nothing goes wrong.
//
// A fault is a pure function of the seed, the upload, the operation and its
// ordinal, so a seed can be run again. What it leaves open is what the machine
// decides: which of two calls of different operations comes first, which
// ordinal a call gets that two processes make at once, what else a process was
// doing when it was killed, and how many operations a retry takes. So two runs
// of a seed have the same faults where the same operations happen, and the
// counts in their reports differ by a few.
package chaos

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults.
const (
	EventDoubled    Kind = "event doubled"
	EventLate       Kind = "event late" // hence behind those of later uploads
	Limited         Kind = "Ittybit: 429 with Retry-After"
	ServerError     Kind = "Ittybit: 500"
	Reset           Kind = "Ittybit: connection reset"
	AnswerLost      Kind = "Ittybit: connection reset after the job was made"
	TimedOut        Kind = "Ittybit: no answer in time after the job was made"
	MadeAndFailed   Kind = "Ittybit: 500 after the job was made"
	KeyTaken        Kind = "Ittybit: 409 or 400 to an idempotency key in use"
	OddStatus       Kind = "Ittybit: 401, 402 or 403 for one job"
	Outage          Kind = "Ittybit: outage" // counted by request and callback
	KeyRotated      Kind = "API key rotated"
	CallbackRotated Kind = "callback key rotated"
	KilledBefore    Kind = "killed before a side effect"
	KilledAfter     Kind = "killed after a side effect"
	WebhookKilled   Kind = "webhook killed"
	SweepKilled     Kind = "sweep killed"
	Throttled       Kind = "DynamoDB throttled"
	StaleRead       Kind = "DynamoDB: stale read"
	WriteUnanswered Kind = "DynamoDB's answer to a write lost"
	SecretThrottled Kind = "secret read throttled"
	CallbackLost    Kind = "callback lost"
	CallbackDoubled Kind = "callback doubled"
	CallbackLate    Kind = "callback late"
	CallbackOrder   Kind = "callbacks out of order"
	ForgedKey       Kind = "forged: signed with another key"
	ForgedUnsigned  Kind = "forged: alg none"
	ForgedToken     Kind = "forged: another job's token"
	ForgedMetadata  Kind = "forged: tampered metadata"
	ForgedBare      Kind = "forged: no token"
)

// operation is what a fault happens to.
type operation string

const (
	opEvent     operation = "event"
	opCreate    operation = "create"
	opSlow      operation = "slow create"
	opList      operation = "list"
	opGet       operation = "get"
	opRead      operation = "table read"
	opStale     operation = "read that may be stale"
	opWrite     operation = "table write"
	opSecret    operation = "secret read"
	opWebhook   operation = "webhook's write"
	opSweep     operation = "sweep's write"
	opSweepRead operation = "sweep's read"
	opProgress  operation = "callback of progress"
	opEnd       operation = "callback of the end"
	opForge     operation = "forgery"
)

// chance is how often a fault happens to an operation.
type chance struct {
	kind Kind
	rate float64
}

// chances are low where a fault costs real time: the handlers' own pauses are
// by the wall clock.
var chances = map[operation][]chance{
	opEvent:     {{EventDoubled, .06}, {EventLate, .06}},
	opCreate:    {{Limited, .012}, {ServerError, .01}, {Reset, .01}, {AnswerLost, .015}, {MadeAndFailed, .01}, {KeyTaken, .01}, {KilledBefore, .008}, {KilledAfter, .012}},
	opList:      {{Limited, .01}, {ServerError, .01}, {Reset, .01}, {KilledBefore, .01}},
	opGet:       {{Limited, .01}, {ServerError, .01}, {Reset, .01}, {OddStatus, .06}, {SweepKilled, .02}},
	opRead:      {{Throttled, .004}, {KilledBefore, .005}},
	opStale:     {{StaleRead, .1}},
	opWrite:     {{Throttled, .006}, {WriteUnanswered, .008}, {KilledBefore, .008}, {KilledAfter, .01}},
	opSecret:    {{SecretThrottled, .12}},
	opWebhook:   {{Throttled, .006}, {WriteUnanswered, .008}, {WebhookKilled, .01}},
	opSweep:     {{Throttled, .01}, {WriteUnanswered, .01}, {SweepKilled, .02}},
	opSweepRead: {{Throttled, .05}},
	opProgress:  {{CallbackOrder, .15}},
	opEnd:       {{CallbackLost, .035}, {CallbackDoubled, .05}, {CallbackLate, .025}},
	opForge:     {{ForgedKey, .015}, {ForgedUnsigned, .015}, {ForgedToken, .015}, {ForgedMetadata, .015}, {ForgedBare, .015}},
}

// singular are the kinds that happen by the course of the run.
var singular = []Kind{TimedOut, Outage, KeyRotated, CallbackRotated}

// Kinds are all kinds of faults.
func Kinds() []Kind {
	kinds := slices.Clone(singular)
	for _, all := range chances {
		for _, c := range all {
			kinds = append(kinds, c.kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// mostOften is as often as a fault may happen: tries again must come through.
const mostOften = .3

// plan says what goes wrong.
type plan struct {
	seed      uint64
	frequency float64 // 1: that of the chances
}

// fault is what happens to the operation of that ordinal, counted from 1; "" is
// nothing. detail tells operations of one kind apart, as those of an upload's
// jobs.
func (p plan) fault(upload string, op operation, detail string, ordinal int) Kind {
	at := p.draw(upload, string(op)+"/"+detail, ordinal)
	for _, c := range chances[op] {
		if at -= min(c.rate*p.frequency, mostOften); at < 0 {
			return c.kind
		}
	}
	return ""
}

// between is a time from least to most that belongs to a fault.
func (p plan) between(least, most time.Duration, upload, what string) time.Duration {
	return least + time.Duration(p.draw(upload, what, 0)*float64(most-least))
}

// draw is a number from 0 to less than 1.
func (p plan) draw(upload, what string, ordinal int) float64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%s\x00%d", p.seed, upload, what, ordinal))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

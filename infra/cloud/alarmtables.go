package cloud

import (
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/telemetry"
)

// The alarms of each part, in the order in which the dashboard shows them.
// Where a single event is a lost upload, the threshold is 0 in every stack.

// What several alarms say.
const (
	resent   = "Ittybit sends the callbacks again, and sweep fetches the results that still do not arrive."
	raiseIt  = "raise the limit that is too low"
	byItself = "the uploads are then processed automatically"
)

func (s scope) byReason() string { return "the dead letters by reason: " + s.script("redrive") }

func (s scope) account() string {
	return "check the API key, Ittybit and the bucket: " + s.script("preflight")
}

func (s scope) concurrency() string {
	return "the function's concurrency against reservedConcurrency, or against the account's quota if nothing is reserved: " + s.script("preflight")
}

func (s scope) fetchOverdue() string { return "fetch overdue results: " + s.script("jobs", "-settle") }

func (s scope) runSweep() string { return "run sweep now: " + s.script("jobs", "-settle") }

func (s scope) refresh() string { return "pulumi up --refresh --stack " + s.ctx.Stack() }

func queueAlarms(s scope, q queues) []alarm {
	dead := []metric{queueMetric("ApproximateNumberOfMessagesVisible", q.dead)}
	return []alarm{
		{
			name: "dead-letters", kind: lasting, window: level, metrics: dead,
			meaning: "Uploads failed for three days and are in the dead-letter queue. They are not retried, and are deleted 14 days after their first failure.",
			check:   s.byReason(),
			fix:     "once the cause is fixed, send them back to dispatch: " + s.script("redrive", "-send"),
		},
		{
			// Not their age, which messages distort that were received so often. They
			// are deleted 14 days after the first send and come here within three, so
			// four days are left ("Capturing problematic messages", "Setting up
			// dead-letter queue retention", Amazon SQS Developer Guide).
			name: "dead-letters-old", kind: lasting, window: aWeek, metrics: dead,
			meaning: "The dead-letter queue has not been empty for a week. The oldest messages are deleted within days, and their uploads are then lost.",
			check:   s.byReason(),
			fix:     "send them back to dispatch now; what fails again is retried for another three days: " + s.script("redrive", "-send"),
		},
		{
			name: "retry-queue", kind: lasting, window: anHour,
			// All three: a message is out of sight for most of the time between two
			// tries.
			metrics: []metric{
				queueMetric("ApproximateNumberOfMessagesVisible", q.retry),
				queueMetric("ApproximateNumberOfMessagesNotVisible", q.retry),
				queueMetric("ApproximateNumberOfMessagesDelayed", q.retry),
			},
			meaning: "Uploads have been in the retry queue for an hour. They retry every 15 minutes for three days, so an outage resolves itself.",
			check:   `"upload not dispatched" in dispatch's log gives the reason: no API key, Ittybit unavailable, the daily limit. After dispatch-errors or daily-limit, this alarm says that it continues`,
			fix:     s.account(),
		},
	}
}

func deliveryAlarms(s scope, dispatch function, rule *cloudwatch.EventRule) []alarm {
	restore := "restore them with " + s.refresh()
	backfill := restore + " and send the missed uploads to dispatch: " + s.script("backfill")
	return []alarm{
		{
			name: "destination", kind: happened, window: atOnce,
			metrics: []metric{functionMetric("DestinationDeliveryFailures", sum, dispatch)},
			meaning: "Lambda could not put a failed upload into the retry queue. No job was created for it, and it is not retried.",
			check:   "whether dispatch's role or the retry queue was changed",
			fix:     backfill,
		},
		// Not AsyncEventsDropped: without retries of Lambda's own, that is every
		// event that failed and went to the retry queue.
		{
			name: "waiting", kind: lasting, window: level, threshold: float64((15 * time.Minute).Milliseconds()),
			metrics: []metric{functionMetric("AsyncEventAge", maximum, dispatch)},
			meaning: "Lambda has no concurrency left for dispatch: uploads wait for 15 minutes or longer. After 6 hours they move to the retry queue; none is lost.",
			check:   s.concurrency(),
			fix:     raiseIt + "; " + byItself,
		},
		{
			name: "undeliverable", kind: happened, window: atOnce,
			metrics: []metric{ruleMetric("InvocationsFailedToBeSentToDlq", rule)},
			meaning: "EventBridge could neither invoke dispatch nor put the event into the retry queue. No job was created for the upload, and it is not retried.",
			check:   "whether dispatch's permission or the retry queue's policy was changed",
			fix:     backfill,
		},
		{
			name: "rule", kind: happened, window: atOnce,
			// Both: what goes to the queue need not count as failed.
			metrics: []metric{ruleMetric("FailedInvocations", rule), ruleMetric("InvocationsSentToDlq", rule)},
			meaning: "EventBridge could not invoke dispatch. The events are in the retry queue, and dispatch gets them from there.",
			check:   "whether dispatch's permission or the rule's target was changed",
			fix:     restore + " and test one upload end to end: " + s.script("smoke"),
		},
	}
}

func callbackAlarms(s scope, a api) []alarm {
	return []alarm{
		{
			name: "api-errors", kind: happened, window: atOnce, threshold: s.tolerated(ofRequests, 0),
			// A callback that is earlier than dispatch's ledger is answered 500
			// to come again, which is no error.
			metrics:    []metric{apiMetric("5xx", a), s.ownMetric(telemetry.CallbacksEarly, sum, "")},
			expression: "m0 - FILL(m1, 0)",
			meaning:    "Callbacks were answered with 5xx. " + resent,
			check:      `"callback not stored" in webhook's log, if it cannot reach the table; webhook-errors or webhook-throttles follow if it fails or does not start`,
			fix:        s.fetchOverdue(),
		},
		{
			name: "callbacks-refused", kind: lasting, window: again, threshold: s.tolerated(ofRequests, 5),
			metrics: []metric{s.ownMetric(telemetry.CallbacksRefused, sum, "")},
			meaning: "Callbacks were rejected in three consecutive 5-minute periods: real ones with a key from before the last two rotations, or forged ones, which have no effect.",
			check:   `"callback refused" in webhook's log gives the reason, the API's access log the address`,
			fix:     "fetch the results of real ones: " + s.script("jobs", "-settle"),
		},
	}
}

func jobAlarms(s scope) []alarm {
	failed := media.Failed.String()
	return []alarm{
		{
			name: "rejected", kind: happened, window: atOnce, threshold: s.tolerated(ofJobs, 0),
			metrics: []metric{s.ownMetric(telemetry.Rejected, sum, "")},
			meaning: "Uploads or jobs were rejected for good: too large, unreadable, not accepted by Ittybit, or with an invalid output.",
			check:   "the reason of each: " + s.script("jobs", "-state", media.Rejected),
			fix:     "once the routes or Ittybit accept them, rerun them: " + s.script("jobs", "-retry", "-state", media.Rejected),
		},
		{
			name: "failed-jobs", kind: happened, window: atOnce, threshold: s.tolerated(ofJobs, 0),
			metrics: []metric{s.ownMetric(telemetry.Results, sum, failed)},
			meaning: "More jobs than usual failed at Ittybit, or timed out because Ittybit did not finish them.",
			check:   "the error of each: " + s.script("jobs", "-state", failed),
			fix:     "once the cause is fixed, rerun them: " + s.script("jobs", "-retry", "-state", failed),
		},
		{
			name: "daily-limit", kind: happened, window: atOnce,
			metrics: []metric{s.ownMetric(telemetry.DailyLimitReached, sum, "")},
			meaning: "The daily job limit is reached. Uploads wait in the retry queue until midnight UTC, for three days at most; dispatch-errors and retry-queue may follow.",
			check:   "whether it is a busy day or a loop: the bucket's newest objects, and the unfinished jobs: " + s.script("jobs", "-state", "open"),
			fix:     "on a busy day, raise dailyJobLimit; " + byItself + ". After three days they are in the dead-letter queue: " + s.script("redrive", "-send"),
		},
	}
}

func sweepAlarms(s scope, sweep function) []alarm {
	interval := s.Config.SweepInterval
	// Most of three runs in a row; of a sweep that does not run three times a day,
	// every one.
	failing := window{interval, 2, 3}
	if interval > 8*time.Hour {
		failing = window{interval, 1, 1}
	}
	return []alarm{
		{
			name: "sweep-errors", kind: lasting, window: failing,
			metrics: []metric{functionMetric("Errors", sum, sweep)},
			meaning: "Sweep keeps failing. Jobs whose callback was lost stay unfinished until it succeeds.",
			check:   `"sweep ended with errors" in sweep's log; the API key and Ittybit: ` + s.script("preflight"),
			fix:     s.runSweep(),
		},
		{
			name: "sweep-stopped", kind: stopped, window: window{max(interval, five), 3, 3}, threshold: 1,
			metrics: []metric{functionMetric("Invocations", sum, sweep)},
			meaning: "Sweep no longer runs: jobs whose callback was lost stay unfinished. In a new stack, it has not run yet.",
			check:   "whether its schedule or permission was changed, or Lambda has no concurrency left for it",
			fix:     "restore schedule and permission with " + s.refresh() + " and " + s.runSweep(),
		},
		{
			name: "sweep-behind", kind: happened, window: atOnce,
			metrics: []metric{s.ownMetric(telemetry.SweepBehind, sum, "")},
			meaning: "Sweep did not get through the overdue jobs; the next run continues. Callbacks do not arrive, sweepInterval is too long, or Ittybit rejected the API key.",
			check:   "api-errors and callbacks-refused, if callbacks do not arrive; the unfinished jobs: " + s.script("jobs", "-state", "open"),
			fix:     s.runSweep(),
		},
	}
}

// eventAlarms returns none for a stack without result events.
func eventAlarms(s scope, e *events) []alarm {
	if e == nil {
		return nil
	}
	return []alarm{
		{
			name: "dead-events", kind: lasting, window: level,
			metrics: []metric{queueMetric("ApproximateNumberOfMessagesVisible", e.dead)},
			meaning: "Result events could not be sent and are not retried. The results themselves are in the table.",
			check:   "the pipe's log for the reason, the result-event DLQ for the times",
			fix:     "read the results from the table, for example: " + s.script("jobs", "-state", media.Succeeded.String()),
		},
		{
			name: "pipe", kind: lasting, window: again,
			metrics: []metric{pipeMetric("ExecutionFailed", e.pipe)},
			meaning: "The pipe failed to send result events in three consecutive 5-minute periods. It retries each for an hour at most; then it goes to the result-event DLQ.",
			check:   "the pipe's log, and whether its role or the bus was changed",
			fix:     "restore the role with " + s.refresh() + " and finish a job to see its event: " + s.script("smoke"),
		},
	}
}

func functionAlarms(s scope, dispatch, webhook function) []alarm {
	noise := s.tolerated(ofRequests, 0)
	return []alarm{
		{
			name: "dispatch-errors", kind: lasting, window: again, threshold: noise,
			metrics: []metric{functionMetric("Errors", sum, dispatch)},
			meaning: "Dispatch failed in three consecutive 5-minute periods. The uploads are in the retry queue and retry every 15 minutes for three days.",
			check:   "the errors in dispatch's log; it also fails at the daily limit, which daily-limit reports",
			fix:     s.account(),
		},
		{
			name: "dispatch-throttles", kind: lasting, window: again, threshold: noise,
			metrics: []metric{functionMetric("Throttles", sum, dispatch)},
			meaning: "Lambda has no concurrency left for dispatch. Uploads wait, in Lambda for 6 hours and then in the retry queue; none is lost.",
			check:   s.concurrency(),
			fix:     raiseIt + "; " + byItself,
		},
		{
			name: "webhook-errors", kind: lasting, window: again, threshold: noise,
			metrics: []metric{functionMetric("Errors", sum, webhook)},
			meaning: "Webhook crashed or timed out in three consecutive 5-minute periods. " + resent,
			check:   "the errors in webhook's log, and its last deployment",
			fix:     "once it works, " + s.fetchOverdue(),
		},
		{
			name: "webhook-throttles", kind: lasting, window: again, threshold: noise,
			metrics: []metric{functionMetric("Throttles", sum, webhook)},
			meaning: "Lambda has no concurrency left for webhook. " + resent,
			check:   s.concurrency(),
			fix:     raiseIt + ", then " + s.fetchOverdue(),
		},
	}
}

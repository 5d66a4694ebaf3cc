package chaos

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// injector makes the plan's faults happen to a pipeline.
type injector struct {
	plan plan
	slow map[string]bool // by key: what gets no answer in time
	// foreign is the key that forgeries are signed with.
	foreign func() string
	clock   *clock.Clock
	began   time.Time
	client  *http.Client

	// Set by attach, before the first upload.
	pipeline *pipeline.Pipeline
	signing  string // the first callback key

	mu       sync.Mutex
	keys     media.CallbackKeys
	ordinals map[uint64]int32 // by a hash of upload, operation and detail: there are many
	injected map[Kind]int
	accepted int    // forgeries
	scanned  int    // sweep's reads of anything but its index
	token    string // of the job that called back last
}

func newInjector(p plan, all []upload, c *clock.Clock) *injector {
	i := &injector{
		plan: p, slow: map[string]bool{}, foreign: sync.OnceValue(func() string { return rand.Text() + rand.Text() }),
		clock: c, began: c.Now(),
		client:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrency}},
		ordinals: map[uint64]int32{}, injected: map[Kind]int{},
	}
	for _, u := range all {
		if isSlow(u.number, len(all)) {
			i.slow[u.key] = true
		}
	}
	return i
}

// attach begins to misbehave.
func (i *injector) attach(p *pipeline.Pipeline) error {
	i.pipeline = p
	i.signing = p.CallbackKeys[0]
	if err := i.setKeys(p.CallbackKeys); err != nil {
		return err
	}
	p.AWS.Intercept(i.intercept)
	p.Tables.Stale(i.stale)
	p.Tables.LimitWrites(keyWrites, i.clock.Now)
	return nil
}

func (i *injector) setKeys(secrets []string) error {
	keys, err := media.NewCallbackKeys(secrets)
	if err != nil {
		return errors.New("the callback keys of the run are unusable")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
	return nil
}

func (i *injector) callbackKeys() media.CallbackKeys {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys
}

// keyWrites is what a partition key takes in a second.
const keyWrites = 1000

// stale is for [dynamodb.Database.Stale]. Scans are our own.
func (i *injector) stale(r dynamodb.Read) bool {
	kind := Kind("")
	if r.Operation != "Scan" {
		kind = i.next(r.Key, opStale, r.Operation+" "+r.Index)
	}
	if kind == "" {
		return false
	}
	i.count(kind)
	return true
}

// ordinal counts the operations, from 1.
func (i *injector) ordinal(upload string, op operation, detail string) int {
	sum := sha256.Sum256([]byte(upload + "\x00" + string(op) + "\x00" + detail))
	o := binary.BigEndian.Uint64(sum[:])
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ordinals[o]++
	return int(i.ordinals[o])
}

// next is the fault of the next operation. It is counted when it happens.
func (i *injector) next(upload string, op operation, detail string) Kind {
	return i.plan.fault(upload, op, detail, i.ordinal(upload, op, detail))
}

func (i *injector) count(k Kind) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.injected[k]++
}

func (i *injector) counts() map[Kind]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.injected)
}

// keyOf is the key in an input.
func keyOf(input string) string {
	_, rest, _ := strings.Cut(input, "://")
	_, key, _ := strings.Cut(rest, "/")
	return key
}

// events is for [pipeline.Options.Deliveries].
func (i *injector) events(u media.Upload) []time.Duration {
	if i.slow[u.Key] { // those are to wait together
		return []time.Duration{0}
	}
	kind := i.next(u.Key, opEvent, u.ETag)
	after := i.plan.between(time.Minute, 3*time.Hour, u.Key, "event")
	switch kind {
	case EventDoubled:
		i.count(kind)
		if after > time.Hour { // together, as often as not
			after = 0
		}
		return []time.Duration{0, after}
	case EventLate:
		i.count(kind)
		return []time.Duration{after}
	}
	return []time.Duration{0}
}

// out reports whether Ittybit is down, and counts it.
func (i *injector) out() bool {
	at := i.clock.Now().Sub(i.began)
	if at < outageBegin || at >= outageEnd {
		return false
	}
	i.count(Outage)
	return true
}

// fault is for [fakeittybit.Options.Fault].
func (i *injector) fault(r fakeittybit.Request) fakeittybit.Fault {
	if f, never := refusal(r); never {
		return f
	}
	if i.out() {
		return fakeittybit.Fault{Status: http.StatusServiceUnavailable, RetryAfter: "3600"}
	}
	key := keyOf(r.Input)
	op := map[fakeittybit.Op]operation{fakeittybit.Create: opCreate, fakeittybit.List: opList, fakeittybit.Get: opGet}[r.Op]
	if op == opCreate && i.slow[key] && r.Kind == slowKind && i.ordinal(key, opSlow, "") == 1 {
		i.count(TimedOut)
		return fakeittybit.Fault{Accept: true, Hang: true}
	}
	kind := i.next(key, op, r.Kind)
	var f fakeittybit.Fault
	switch kind {
	case Limited:
		f = fakeittybit.Fault{Status: http.StatusTooManyRequests, Kind: "rate_limited", RetryAfter: "1"}
	case ServerError:
		f = fakeittybit.Fault{Status: http.StatusInternalServerError}
	case Reset:
		f = fakeittybit.Fault{Cut: true}
	case AnswerLost:
		f = fakeittybit.Fault{Accept: true, Cut: true}
	case MadeAndFailed:
		f = fakeittybit.Fault{Accept: true, Status: http.StatusInternalServerError}
	case KeyTaken:
		f = fakeittybit.Fault{Accept: true, Kind: "idempotency_mismatch", Status: i.oneOf(key, "key taken "+r.Kind, http.StatusConflict, http.StatusBadRequest)}
	case OddStatus: // not 410, which ends a job a day after its dispatch
		f = fakeittybit.Fault{Status: i.oneOf(key, "status of "+r.JobID, http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden)}
	case KilledBefore, KilledAfter:
		if i.pipeline.Dispatch.KillAt(i.dispatches(key)) == 0 {
			return f
		}
		f = fakeittybit.Fault{Accept: kind == KilledAfter, Cut: true}
	case SweepKilled:
		if i.pipeline.Sweep.KillAt(anything) == 0 {
			return f
		}
		f = fakeittybit.Fault{Cut: true}
	default:
		return f
	}
	i.count(kind)
	return f
}

// oneOf is one of the statuses, which belongs to a fault.
func (i *injector) oneOf(key, what string, statuses ...int) int {
	return statuses[int(i.plan.draw(key, what, 0)*float64(len(statuses)))]
}

func anything([]byte) bool { return true }

// dispatches fits the events of an upload, alone or in a batch.
func (i *injector) dispatches(key string) func([]byte) bool {
	return func(payload []byte) bool {
		p, err := event.DecodePayload(payload)
		if err != nil {
			return false
		}
		for _, m := range p.Messages {
			if m.Request.Upload.Key == key {
				return true
			}
		}
		return false
	}
}

// calls fits the callbacks of a job, by their token.
func (i *injector) calls(key, job string) func([]byte) bool {
	return func(payload []byte) bool {
		var request struct {
			Query struct{ Token string } `json:"queryStringParameters"`
		}
		if json.Unmarshal(payload, &request) != nil {
			return false
		}
		ref, err := i.callbackKeys().Verify(request.Query.Token)
		return err == nil && ref.Key == key && ref.Job == job
	}
}

// tableCall is what can be told of a request to DynamoDB.
type tableCall struct {
	IndexName string
	Key, Item struct {
		PK  text `json:"pk"`
		Job text `json:"job"`
	}
	Values struct {
		PK  text `json:":pk"`
		Job text `json:":job"`
	} `json:"ExpressionAttributeValues"`
}

type text struct{ S string }

func (c tableCall) key() string {
	for _, k := range []text{c.Key.PK, c.Item.PK, c.Values.PK} {
		if k.S != "" {
			return k.S
		}
	}
	return ""
}

// intercept is for [endpoint.Server.Intercept].
func (i *injector) intercept(_ context.Context, c endpoint.Call) error {
	if c.Service == endpoint.ServiceSecrets {
		if kind := i.next("", opSecret, ""); kind != "" {
			i.count(kind)
			return endpoint.Throttled(c)
		}
		return nil
	}
	var t tableCall
	if err := json.Unmarshal(c.Body, &t); err != nil {
		return err
	}
	function, detail := i.pipeline.Dispatch, c.Operation+" "+t.Values.Job.S+t.Item.Job.S
	fits, op := i.dispatches(t.key()), opWrite
	reads := c.Operation == "Query" || c.Operation == "GetItem" || c.Operation == "Scan"
	switch c.AccessKey {
	case pipeline.AccessKey("dispatch"):
		if reads {
			op = opRead
		}
	case pipeline.AccessKey("webhook"):
		function, fits, op = i.pipeline.Webhook, i.calls(t.key(), t.Values.Job.S), opWebhook
	case pipeline.AccessKey("sweep"):
		function, fits, op = i.pipeline.Sweep, anything, opSweep
		if reads {
			op = opSweepRead
		}
		if c.Operation == "Scan" || c.Operation == "Query" && t.IndexName != results.OpenIndex {
			i.mu.Lock()
			i.scanned++
			i.mu.Unlock()
		}
	default: // our own
		return nil
	}
	kind := i.next(t.key(), op, detail)
	var answer error
	switch kind {
	case Throttled:
		answer = endpoint.Throttled(c)
	case WriteUnanswered:
		answer = &endpoint.Fault{Type: "InternalServerError", Message: "the answer was lost", Status: http.StatusInternalServerError, Applied: true}
	case KilledBefore, KilledAfter, WebhookKilled, SweepKilled:
		if function.KillAt(fits) == 0 {
			return nil
		}
		if kind == KilledBefore || kind != KilledAfter && i.plan.draw(t.key(), "killed after", 0) < .5 {
			answer = errors.New("the caller is gone")
		}
	default:
		return nil
	}
	i.count(kind)
	return answer
}

// outcome is for [fakeittybit.Options.Outcome]: jobs take their time.
func (i *injector) outcome(j fakeittybit.Job) fakeittybit.Outcome {
	o := ending(j.Input)
	key := keyOf(j.Input)
	switch at := i.plan.draw(key, "duration of "+j.Kind, 0); {
	case at < .6:
	case at < .985:
		o.After = i.plan.between(time.Second, 20*time.Minute, key, "time of "+j.Kind)
	default:
		o.After = 3 * time.Hour
	}
	return o
}

// shapes are those that tell as much as the API does, in the same words: else
// a row would depend on the way on which its state came.
var shapes = []fakeittybit.Shape{fakeittybit.Bare, fakeittybit.Typed, fakeittybit.TypedData, fakeittybit.Event}

// deliveries is for [fakeittybit.Options.Deliveries].
func (i *injector) deliveries(j fakeittybit.Job) []fakeittybit.Delivery {
	if i.out() {
		return nil
	}
	key := keyOf(j.Input)
	once := fakeittybit.Delivery{Shape: shapes[int(i.plan.draw(key, "shape of "+j.Kind, 0)*float64(len(shapes)))]}
	late := once
	if !j.Status.Final() {
		i.forge(j)
		kind := i.next(key, opProgress, j.Kind)
		if kind == "" {
			return nil // Ittybit's reference promises none
		}
		i.count(kind)
		late.After = i.plan.between(30*time.Minute, 4*time.Hour, key, "progress of "+j.Kind)
		return []fakeittybit.Delivery{late}
	}
	late.After = i.plan.between(time.Minute, 3*time.Hour, key, "end of "+j.Kind)
	kind := i.next(key, opEnd, j.Kind)
	if kind != "" {
		i.count(kind)
	}
	switch kind {
	case CallbackLost:
		return nil
	case CallbackDoubled:
		return []fakeittybit.Delivery{once, late}
	case CallbackLate:
		return []fakeittybit.Delivery{late}
	}
	return []fakeittybit.Delivery{once}
}

package receiver

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
	localdynamodb "ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
)

// block makes one service silent until the end of the test.
func (c *cloud) block(t *testing.T, service string) {
	t.Helper()
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	c.Intercept(func(ctx context.Context, call endpoint.Call) error {
		if call.Service == service {
			select {
			case <-ctx.Done():
			case <-ended:
			}
		}
		return nil
	})
}

var down = &endpoint.Fault{Type: "InternalServerError", Message: "down", Status: 500}

func TestDynamoDBFails(t *testing.T) {
	t.Parallel()
	throttled := endpoint.Throttled(endpoint.Call{Service: endpoint.ServiceDynamoDB})
	tests := map[string]struct {
		faults []*endpoint.Fault
		want   answer
		says   string // in the log, where it is not stored
	}{
		"down":                {faults: []*endpoint.Fault{down}, want: notStored, says: "down"},
		"down once":           {faults: []*endpoint.Fault{down, nil}, want: stored},
		"throttled":           {faults: []*endpoint.Fault{throttled}, want: notStored, says: results.ErrThrottled.Error()},
		"throttled twice":     {faults: []*endpoint.Fault{throttled, throttled, nil}, want: stored},
		"access denied":       {faults: []*endpoint.Fault{{Type: "AccessDeniedException", Message: "not allowed"}}, want: notStored, says: "allow the role dynamodb:UpdateItem"},
		"no such table":       {faults: []*endpoint.Fault{{Type: "ResourceNotFoundException", Message: "not found"}}, want: notStored, says: results.ErrNoTable.Error()},
		"the answer was lost": {faults: []*endpoint.Fault{nil, {Type: "InternalServerError", Status: 500, Applied: true}, nil}, want: duplicate},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed) {
				f.noted(t, ref, "task_abc123")
				f.Fail(handlertest.Operation("UpdateItem"), tt.faults...)
				began := time.Now()
				f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), tt.want)
				if took := time.Since(began); took > deadline {
					t.Errorf("took %v, over the deadline", took)
				}
				if tt.want != notStored {
					wantRow(t, f.only(t), guidesRow("task_abc123", began))
					return
				}
				f.wantNoRows(t)
				line := f.logged(t, "result not stored")
				if text, _ := line["error"].(string); !strings.Contains(text, tt.says) || !strings.Contains(text, "table "+tableName) {
					t.Errorf("the log says %q, want the table and %q", text, tt.says)
				}
				if line["key"] != ref.Key || line["level"] != "ERROR" {
					t.Errorf("the log says %v", line)
				}
				f.log.WantCounted(t, telemetry.Results, map[string]float64{})
				f.log.WantCounted(t, telemetry.CallbacksRefused, map[string]float64{})

				// Ittybit sends again.
				f.Intercept(nil)
				f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), stored)
			})
		})
	}
}

// What is silent is given up when the time is over.
func TestSilenceOfAWS(t *testing.T) {
	t.Parallel()
	for _, service := range []string{endpoint.ServiceDynamoDB, endpoint.ServiceSecrets} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.block(t, service)
			f := c.deploy(t)
			const patience = 100 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			began := time.Now()
			if got := f.post(ctx, t, request(t, "callback.json", f.token(t, ref, newestKey))); got != notStored {
				t.Errorf("answered %v, want %v", got, notStored)
			}
			// A second of the machine's own for 100 ms; without the deadline
			// the AWS client waits 1.5 s and asks again.
			if took := time.Since(began); took < patience || took > patience+time.Second {
				t.Errorf("took %v, want %v", took, patience)
			}
			f.wantFailure(t, context.DeadlineExceeded.Error())
		})
	}
}

// silent is an HTTP client that never gets an answer.
type silent struct{}

func (silent) Do(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// Ittybit waits for 5 s.
func TestTheAnswerIsGivenWithin4s(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		f.results.Table = results.New(localdynamodb.Client(f.URL, func(o *dynamodb.Options) { o.HTTPClient = silent{} }), tableName, results.Options{})
		began := time.Now()
		f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), notStored)
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("answered after %v, want 4s", took)
		}
	})
}

// A secret that is not there yet fails callbacks, not the init, and heals as
// soon as it is filled.
func TestSecretsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	const (
		short  = "a short key"
		broken = `["broken key list of 32 bytes or more`
	)
	put := func(name string) string { return "put-secret-value --secret-id " + name }
	tests := map[string]struct {
		value *string // nil: the secret is empty
		says  string
	}{
		"empty":           {says: put(keysName)},
		"blank":           {value: new(" "), says: "the secret is empty"},
		"broken JSON":     {value: new(broken), says: "not one of strings"},
		"a JSON object":   {value: new(`{"key":"` + newestKey + `"}`), says: "JSON object"},
		"an empty list":   {value: new(`[]`), says: "empty JSON list"},
		"too short a key": {value: new(toJSON(t, []string{newestKey, short})), says: "callback key 2 of 2 is shorter than 32 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.Secrets.SetEmpty(keysName)
			if tt.value != nil {
				c.Secrets.Set(keysName, *tt.value)
			}
			f := c.deploy(t)
			f.noted(t, ref, "task_abc123")
			f.private = append(f.private, short, broken)
			req := request(t, "callback.json", f.token(t, ref, newestKey))
			f.want(t, req, notStored)
			f.wantFailure(t, tt.says, "the callback keys ("+keysName+")")
			f.want(t, request(t, "callback.json", ""), forbidden) // needs no key to tell
			f.wantNoRows(t)
			c.setKeys(t, newestKey)
			f.want(t, req, stored)
		})
	}

	for _, mode := range []env.Auth{env.AuthSignature, env.AuthBoth} {
		t.Run("no secret for signatures, "+string(mode), func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			const name = "media/nowhere"
			f := c.deploy(t, env.WebhookAuth, string(mode), env.IttybitWebhookSecret, name)
			f.queued(t, upload, ref, "task_abc123")
			req := signed(t, f.token(t, ref, newestKey), about(t, ref, "", "task_abc123", "succeeded"))
			f.want(t, req, notStored)
			f.wantFailure(t, put(name))
			c.Secrets.Set(name, signingSecret)
			f.want(t, req, stored)
		})
	}
}

// A rotated signing secret that cannot be read is our fault, not the sender's.
func TestSigningSecretCannotBeReadAgain(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	synctest.Test(t, func(t *testing.T) {
		f := c.deploySigned(t)
		f.queued(t, upload, ref, "task_abc123")
		body := about(t, ref, "", "task_abc123", "succeeded")
		f.want(t, signed(t, "", body), stored)
		time.Sleep(afterRereads)
		c.Fail(handlertest.Operation("GetSecretValue"), down)
		req := signed(t, "", body)
		req.Headers[signatureHeader] = sign("whsec_next", body)
		f.want(t, req, notStored)
		f.want(t, signed(t, "", body), duplicate)
	})
}

package receiver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/telemetry"
)

// With signatures alone no callback key is needed, and none is read.
func (c *cloud) deploySigned(t testing.TB) *deployed {
	t.Helper()
	return c.deploy(t, env.WebhookAuth, string(env.AuthSignature), env.IttybitWebhookSecret, secretName, env.CallbackKeySecret, "")
}

func (c *cloud) deployBoth(t testing.TB) *deployed {
	t.Helper()
	return c.deploy(t, env.WebhookAuth, string(env.AuthBoth), env.IttybitWebhookSecret, secretName)
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// signed is a request with that body and its signature.
func signed(t testing.TB, token, body string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	req := callback(t, token, body)
	req.Headers[signatureHeader] = sign(signingSecret, body)
	return req
}

func encoded(req events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPRequest {
	req.Body, req.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(req.Body)), true
	return req
}

// The signatures in testdata were not made by the code under test.
func TestSignaturesOfTestdata(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"callback_signed.json", "callback_signed_base64.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			synctest.Test(t, func(t *testing.T) {
				f := c.deployBoth(t)
				f.noted(t, ref, "task_abc123")
				f.want(t, request(t, name, f.token(t, ref, newestKey)), stored)
				wantRow(t, f.only(t), guidesRow("task_abc123", time.Now()))
			})
		})
	}
}

func TestSignatureHeader(t *testing.T) {
	t.Parallel()
	body := about(t, ref, "job.succeeded", "task_abc123", "succeeded")
	good := sign(signingSecret, body)
	tests := map[string]struct {
		header string
		want   answer
	}{
		"right":              {header: good, want: stored},
		"upper case":         {header: strings.ToUpper(good), want: stored},
		"with its name":      {header: "sha256=" + good, want: stored},
		"spaces around":      {header: " " + good + " ", want: stored},
		"missing":            {want: forbidden},
		"only its name":      {header: "sha256=", want: forbidden},
		"of another body":    {header: sign(signingSecret, body+" "), want: forbidden},
		"of another secret":  {header: sign("whsec_other", body), want: forbidden},
		"of no secret":       {header: sign("", body), want: forbidden},
		"half":               {header: good[:32], want: forbidden},
		"and more":           {header: good + "00", want: forbidden},
		"twice":              {header: good + "," + good, want: forbidden},
		"not hex":            {header: strings.Repeat("x", 64), want: forbidden},
		"base64":             {header: base64.StdEncoding.EncodeToString([]byte(good)), want: forbidden},
		"of another version": {header: "v1=" + good, want: forbidden},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for mode, deploy := range map[string]func(*cloud, testing.TB) *deployed{"signature": (*cloud).deploySigned, "both": (*cloud).deployBoth} {
				for _, isEncoded := range []bool{false, true} {
					f := deploy(newCloud(t), t)
					f.queued(t, upload, ref, "task_abc123")
					req := callback(t, f.token(t, ref, newestKey), body)
					if req.Headers[signatureHeader] = tt.header; tt.header == "" {
						delete(req.Headers, signatureHeader)
					}
					if isEncoded {
						req = encoded(req)
					}
					before := f.only(t)
					f.want(t, req, tt.want)
					if after := f.only(t); reflect.DeepEqual(after, before) == (tt.want == stored) {
						t.Errorf("mode %s, base64 %v, answer %v: the row is %v", mode, isEncoded, tt.want, after)
					}
				}
			}
		})
	}
}

// The signature is that of what Ittybit sent, not of API Gateway's form of it.
func TestASignatureOverTheBase64IsNone(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deployBoth(t)
	req := encoded(callback(t, f.token(t, ref, newestKey), about(t, ref, "", "task_abc123", "succeeded")))
	req.Headers[signatureHeader] = sign(signingSecret, req.Body)
	f.want(t, req, forbidden)
}

func TestBothMeansBoth(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deployBoth(t)
	body := about(t, ref, "job.succeeded", "task_abc123", "succeeded")
	token := f.token(t, ref, newestKey)
	f.want(t, callback(t, token, body), forbidden)
	f.want(t, signed(t, "", body), forbidden)
	f.want(t, signed(t, f.token(t, ref, foreignKey), body), forbidden)
	f.want(t, signed(t, f.token(t, refTo(upload, "audio", 0), newestKey), body), forbidden)
	f.wantNoRows(t)
	f.log.WantCounted(t, telemetry.CallbacksRefused, map[string]float64{"unauthorized": 4})
	f.want(t, signed(t, token, body), stored) // before dispatch: the token knows whose it is
}

// A signature is the same for whatever the account's jobs report: only a row of
// dispatch tells that this one is ours.
func TestASignatureAloneNeedsDispatchsRow(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploySigned(t)
	body := about(t, ref, "job.succeeded", "task_abc123", "succeeded")

	f.queued(t, upload, ref, "task_abc123")
	before := f.only(t)
	for name, other := range map[string]string{
		"another job":     about(t, refTo(upload, "audio", 0), "", "task_abc123", "succeeded"),
		"another attempt": about(t, refTo(upload, "video", 1), "", "task_abc123", "succeeded"),
		"no metadata":     `{"id":"task_abc123","status":"succeeded"}`,
		"the guide's":     request(t, "callback.json", "").Body, // names no upload
	} {
		if got := f.post(t.Context(), t, signed(t, "", other)); got != forbidden {
			t.Errorf("%s: answered %v, want %v", name, got, forbidden)
		}
	}
	wantRow(t, f.only(t), before)

	f.want(t, signed(t, "", body), stored)
	if got := f.only(t)["state"]; got != "succeeded" {
		t.Errorf("the row's state is %v", got)
	}
	f.want(t, signed(t, "", body), duplicate)
	f.want(t, signed(t, "", `{`), unreadable)
	f.want(t, signed(t, "", `{"event":"run.failed"}`), ignored)
	f.want(t, signed(t, "not a token", body), duplicate) // tokens do not count
	f.log.WantCounted(t, telemetry.Results, map[string]float64{"succeeded": 1})
}

func TestSigningSecretsInRotation(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	const next = "whsec_next"
	synctest.Test(t, func(t *testing.T) {
		f := c.deployBoth(t)
		f.noted(t, ref, "task_abc123")
		f.private = append(f.private, next)
		token, body := f.token(t, ref, newestKey), about(t, ref, "", "task_abc123", "succeeded")
		old := signed(t, token, body)
		newer := signed(t, token, body)
		newer.Headers[signatureHeader] = sign(next, body)

		f.want(t, old, stored)
		f.want(t, newer, forbidden)
		c.Secrets.Set(secretName, toJSON(t, []string{next, signingSecret}))
		f.want(t, newer, forbidden) // the secret was read a moment ago
		c.reads(t, 2)               // keys and secret

		time.Sleep(afterRereads)
		f.want(t, old, duplicate)
		c.reads(t, 2)
		for range 100 {
			f.want(t, newer, duplicate)
			f.want(t, old, duplicate)
		}
		c.reads(t, 3)

		c.Secrets.Set(secretName, next)
		time.Sleep(afterTheTTL)
		f.want(t, old, forbidden)
		f.want(t, newer, duplicate)
	})
}

package receiver

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/golang-jwt/jwt/v5"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/aws/endpoint"
)

// forge is a token as media's, with the method, the key id and the key of the
// forger's choice.
func (f *deployed) forge(t testing.TB, method jwt.SigningMethod, kid any, key any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if kid != nil {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	f.private = append(f.private, text)
	return text
}

func kidOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:4])
}

// claims is what a token for the guide's job says, without some of it.
func claims(without ...string) jwt.MapClaims {
	c := jwt.MapClaims{"b": ref.Bucket, "k": []byte(ref.Key), "u": ref.Upload, "j": ref.Job, "a": ref.Attempt}
	for _, name := range without {
		delete(c, name)
	}
	return c
}

// TestForgeryIsNearlyATrueToken keeps the tests below honest: what they forge
// differs from a true token in what they say and in nothing else.
func TestForgeryIsNearlyATrueToken(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	f.noted(t, ref, "task_abc123")
	f.want(t, request(t, "callback.json", f.forge(t, jwt.SigningMethodHS256, kidOf(newestKey), []byte(newestKey), claims())), stored)
	f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), duplicate)
	f.want(t, request(t, "callback.json", f.token(t, ref, olderKey)), duplicate)
}

func TestCallbacksWithoutOurTokenAreRefused(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, kid := []byte(newestKey), kidOf(newestKey)
	good := f.token(t, ref, newestKey)
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	flipped := "A" + signature[1:]
	if flipped == signature {
		flipped = "B" + signature[1:]
	}
	otherUpload := upload
	otherUpload.VersionID = "v8"
	otherKey := upload
	otherKey.Key = "uploads/other.mov"

	tokens := map[string]string{
		"empty":                   "",
		"garbage":                 "garbage",
		"dots":                    "..",
		"binary":                  "\x00\xff.\x00.\x00",
		"not decoded":             url.QueryEscape(good + "=="),
		"two of them":             good + "," + good, // as API Gateway joins them
		"with a scheme":           "Bearer " + good,
		"cut":                     good[:len(good)-4],
		"without signature":       header + "." + payload + ".",
		"other signature":         header + "." + payload + "." + flipped,
		"other claims":            header + "." + base64.RawURLEncoding.EncodeToString([]byte(toJSON(t, claims("a")))) + "." + signature,
		"huge":                    strings.Repeat("x.", 4000),
		"another key":             f.token(t, ref, foreignKey),
		"another key as ours":     f.forge(t, jwt.SigningMethodHS256, kid, []byte(foreignKey), claims()),
		"no kid":                  f.forge(t, jwt.SigningMethodHS256, nil, key, claims()),
		"kid of another type":     f.forge(t, jwt.SigningMethodHS256, 7, key, claims()),
		"alg none":                f.forge(t, jwt.SigningMethodNone, kid, jwt.UnsafeAllowNoneSignatureType, claims()),
		"alg HS512":               f.forge(t, jwt.SigningMethodHS512, kid, key, claims()),
		"alg HS384":               f.forge(t, jwt.SigningMethodHS384, kid, key, claims()),
		"alg RS256":               f.forge(t, jwt.SigningMethodRS256, kid, rsaKey, claims()),
		"no claims":               f.forge(t, jwt.SigningMethodHS256, kid, key, jwt.MapClaims{}),
		"no bucket":               f.forge(t, jwt.SigningMethodHS256, kid, key, claims("b")),
		"no key":                  f.forge(t, jwt.SigningMethodHS256, kid, key, claims("k")),
		"no upload":               f.forge(t, jwt.SigningMethodHS256, kid, key, claims("u")),
		"no job":                  f.forge(t, jwt.SigningMethodHS256, kid, key, claims("j")),
		"another upload's":        f.token(t, refTo(otherKey, "video", 0), newestKey),
		"another version's":       f.token(t, refTo(otherUpload, "video", 0), newestKey),
		"another job's":           f.token(t, refTo(upload, "thumbnail", 0), newestKey),
		"another attempt's":       f.token(t, refTo(upload, "video", 1), newestKey),
		"another job's, archived": f.token(t, refTo(upload, "thumbnail", 0), olderKey),
	}
	// Nothing is written, whether the job has a row already or not.
	f.queued(t, upload, ref, "job_known")
	before := f.rows(t)
	for _, id := range []string{"job_new", "job_known"} {
		body := about(t, ref, "job.succeeded", id, "succeeded")
		for name, token := range tokens {
			req := request(t, "callback.json", "")
			req.Body = body
			req.QueryStringParameters["token"] = token
			if got := f.post(t.Context(), t, req); got != forbidden {
				t.Errorf("%s: answered %v, want %v", name, got, forbidden)
			}
		}
	}
	if after := f.rows(t); !reflect.DeepEqual(after, before) {
		t.Errorf("the table changed from %v to %v", before, after)
	}
	f.log.WantCounted(t, telemetry.CallbacksRefused, map[string]float64{"unauthorized": float64(2 * len(tokens))})
	f.log.WantCounted(t, telemetry.Results, map[string]float64{})
}

// The token is where API Gateway puts it decoded, and nowhere else.
func TestWhereTheTokenIs(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	f.noted(t, ref, "task_abc123")
	token := f.token(t, ref, newestKey)
	places := map[string]func(*events.APIGatewayV2HTTPRequest){
		"nowhere":                  func(*events.APIGatewayV2HTTPRequest) {},
		"the raw query string":     func(r *events.APIGatewayV2HTTPRequest) { r.RawQueryString = "token=" + token },
		"another parameter":        func(r *events.APIGatewayV2HTTPRequest) { r.QueryStringParameters = map[string]string{"Token": token} },
		"the authorization header": func(r *events.APIGatewayV2HTTPRequest) { r.Headers["authorization"] = "Bearer " + token },
		"a cookie":                 func(r *events.APIGatewayV2HTTPRequest) { r.Cookies = []string{"token=" + token} },
		"the body": func(r *events.APIGatewayV2HTTPRequest) {
			r.Body = strings.Replace(r.Body, "{", `{"token":"`+token+`",`, 1)
		},
	}
	for name, put := range places {
		req := request(t, "callback.json", "")
		req.QueryStringParameters = nil
		put(&req)
		if got := f.post(t.Context(), t, req); got != forbidden {
			t.Errorf("a token in %s: answered %v, want %v", name, got, forbidden)
		}
	}
	f.wantNoRows(t)
	req := request(t, "callback.json", "")
	req.RawQueryString, req.QueryStringParameters = "", map[string]string{"token": token, "more": "1"}
	f.want(t, req, stored)
}

// An id that is in the table for another upload of the same key is not ours to
// overwrite.
func TestTheRowOfAnotherUploadIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	f.queued(t, upload, ref, "task_abc123")
	before := f.rows(t)
	for _, r := range []string{
		f.token(t, refTo(upload, "thumbnail", 0), newestKey),
		f.token(t, refTo(upload, "video", 1), newestKey),
	} {
		f.want(t, request(t, "callback.json", r), forbidden) // the guide's metadata name no job
	}
	if after := f.rows(t); !reflect.DeepEqual(after, before) {
		t.Errorf("the row changed from %v to %v", before, after)
	}
}

func TestUnreadableCallbacks(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	token := f.token(t, ref, newestKey)
	bodies := map[string]string{
		"empty":                  ``,
		"not JSON":               `id=task_abc123&status=completed`,
		"cut JSON":               `{"event":"job.succeeded","data":{"id":"task_abc123"`,
		"two values":             `{"id":"job_1"}{"id":"job_2"}`,
		"null":                   `null`,
		"a list":                 `[{"id":"job_1","status":"succeeded"}]`,
		"a text":                 `"job_1"`,
		"no id":                  `{"event":"job.succeeded","data":{"status":"succeeded"}}`,
		"empty id":               `{"id":"","status":"succeeded"}`,
		"numeric id":             `{"id":7,"status":"succeeded"}`,
		"an id of 257 bytes":     `{"id":"` + strings.Repeat("i", 257) + `","status":"succeeded"}`,
		"only the event's id":    `{"id":"evt_1","object":"event","kind":"job.succeeded"}`,
		"deeper than any parser": strings.Repeat("[", 20_000),
	}
	for name, body := range bodies {
		for _, encoded := range []bool{false, true} {
			req := callback(t, token, body)
			if encoded {
				req.Body, req.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(body)), true
			}
			if got := f.post(t.Context(), t, req); got != unreadable {
				t.Errorf("%s, base64 %v: answered %v, want %v", name, encoded, got, unreadable)
			}
		}
	}
	broken := callback(t, token, "{not base64}")
	broken.IsBase64Encoded = true
	f.want(t, broken, unreadable)

	f.wantNoRows(t)
	f.log.WantCounted(t, telemetry.CallbacksRefused, map[string]float64{"unreadable": float64(2*len(bodies) + 1)})
}

// padded is a body of exactly size bytes that is a callback.
func padded(t testing.TB, size int) string {
	t.Helper()
	body := about(t, ref, "job.succeeded", "task_abc123", "succeeded")
	return body + strings.Repeat(" ", size-len(body))
}

func TestBodiesUpTo6MiB(t *testing.T) {
	t.Parallel()
	const limit = 6 << 20
	tests := map[string]struct {
		size    int
		encoded bool
		want    answer
	}{
		"6 MiB":                         {size: limit, want: stored},
		"6 MiB, base64":                 {size: limit, encoded: true, want: stored},
		"a byte more":                   {size: limit + 1, want: tooLarge},
		"a byte more, base64":           {size: limit + 1, encoded: true, want: tooLarge}, // padded as 6 MiB is
		"two bytes more, base64":        {size: limit + 2, encoded: true, want: tooLarge},
		"three bytes more, base64":      {size: limit + 3, encoded: true, want: tooLarge},
		"API Gateway's 10 MB":           {size: 10 << 20, want: tooLarge},
		"a byte less than 6 MiB":        {size: limit - 1, want: stored},
		"two bytes less than 6 MiB, 64": {size: limit - 2, encoded: true, want: stored},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newCloud(t).deploy(t)
			req := callback(t, f.token(t, ref, newestKey), padded(t, tt.size))
			if tt.encoded {
				req.Body, req.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(req.Body)), true
			}
			f.want(t, req, tt.want)
			if n := len(f.rows(t)); (n == 1) != (tt.want == stored) {
				t.Errorf("%d rows after %v", n, tt.want)
			}
			if tt.want == tooLarge {
				f.log.WantCounted(t, telemetry.CallbacksRefused, map[string]float64{"too large": 1})
			}
		})
	}
}

// The first of 413, 401, 400 and 500 that applies is the answer, so that who
// may not send callbacks learns the least.
func TestOrderOfReplies(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	f.Fail(handlertest.Operation("UpdateItem"), &endpoint.Fault{Type: "AccessDeniedException", Message: "no"}) // not retried
	token := f.token(t, ref, newestKey)
	large := strings.Repeat("{", maxBody+1) // nor is it JSON
	other := toJSON(t, map[string]any{"id": "job_1", "metadata": map[string]string{"job": "other"}})
	for _, tt := range []struct {
		token, body string
		want        answer
	}{
		{body: large, want: tooLarge},
		{token: token, body: large, want: tooLarge},
		{body: `{`, want: forbidden},
		{body: `{"event":"run.succeeded"}`, want: forbidden},
		{token: token, body: `{`, want: unreadable},
		{token: token, body: other, want: forbidden},
		{token: token, body: `{"event":"run.succeeded"}`, want: ignored},
		{token: token, body: `{"id":"job_1","status":"succeeded"}`, want: notStored},
	} {
		if got := f.post(t.Context(), t, callback(t, tt.token, tt.body)); got != tt.want {
			t.Errorf("token %v, body %.30q: answered %v, want %v", tt.token != "", tt.body, got, tt.want)
		}
	}
	f.log.WantCounted(t, telemetry.CallbacksRefused, map[string]float64{"too large": 2, "unauthorized": 3, "unreadable": 1})
}

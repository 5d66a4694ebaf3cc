package receiver

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

const (
	tableName  = handlertest.TableName
	keysName   = "media/callback-keys"
	secretName = "media/ittybit-webhook"

	newestKey  = "newest callback key, 0123456789abcdef"
	olderKey   = "older callback key, 0123456789abcdef"
	foreignKey = "a key of somebody else, 0123456789abcdef"

	// signingSecret is what the signatures in testdata were made with.
	signingSecret = "whsec_5f0c9d1e7a"
)

// upload is the guide's.
var upload = media.Upload{
	Bucket:    "my-media-bucket",
	Key:       "uploads/video.mov",
	Size:      1234,
	ETag:      "0f343b0931126a20f133d67c2b018a3b",
	VersionID: "v7",
	Sequencer: "0055AED6DCD90281E5",
}

func refTo(u media.Upload, job string, attempt int) media.JobRef {
	return media.JobRef{Bucket: u.Bucket, Key: u.Key, Upload: u.ID(tableName), Job: job, Attempt: attempt}
}

// ref is the guide's job.
var ref = refTo(upload, "video", 0)

// cloud is the AWS that the function is deployed in: a table and the secrets.
type cloud struct{ *handlertest.AWS }

// newCloud must be called outside of the synctest bubble that it is used in.
func newCloud(t testing.TB) *cloud {
	t.Helper()
	c := &cloud{handlertest.New(t)}
	c.setKeys(t, newestKey, olderKey)
	c.Secrets.Set(secretName, signingSecret)
	return c
}

// inBubble runs a test in a bubble of its own time, with a cloud and the
// function deployed in it.
func inBubble(t *testing.T, test func(t *testing.T, f *deployed), changes ...string) {
	t.Helper()
	c := newCloud(t)
	synctest.Test(t, func(t *testing.T) { test(t, c.deploy(t, changes...)) })
}

func (c *cloud) setKeys(t testing.TB, keys ...string) {
	t.Helper()
	c.Secrets.Set(keysName, toJSON(t, keys))
}

// deployed is the deployed function with all that it says.
type deployed struct {
	*Handler
	*cloud
	log handlertest.Log

	private []string // what it must never say
}

// deploy wires the function; the pairs of changes are set in its environment.
// When the test ends it checks that no secret and no token is in anything that
// the function said.
func (c *cloud) deploy(t testing.TB, changes ...string) *deployed {
	t.Helper()
	h, err := Wire(c.Env().With(env.CallbackKeySecret, keysName).With(changes...).Get, function.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &deployed{Handler: h, cloud: c, private: []string{newestKey, olderKey, foreignKey, signingSecret}}
	h.log, h.metrics = f.log.Logger(), f.log.Metrics()
	h.results.Metrics = h.metrics
	t.Cleanup(func() { f.log.Keeps(t, f.private...) })
	return f
}

// token is the callback token for r, signed with the key.
func (f *deployed) token(t testing.TB, r media.JobRef, key string) string {
	t.Helper()
	keys, err := media.NewCallbackKeys([]string{key})
	if err != nil {
		t.Fatal(err)
	}
	token, err := keys.Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	f.private = append(f.private, token)
	return token
}

// request is API Gateway's event in testdata, with the token in the place of
// TOKEN.
func request(t testing.TB, name, token string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(bytes.ReplaceAll(data, []byte("TOKEN"), []byte(token))))
	d.DisallowUnknownFields() // it must be API Gateway's
	var req events.APIGatewayV2HTTPRequest
	if err := d.Decode(&req); err != nil {
		t.Fatal(err)
	}
	return req
}

// callback is a request with the token and that body.
func callback(t testing.TB, token, body string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	req := request(t, "callback.json", token)
	req.Body = body
	return req
}

// about is the body of a callback on a job, with all of r's metadata.
func about(t testing.TB, r media.JobRef, event, id, status string, more ...any) string {
	t.Helper()
	data := map[string]any{"id": id, "status": status, "metadata": metadataOf(t, r)}
	for pair := range slices.Chunk(more, 2) {
		data[pair[0].(string)] = pair[1]
	}
	return toJSON(t, map[string]any{"event": event, "data": data})
}

// metadataOf is what dispatch gives to r's job, taken from the request itself.
func metadataOf(t testing.TB, r media.JobRef) map[string]string {
	t.Helper()
	body, _, err := media.JobRequest{Upload: media.Upload{Bucket: r.Bucket, Key: r.Key}, Ref: r}.Body()
	if err != nil {
		t.Fatal(err)
	}
	var job struct{ Metadata map[string]string }
	if err := json.Unmarshal(body, &job); err != nil {
		t.Fatal(err)
	}
	return job.Metadata
}

func toJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// answer is a reply, as the tests compare it.
type answer struct {
	status int
	text   string
}

var (
	stored       = answer{200, "ok"}
	duplicate    = answer{200, "duplicate"}
	ignored      = answer{200, "ignored"}
	unreadable   = answer{400, "unreadable"}
	forbidden    = answer{401, "unauthorized"}
	tooLarge     = answer{413, "too large"}
	notStored    = answer{500, "not stored, send it again"}
	early        = answer{500, "not yet, send it again"}
	replyHeaders = map[string]string{"Content-Type": "text/plain; charset=utf-8"}
)

// post hands the request to the function.
func (f *deployed) post(ctx context.Context, t testing.TB, req events.APIGatewayV2HTTPRequest) answer {
	t.Helper()
	resp, err := f.Handle(ctx, req)
	if err != nil {
		t.Errorf("Handle failed, which API Gateway answers with its own 500: %v", err)
	}
	if !maps.Equal(resp.Headers, replyHeaders) || resp.IsBase64Encoded || resp.Cookies != nil || resp.MultiValueHeaders != nil {
		t.Errorf("reply %+v, want plain text", resp)
	}
	_, _ = f.log.Write([]byte(toJSON(t, resp) + "\n"))
	return answer{resp.StatusCode, resp.Body}
}

// want posts the request and compares the answer.
func (f *deployed) want(t testing.TB, req events.APIGatewayV2HTTPRequest, want answer) {
	t.Helper()
	if got := f.post(t.Context(), t, req); got != want {
		t.Errorf("answered %v, want %v; the log:\n%s", got, want, &f.log)
	}
}

// row is an item: numbers are float64.
type row = map[string]any

// rows is the whole table, but for ledgers.
func (f *deployed) rows(t testing.TB) []row {
	t.Helper()
	var all []row
	pages := dynamodb.NewScanPaginator(f.DynamoDB, &dynamodb.ScanInput{TableName: aws.String(tableName), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var some []row
		if err := attributevalue.UnmarshalListOfMaps(page.Items, &some); err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	return slices.DeleteFunc(all, func(r row) bool {
		sk, _ := r["sk"].(string)
		return strings.HasPrefix(sk, "ledger#")
	})
}

// only is the table's single row.
func (f *deployed) only(t testing.TB) row {
	t.Helper()
	all := f.rows(t)
	if len(all) != 1 {
		t.Fatalf("%d rows in the table, want 1: %v", len(all), all)
	}
	return all[0]
}

// queued notes the job as dispatch does.
func (f *deployed) queued(t testing.TB, u media.Upload, r media.JobRef, id string) {
	t.Helper()
	_, err := f.Table.InsertQueued(t.Context(), results.Dispatched{At: time.Now(), CheckAt: time.Now().Add(30 * time.Minute), Upload: u, Ref: r, Result: media.Result{JobID: id, Status: "queued", Kind: "video"}})
	if err != nil {
		t.Fatal(err)
	}
}

// noted writes the job's id into its upload's ledger, as dispatch does before
// it writes the row.
func (f *deployed) noted(t testing.TB, r media.JobRef, id string) {
	t.Helper()
	f.ledger(t, r, results.Entry{ID: id})
}

// ledger writes what an upload's ledger says of the job.
func (f *deployed) ledger(t testing.TB, r media.JobRef, entry results.Entry) {
	t.Helper()
	entries := map[results.Slot]results.Entry{{Job: r.Job, Attempt: r.Attempt}: entry}
	if _, err := f.Table.UpdateLedger(t.Context(), time.Now(), r.Key, r.Upload, entries); err != nil {
		t.Fatal(err)
	}
}

// logged is the one line with that message.
func (f *deployed) logged(t testing.TB, message string) map[string]any {
	t.Helper()
	found := f.log.Said(t, message)
	if len(found) != 1 {
		t.Fatalf("%d lines say %q, want 1:\n%s", len(found), message, &f.log)
	}
	return found[0]
}

// wantFailure checks the one line that tells why a callback was not stored.
func (f *deployed) wantFailure(t testing.TB, says ...string) {
	t.Helper()
	text, _ := f.logged(t, "callback not stored")["error"].(string)
	for _, want := range says {
		if !strings.Contains(text, want) {
			t.Errorf("the log says %q, want %q", text, want)
		}
	}
}

// wantNoRows checks that nothing was written.
func (f *deployed) wantNoRows(t testing.TB) {
	t.Helper()
	if all := f.rows(t); len(all) != 0 {
		t.Errorf("written: %v", all)
	}
}

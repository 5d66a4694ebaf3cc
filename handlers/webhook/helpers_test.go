package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
	localdynamodb "ittybit-media/scripts/local/aws/dynamodb"
)

const (
	tableName  = "media-results"
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
type cloud struct {
	*handlertest.AWS
	url string
}

// newCloud serves on loopback. It closes every connection after its answer:
// nothing then waits on the network in a synctest bubble while its clock is to
// move. It must be made outside of the bubble.
func newCloud(t testing.TB) *cloud {
	t.Helper()
	c := &cloud{AWS: handlertest.NewAWS()}
	server := httptest.NewUnstartedServer(c.AWS)
	server.Config.SetKeepAlivesEnabled(false)
	server.Start()
	t.Cleanup(server.Close)
	c.url = server.URL
	if _, err := localdynamodb.Client(c.url).CreateTable(t.Context(), results.CreateTableInput(tableName)); err != nil {
		t.Fatal(err)
	}
	c.setKeys(t, newestKey, olderKey)
	c.Secrets.Set(secretName, signingSecret)
	return c
}

func (c *cloud) setKeys(t testing.TB, keys ...string) {
	t.Helper()
	list, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	c.Secrets.Set(keysName, string(list))
}

// calls counts the calls to one service.
func (c *cloud) calls(service string) (n int) {
	for name, count := range c.Calls() {
		if strings.HasPrefix(name, service+".") {
			n += count
		}
	}
	return n
}

// environment is that of the deployed function; the pairs of changes are set in
// it, or unset by "".
func (c *cloud) environment(changes ...string) func(string) string {
	vars := map[string]string{
		"AWS_ENDPOINT_URL":      c.url,
		"AWS_REGION":            "us-east-1",
		"AWS_ACCESS_KEY_ID":     "AKIDLOCAL",
		"AWS_SECRET_ACCESS_KEY": "local",
		env.TableName:           tableName,
		env.CallbackKeySecret:   keysName,
	}
	for pair := range slices.Chunk(changes, 2) {
		vars[pair[0]] = pair[1]
	}
	return func(name string) string { return vars[name] }
}

// function is the deployed function with all that it says.
type deployed struct {
	*handler
	cloud   *cloud
	db      *dynamodb.Client
	table   *results.Table // dispatch's and sweep's
	logs    *lines
	counts  *lines
	replies *lines

	private []string // what it must never say
}

// deploy wires the function. When the test ends it checks that no secret and no
// token is in anything that the function said.
func (c *cloud) deploy(t testing.TB, changes ...string) *deployed {
	t.Helper()
	h, err := wire(c.environment(changes...))
	if err != nil {
		t.Fatal(err)
	}
	db := localdynamodb.Client(c.url)
	f := &deployed{
		handler: h,
		cloud:   c,
		db:      db,
		table:   results.New(db, tableName, results.Options{}),
		logs:    new(lines),
		counts:  new(lines),
		replies: new(lines),
		private: []string{newestKey, olderKey, foreignKey, signingSecret},
	}
	h.log = slog.New(slog.NewJSONHandler(f.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.metrics = telemetry.NewMetrics(f.counts, "Test")
	h.results.Metrics = h.metrics
	t.Cleanup(func() {
		said := f.logs.String() + f.counts.String() + f.replies.String()
		for _, secret := range f.private {
			if strings.Contains(said, secret) {
				t.Errorf("the function gives away %q:\n%s", secret, said)
			}
		}
	})
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
	_, _ = f.replies.Write([]byte(toJSON(t, resp) + "\n"))
	return answer{resp.StatusCode, resp.Body}
}

// want posts the request and compares the answer.
func (f *deployed) want(t testing.TB, req events.APIGatewayV2HTTPRequest, want answer) {
	t.Helper()
	if got := f.post(t.Context(), t, req); got != want {
		t.Errorf("answered %v, want %v; the log:\n%s", got, want, f.logs)
	}
}

// row is an item: numbers are float64.
type row = map[string]any

// rows is the whole table.
func (f *deployed) rows(t testing.TB) []row {
	t.Helper()
	var all []row
	pages := dynamodb.NewScanPaginator(f.db, &dynamodb.ScanInput{TableName: aws.String(tableName), ConsistentRead: aws.Bool(true)})
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
	return all
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
	_, err := f.table.InsertQueued(t.Context(), results.Dispatched{At: time.Now(), CheckAt: time.Now().Add(30 * time.Minute), Upload: u, Ref: r, Result: media.Result{JobID: id, Status: "queued", Kind: "video"}})
	if err != nil {
		t.Fatal(err)
	}
}

// counted sums a metric by the value of its dimension; "" if it has none.
func (f *deployed) counted(t testing.TB, m telemetry.Metric) map[string]float64 {
	t.Helper()
	sums := map[string]float64{}
	for _, line := range f.counts.decode(t) {
		if value, ok := line[m.Name].(float64); ok {
			dimension, _ := line[m.Dimension].(string)
			sums[dimension] += value
		}
	}
	return sums
}

// wantCounted compares a metric's sums with pairs of dimension and sum.
func (f *deployed) wantCounted(t testing.TB, m telemetry.Metric, want map[string]float64) {
	t.Helper()
	if got := f.counted(t, m); !maps.Equal(got, want) {
		t.Errorf("metric %s counted %v, want %v", m.Name, got, want)
	}
}

// logged is the one line with that message.
func (f *deployed) logged(t testing.TB, message string) map[string]any {
	t.Helper()
	found := slices.DeleteFunc(f.logs.decode(t), func(line map[string]any) bool { return line["msg"] != message })
	if len(found) != 1 {
		t.Fatalf("%d lines say %q, want 1:\n%s", len(found), message, f.logs)
	}
	return found[0]
}

// lines collects lines of JSON.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) decode(t testing.TB) []map[string]any {
	t.Helper()
	var all []map[string]any
	for d := json.NewDecoder(strings.NewReader(l.String())); ; {
		var line map[string]any
		switch err := d.Decode(&line); err {
		case nil:
			all = append(all, line)
		case io.EOF:
			return all
		default:
			t.Fatalf("not a line of JSON: %v in %s", err, l)
		}
	}
}

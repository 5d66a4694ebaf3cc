package awsclient_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// The transport looks for more of a request's body when it has sent it, and
// that may be after the answer began, when the SDK has closed the body.
func TestAnAnswerMayComeBeforeTheTransportIsDone(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	var body io.Reader
	cfg.HTTPClient = client(func(r *http.Request) *http.Response {
		body = r.Body
		if sent, err := io.ReadAll(io.LimitReader(body, r.ContentLength)); err != nil || string(sent) != "{}" {
			t.Errorf("sent %q: %v", sent, err)
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}
	})
	if err := listTables(t.Context(), dynamodb.NewFromConfig(cfg)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, body); n != 0 || err != nil {
		t.Errorf("%d more bytes, %v: the transport breaks the connection", n, err)
	}
}

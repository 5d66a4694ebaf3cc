package awsclient

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// The webhook function has 4 s for everything. A connection that died while the
// sandbox was frozen shows only as silence; 1.5 s of it, twice, still leaves
// time for an answer, and is many times what these services take.
const (
	connectTimeout  = time.Second
	tlsTimeout      = time.Second
	responseTimeout = 1500 * time.Millisecond

	// maxAttempts is the SDK's own number, said here because maxBackoff counts
	// on it: two waits at most. More would outlive the webhook's deadline; the
	// callers have Ittybit's and the queue's retries behind them.
	maxAttempts = 3
	// maxBackoff replaces the SDK's 20 s. It matters after throttling, where
	// the SDK starts at 1 s.
	maxBackoff = 500 * time.Millisecond

	// idlePerHost is for dispatch, which writes the rows of up to 20 jobs of
	// several uploads in parallel: with the SDK's 10, the other connections
	// would be closed after each use and cost a TLS handshake the next time.
	idlePerHost = 64
)

// newHTTPClient makes the one HTTP client that all AWS clients share. DynamoDB
// speaks HTTP/1.1, so that rows written in parallel need connections of their
// own: where the service resumes TLS sessions, those after the first cost a
// quarter. The rest are the SDK's values: keep-alive, HTTP/2 where the server
// offers it, TLS 1.2 at least, no redirects.
func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = tlsTimeout
			t.ResponseHeaderTimeout = responseTimeout
			t.MaxIdleConnsPerHost = idlePerHost
			t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		})
}

// newRetryer makes a retryer of the SDK's standard mode; each client gets its
// own, so that one service's trouble does not use up the retries of another.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
	})
}

package ittybit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
)

// DefaultURL is where Ittybit's API is (https://ittybit.com/api).
const DefaultURL = "https://api.ittybit.com"

// defaultAttempts is for callers that nobody retries.
const defaultAttempts = 3

// Options are what a client needs. Only RefreshKey, HTTP and Version may be
// left out.
type Options struct {
	BaseURL string // see [CheckURL]
	// Key gives the API key; it is asked for every call and should remember it.
	Key func(context.Context) (string, error)
	// RefreshKey reads the key anew, after Ittybit refused the one of Key. Nil:
	// a refused key is an error at once.
	RefreshKey func(context.Context) (string, error)
	// HTTP is used without following redirects. Nil: one made for many calls in
	// parallel.
	HTTP    *http.Client
	Version string // for the User-Agent; "": [media.Version]
}

// Client calls Ittybit's API. It is safe for use by several goroutines.
type Client struct {
	base       string // without a slash at the end
	key        func(context.Context) (string, error)
	refreshKey func(context.Context) (string, error)
	http       *http.Client
	userAgent  string
	attempts   int
	long       chan struct{} // has room for one: see [Client.longJob]
}

// New makes a client; it calls nobody. It fails when the options are not
// usable.
func New(o Options) (*Client, error) {
	if err := CheckURL(o.BaseURL); err != nil {
		return nil, fmt.Errorf("ittybit: %w", err)
	}
	if o.Key == nil {
		return nil, errors.New("ittybit: there is no source of the API key")
	}
	h := newHTTPClient()
	if o.HTTP != nil {
		h = new(*o.HTTP)
	}
	// A redirect would carry the key elsewhere, or turn a POST into a GET.
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base:       strings.TrimRight(o.BaseURL, "/"),
		key:        o.Key,
		refreshKey: o.RefreshKey,
		http:       h,
		userAgent:  event.Source + "/" + cmp.Or(o.Version, media.Version),
		attempts:   defaultAttempts,
		long:       make(chan struct{}, 1),
	}, nil
}

// Attempts is a copy of the client that makes up to n attempts for each call,
// at least one. It shares the connections.
func (c *Client) Attempts(n int) *Client {
	other := *c
	other.attempts = max(n, 1)
	return &other
}

// connectTimeout bounds what [Client.Connect] does: later it is of no use.
const connectTimeout = 5 * time.Second

// Connect begins to open a connection, so that the first call finds it open. It
// asks for nothing and carries no key; where it fails, the first call will
// tell.
func (c *Client) Connect() {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, c.base+"/", nil)
		if err != nil {
			return
		}
		req.Header.Set("User-Agent", c.userAgent)
		if resp, err := c.http.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
}

// CheckURL reports what is wrong with a base URL of the API: it must be https,
// or http on loopback, and without a user, a query or a fragment. The error
// does not quote the URL.
func CheckURL(text string) error {
	const form = "the API URL must be of the form " + DefaultURL
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return errors.New(form)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New(form + ", without a user, a query or a fragment")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	default:
		return errors.New(form + "; plain http is for loopback only")
	}
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// newHTTPClient has the values of http.DefaultTransport except where a Lambda
// function that is frozen between calls, and posts the jobs of several uploads
// at once, needs others.
func newHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
		// Connections after the first cost a quarter, where TLS sessions are
		// resumed.
		TLSClientConfig: &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0)},
		// A connection that died in the freeze shows as silence; a ping tells
		// before the attempt's time is over.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 3 * time.Second, PingTimeout: 2 * time.Second},
	}}
}

package fakeittybit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// callbackTimeout is how long Ittybit waits for the answer to a callback
// (https://ittybit.com/docs/webhooks).
const callbackTimeout = 5 * time.Second

// SignatureHeader has the HMAC-SHA256 of a callback's body, in lower-case hex
// (https://ittybit.com/guides/webhooks-with-laravel-queues-and-events).
const SignatureHeader = "Ittybit-Signature"

// Delivery is one sending of a callback. None loses the callback, two double
// it, different times put callbacks out of order.
type Delivery struct {
	After time.Duration // by the clock
	Shape Shape         // "": Options.Shape
}

// callBack sends the callbacks for what a job has become.
func (s *Server) callBack(j Job) {
	defer s.callEnded()
	deliveries := []Delivery{{}}
	if s.opts.Deliveries != nil {
		deliveries = s.opts.Deliveries(j)
	}
	if len(deliveries) > 0 && s.opts.Transport == nil && !onLoopback(j.WebhookURL) {
		s.notice("callbacks are sent only to this machine: those to other hosts are dropped")
		deliveries = nil
	}
	if len(deliveries) == 0 {
		s.stats.called(func(c *CallbackCounts) { c.Lost++ })
	}
	event := newID("evt", j.UpdatedAt)
	for _, d := range deliveries {
		orDefault(&d.Shape, s.opts.Shape)
		p := &post{job: j, url: j.WebhookURL, body: d.Shape.payload(&j, event)}
		if s.opts.DropQuery {
			p.url, _, _ = strings.Cut(p.url, "?")
		}
		s.mu.Lock()
		s.busy++ // until send has ended it
		s.mu.Unlock()
		s.later(d.After, func() { s.send(p) })
	}
}

// later has f run among the calls when the clock has moved on by d.
func (s *Server) later(d time.Duration, f func()) {
	if d <= 0 {
		s.background.do(s.calls, f)
		return
	}
	s.opts.Clock.AfterFunc(d, func() { s.background.do(s.calls, f) })
}

func (s *Server) callEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

// Called is one attempt to deliver a callback.
type Called struct {
	Job     Job // as the callback says
	SentAt  time.Time
	Body    []byte
	Attempt int  // from 1
	Status  int  // of the answer; 0: there was none
	Last    bool // there will be no other
}

// post is one delivery under way.
type post struct {
	job    Job
	url    string
	body   []byte
	failed int // attempts
}

// send makes one attempt, and sees to it that others follow.
func (s *Server) send(p *post) {
	if s.ctx.Err() != nil {
		return
	}
	s.stats.called(func(c *CallbackCounts) { c.Posts++ })
	sentAt := s.opts.Clock.Now()
	status := s.attempt(p)
	taken := status >= 200 && status < 300
	if s.opts.Called != nil {
		s.opts.Called(Called{p.job, sentAt, p.body, p.failed + 1, status, taken || p.failed+1 >= s.opts.CallbackAttempts})
	}
	if taken {
		s.stats.called(func(c *CallbackCounts) { c.Delivered++ })
		s.callEnded()
		return
	}
	if p.failed++; p.failed >= s.opts.CallbackAttempts {
		s.stats.called(func(c *CallbackCounts) { c.GivenUp++ })
		s.callEnded()
		return
	}
	// Doubled at most 16 times: far beyond any use, and far from overflow.
	s.later(s.opts.CallbackBackoff<<min(p.failed-1, 16), func() { s.send(p) })
}

// attempt returns how the receiver answered the callback, 0 for not at all.
func (s *Server) attempt(p *post) (status int) {
	ctx, cancel := context.WithTimeout(s.ctx, callbackTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(p.body))
	if err != nil {
		return 0
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Ittybit-Fake")
	if s.opts.SigningSecret != "" {
		mac := hmac.New(sha256.New, []byte(s.opts.SigningSecret))
		mac.Write(p.body)
		request.Header.Set(SignatureHeader, hex.EncodeToString(mac.Sum(nil)))
	}
	response, err := s.callback.Do(request)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	// Read to the end, within reason, so that the connection can be used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	return response.StatusCode
}

// callbackClient uses no proxy and follows no redirect: everything is on this
// machine, and a redirect could lead anywhere.
func callbackClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = &http.Transport{MaxIdleConnsPerHost: callsAtOnce, IdleConnTimeout: 30 * time.Second}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func onLoopback(address string) bool {
	u, err := url.Parse(address)
	return err == nil && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

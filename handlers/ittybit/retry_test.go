package ittybit_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/handlers/ittybit"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func traceConns(ctx context.Context, n *atomic.Int32) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if !i.Reused {
			n.Add(1)
		}
	}})
}

func response(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// recorder is a server without a network, on the time of a synctest bubble: it
// notes when it was called, and what was sent.
type recorder struct {
	answer func(n int, r *http.Request) (*http.Response, error) // n counts from 1
	at     []time.Duration
	bodies []string
	start  time.Time
}

func (s *recorder) client(t *testing.T, change ...func(*ittybit.Options)) *ittybit.Client {
	t.Helper()
	s.start = time.Now()
	o := ittybit.Options{
		BaseURL: "https://api.example",
		Key:     fixedKey(apiKey),
		HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			s.at = append(s.at, time.Since(s.start))
			if r.Body != nil {
				body, _ := io.ReadAll(r.Body)
				s.bodies = append(s.bodies, string(body))
			}
			return s.answer(len(s.at), r)
		})},
	}
	for _, f := range change {
		f(&o)
	}
	c, err := ittybit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *recorder) expect(t *testing.T, waits ...[2]time.Duration) {
	t.Helper()
	if len(s.at) != len(waits)+1 {
		t.Fatalf("%d attempts, want %d", len(s.at), len(waits)+1)
	}
	for i, w := range waits {
		if d := s.at[i+1] - s.at[i]; d < w[0] || d > w[1] {
			t.Errorf("wait %d is %v, want %v to %v", i+1, d, w[0], w[1])
		}
	}
}

func between(least, most time.Duration) [2]time.Duration { return [2]time.Duration{least, most} }

const busy = `{"kind":"internal_error","message":"busy"}`

func TestRetries(t *testing.T) {
	t.Parallel()
	reset := errors.New("connection reset by peer")
	failures := map[string]func() (*http.Response, error){
		"network":         func() (*http.Response, error) { return nil, reset },
		"408":             func() (*http.Response, error) { return response(408, ""), nil },
		"429":             func() (*http.Response, error) { return response(429, busy), nil },
		"500":             func() (*http.Response, error) { return response(500, busy), nil },
		"503":             func() (*http.Response, error) { return response(503, "<html>"), nil },
		"body breaks off": func() (*http.Response, error) { return brokenBody(), nil },
	}
	for name, failure := range failures {
		t.Run(name+" then success", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := recorder{answer: func(n int, _ *http.Request) (*http.Response, error) {
					if n < 3 {
						return failure()
					}
					return response(201, `{"id":"job_1"}`), nil
				}}
				got, err := s.client(t).Create(t.Context(), []byte(`{"input":"s3://b/k"}`), "k")
				if err != nil || got.JobID != "job_1" {
					t.Errorf("got %+v, %v", got, err)
				}
				s.expect(t, between(500*time.Millisecond, time.Second), between(500*time.Millisecond, 2*time.Second))
				for _, body := range s.bodies {
					if body != `{"input":"s3://b/k"}` {
						t.Errorf("sent %q", body)
					}
				}
			})
		})
		t.Run(name+" for good", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := recorder{answer: func(int, *http.Request) (*http.Response, error) { return failure() }}
				_, err := s.client(t).Create(t.Context(), []byte(`{}`), "k")
				e := asError(t, err)
				if len(s.at) != 3 || e.Permanent() {
					t.Errorf("%d attempts, %v", len(s.at), e)
				}
				if name == "network" && (!errors.Is(err, reset) || e.Kind != "no_answer" || e.Status != 0) {
					t.Errorf("got %+v", e)
				}
			})
		})
		t.Run(name+" in one attempt", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := recorder{answer: func(int, *http.Request) (*http.Response, error) { return failure() }}
				if _, err := s.client(t).Attempts(0).Get(t.Context(), "job_1"); err == nil || len(s.at) != 1 {
					t.Errorf("%d attempts, %v", len(s.at), err)
				}
			})
		})
	}
}

func brokenBody() *http.Response {
	r := response(201, "")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"id":"jo`), failingReader{}))
	return r
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRefusedKeyIsNoAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := recorder{answer: func(n int, _ *http.Request) (*http.Response, error) {
			return response([]int{500, 401, 500, 201}[n-1], `{"id":"job_1"}`), nil
		}}
		c := s.client(t, func(o *ittybit.Options) { o.RefreshKey = fixedKey("ittybit_live_fresh") })
		if _, err := c.Create(t.Context(), []byte(`{}`), "k"); err != nil {
			t.Error(err)
		}
		s.expect(t, between(500*time.Millisecond, time.Second), between(0, 0), between(500*time.Millisecond, 2*time.Second))
	})
}

func TestBackoffStaysWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := recorder{answer: func(int, *http.Request) (*http.Response, error) { return response(500, ""), nil }}
		_, _ = s.client(t).Attempts(40).Create(t.Context(), []byte(`{}`), "k")
		waits := make([][2]time.Duration, 39)
		for i := range waits {
			waits[i] = between(500*time.Millisecond, 5*time.Second)
		}
		s.expect(t, waits...)
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const spread = 500 * time.Millisecond
	tests := []struct {
		name  string
		value func() string
		wait  [2]time.Duration
	}{
		{name: "seconds", value: func() string { return "7" }, wait: between(7*time.Second, 7*time.Second+spread)},
		{name: "date", value: func() string { return time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat) }, wait: between(8*time.Second, 9*time.Second+spread)},
		{name: "at once", value: func() string { return "0" }, wait: between(500*time.Millisecond, time.Second)},
		{name: "negative", value: func() string { return "-5" }, wait: between(500*time.Millisecond, time.Second)},
		{name: "past date", value: func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }, wait: between(500*time.Millisecond, time.Second)},
		{name: "nonsense", value: func() string { return "soon" }, wait: between(500*time.Millisecond, time.Second)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := recorder{answer: func(n int, _ *http.Request) (*http.Response, error) {
					if n == 1 {
						return response(429, busy, "Retry-After", tt.value()), nil
					}
					return response(200, `{"id":"job_1"}`), nil
				}}
				if _, err := s.client(t).Create(t.Context(), []byte(`{}`), "k"); err != nil {
					t.Fatal(err)
				}
				s.expect(t, tt.wait)
			})
		})
	}
}

func TestLongRetryAfterIsToldAtOnce(t *testing.T) {
	t.Parallel()
	for _, seconds := range []int{61, 3600, 99_999_999} {
		synctest.Test(t, func(t *testing.T) {
			s := recorder{answer: func(int, *http.Request) (*http.Response, error) {
				return response(429, busy, "Retry-After", strconv.Itoa(seconds)), nil
			}}
			_, err := s.client(t).Create(t.Context(), []byte(`{}`), "k")
			if e := asError(t, err); e.RetryAfter != time.Duration(min(seconds, 86_400))*time.Second || time.Since(s.start) != 0 || len(s.at) != 1 {
				t.Errorf("got %+v after %v", e, time.Since(s.start))
			}
		})
	}
}

func TestDeadlineIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		left       time.Duration
		retryAfter string
		attempts   int
	}{
		{name: "the wait fits", left: 4 * time.Second, retryAfter: "3", attempts: 2},
		{name: "too little is left after it", left: 3400 * time.Millisecond, retryAfter: "3", attempts: 1},
		{name: "it is past the deadline", left: 2 * time.Second, retryAfter: "3", attempts: 1},
		{name: "no time for a backoff", left: 900 * time.Millisecond, attempts: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.left)
				defer cancel()
				s := recorder{answer: func(int, *http.Request) (*http.Response, error) {
					return response(503, busy, "Retry-After", tt.retryAfter), nil
				}}
				_, err := s.client(t).Attempts(2).Create(ctx, []byte(`{}`), "k")
				if e := asError(t, err); e.Status != 503 || e.Kind != "internal_error" {
					t.Errorf("got %v", err)
				}
				if len(s.at) != tt.attempts || ctx.Err() != nil {
					t.Errorf("%d attempts, want %d; %v", len(s.at), tt.attempts, ctx.Err())
				}
				if tt.attempts == 1 && time.Since(s.start) != 0 {
					t.Errorf("waited for %v", time.Since(s.start))
				}
			})
		})
	}
}

func silence(_ int, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestSilenceEndsAnAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := recorder{answer: silence}
		_, err := s.client(t).Create(t.Context(), []byte(`{}`), "k")
		if e := asError(t, err); e.Kind != "no_answer" || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(e.Error(), "no answer in time") {
			t.Errorf("got %v", err)
		}
		s.expect(t, between(10*time.Second, 12*time.Second), between(10*time.Second, 13*time.Second))
	})
}

func TestSilenceEndsWithTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		s := recorder{answer: silence}
		_, err := s.client(t).Create(ctx, []byte(`{}`), "k")
		if !errors.Is(err, context.DeadlineExceeded) || len(s.at) != 1 || time.Since(s.start) != 3*time.Second {
			t.Errorf("got %v after %d attempts, %v", err, len(s.at), time.Since(s.start))
		}
	})
}

func TestCancelling(t *testing.T) {
	t.Parallel()
	t.Run("an attempt", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			s := recorder{answer: func(n int, r *http.Request) (*http.Response, error) {
				cancel()
				return silence(n, r)
			}}
			_, err := s.client(t).Create(ctx, []byte(`{}`), "k")
			if !errors.Is(err, context.Canceled) || len(s.at) != 1 || time.Since(s.start) != 0 {
				t.Errorf("got %v after %d attempts", err, len(s.at))
			}
		})
	})
	t.Run("a wait", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			s := recorder{answer: func(int, *http.Request) (*http.Response, error) {
				time.AfterFunc(100*time.Millisecond, cancel)
				return response(500, busy), nil
			}}
			_, err := s.client(t).Create(ctx, []byte(`{}`), "k")
			if e := asError(t, err); !errors.Is(err, context.Canceled) || e.Status != 500 || len(s.at) != 1 {
				t.Errorf("got %v after %d attempts", err, len(s.at))
			}
			if time.Since(s.start) != 100*time.Millisecond {
				t.Errorf("after %v", time.Since(s.start))
			}
		})
	})
}

// The error of a custom transport may quote anything.
func TestNetworkErrorsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := recorder{answer: func(_ int, r *http.Request) (*http.Response, error) {
			return nil, errors.New("cannot send " + r.Header.Get("Authorization") + " key " + apiKey + " to /webhook?token=eyJ.abc.def")
		}}
		_, err := s.client(t).Attempts(1).Create(t.Context(), []byte(`{}`), "k")
		if text := err.Error(); strings.Contains(text, apiKey) || strings.Contains(text, "eyJ") {
			t.Errorf("got %s", text)
		}
	})
}

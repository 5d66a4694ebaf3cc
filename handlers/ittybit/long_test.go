package ittybit_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"ittybit-media/handlers/ittybit"
)

// transport answers requests without a network, in a bubble.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Long answers are read one at a time, so that several do not take more memory
// than a function has. A call waits for its turn no longer than its context.
func TestLongAnswersAreReadOneAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const gets = 3
		body := `{"id":"job_1","results":"` + strings.Repeat("x", 2<<20) + `"}`
		requests, goOn := make(chan struct{}, 2*gets), make(chan struct{})
		c, err := ittybit.New(ittybit.Options{BaseURL: ittybit.DefaultURL, Key: fixedKey(apiKey), HTTP: &http.Client{
			Transport: transport(func(*http.Request) (*http.Response, error) {
				requests <- struct{}{}
				<-goOn
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
			}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		failures := make(chan error, gets)
		for range gets {
			go func() {
				_, err := c.Get(ctx, "job_1")
				failures <- err
			}()
		}
		synctest.Wait()
		for range gets { // each finds that its answer is long
			goOn <- struct{}{}
			<-requests
		}
		synctest.Wait()
		if n := len(requests); n != 1 {
			t.Errorf("%d long answers are read at once", n)
		}
		cancel()
		synctest.Wait()
		if n := len(failures); n != gets-1 {
			t.Errorf("%d calls ended with their context, want those that wait for their turn", n)
		}
		goOn <- struct{}{}
		for range gets {
			if err := <-failures; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}

// A job's answer can be much longer than one to a request for a job: its result
// may have a file for every few seconds of a film.
func TestGetReadsLongAnswers(t *testing.T) {
	t.Parallel()
	const most = 16 << 20
	for name, tt := range map[string]struct {
		length int
		kind   string
	}{
		"16 MiB":      {length: most, kind: ""},
		"over 16 MiB": {length: most + 1, kind: "malformed_answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const before, after = `{"id":"job_1","status":"succeeded","results":"`, `"}`
			body := before + strings.Repeat("x", tt.length-len(before+after)) + after
			got, err := newClient(t, answers(200, body)).Get(t.Context(), "job_1")
			if tt.kind == "" {
				if err != nil || got.JobID != "job_1" {
					t.Errorf("got %s, %v", got.JobID, err)
				}
				return
			}
			if e := asError(t, err); e.Kind != tt.kind || e.OtherJob() {
				t.Errorf("got %+v", e)
			}
		})
	}
}

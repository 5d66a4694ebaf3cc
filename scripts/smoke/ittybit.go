package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/secrets"
)

// openIttybit makes a client with the key that the functions use. It fails
// where nothing could work: without a key, or with one that Ittybit refuses.
// Where only this machine cannot ask Ittybit, it goes on without.
func (s *smoke) openIttybit(ctx context.Context) error {
	settings := s.out.Settings
	client, _, err := function.OpenAccount(s.stack.AWS(), settings.IttybitAPIURL,
		env.APIKey{Secret: settings.APIKeySecret, Parameter: settings.APIKeyParameter}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	err = client.Check(ctx)
	refusal, answered := errors.AsType[*ittybit.Error](err)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return err
	case errors.Is(err, secrets.ErrMissing) && s.out.APIKeyCommand != "":
		return fmt.Errorf("no job can be made without Ittybit's API key; put it in with\n\n  %s\n\n%w", s.call.FillKey(), err)
	case errors.Is(err, secrets.ErrMissing), answered && refusal.Status == http.StatusUnauthorized:
		return fmt.Errorf("no job can be made: %w", err)
	case answered:
		s.note("Ittybit", "Ittybit does not answer as it should, so expect more trouble: %v", err)
	case errors.Is(err, secrets.ErrDenied):
		s.note("Ittybit", "these credentials may not read Ittybit's API key, so that less can be told: %v", err)
		return nil
	default:
		s.note("Ittybit", "Ittybit cannot be asked from here, so that less can be told: %v", err)
		return nil
	}
	s.ittybit = client
	return nil
}

// input is the upload as Ittybit's jobs name it.
func (s *smoke) input() string { return s.inputOf(s.key) }

func (s *smoke) inputOf(key string) string { return media.Upload{Bucket: s.out.Bucket, Key: key}.URL() }

// request is the body of a job of a question's own. It has no webhook_url, so
// that no row comes of it, and no metadata by which dispatch would take it for
// one of its jobs.
type request map[string]any

// small asks for as little as there is to ask for, with the connection as the
// stack names it.
func (s *smoke) small(input string) request {
	settings := s.out.Settings
	return s.connected(input, settings.ConnectionPlacement, settings.ConnectionID)
}

func (s *smoke) connected(input string, at media.Placement, connection string) request {
	options := map[string]any{"width": 64, "format": "jpeg"}
	r := request{"input": input, "kind": "image", "options": options, "metadata": map[string]string{"smoke": s.marker}}
	switch {
	case connection == "":
	case at == media.PlacementRoot:
		r[media.ConnectionOption] = connection
	default:
		options[media.ConnectionOption] = connection
	}
	return r
}

// end is what became of a job that was asked for.
type end struct {
	id  string
	ok  bool  // it succeeded
	no  error // Ittybit refused it, or it failed
	err error // what became of it is not known
}

// said is what Ittybit said against a job.
func (e end) said() string {
	switch {
	case e.ok:
		return "it succeeds"
	case e.no != nil:
		return e.no.Error()
	}
	return e.err.Error()
}

// create makes a job with one request.
func (s *smoke) create(ctx context.Context, r request, idempotencyKey string) end {
	body, err := json.Marshal(r)
	if err != nil {
		return end{err: err}
	}
	job, err := s.ittybit.Attempts(1).Create(ctx, body, idempotencyKey)
	if refusal, ok := errors.AsType[*ittybit.Error](err); ok && refused(refusal) {
		return end{no: err}
	}
	return end{id: job.JobID, err: err}
}

// refused reports whether an answer is about the request, and not about the
// account, the network or the moment.
func refused(e *ittybit.Error) bool {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return e.FromIttybit && e.Status/100 == 4
}

// run makes a job and waits for its end.
func (s *smoke) run(ctx context.Context, r request) end {
	e := s.create(ctx, r, rand.Text())
	if e.id == "" {
		return e
	}
	limited, cancel := context.WithTimeout(ctx, s.pace.job)
	defer cancel()
	for {
		job, err := s.ittybit.Get(limited, e.id)
		switch {
		case err != nil:
			e.err = err
			return e
		case job.State == media.Succeeded:
			e.ok = true
			return e
		case job.State.Final():
			e.no = fmt.Errorf("the job %s: %s", job.State, job.Error)
			return e
		}
		if !s.pause(limited) {
			e.err = fmt.Errorf("the job is not over after %v", s.pace.job)
			return e
		}
	}
}

// runAll runs jobs at once.
func (s *smoke) runAll(ctx context.Context, requests []request) []end {
	ends := make([]end, len(requests))
	var running sync.WaitGroup
	for i, r := range requests {
		running.Go(func() { ends[i] = s.run(ctx, r) })
	}
	running.Wait()
	return ends
}

package lambda

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxErrorBytes bounds what a process may say about an error: stack traces are
// long, but not that long.
const maxErrorBytes = 1 << 20

// runtimeAPI is the HTTP API that a process gets its events from (AWS Lambda
// Developer Guide, "Using the Lambda runtime API for custom runtimes").
func (p *process) runtimeAPI() http.Handler {
	const api = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+api+"invocation/next", p.next)
	mux.HandleFunc("POST "+api+"invocation/{id}/response", p.response)
	mux.HandleFunc("POST "+api+"invocation/{id}/error", p.failed)
	mux.HandleFunc("POST "+api+"init/error", p.initFailed)
	return mux
}

// next blocks until there is an event, however long that takes.
func (p *process) next(w http.ResponseWriter, r *http.Request) {
	p.initOnce.Do(func() { p.initTime = time.Since(p.started) })
	select {
	case p.asked <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	select {
	case inv := <-p.events:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", inv.arn)
		h.Set("Lambda-Runtime-Trace-Id", traceID(time.Now()))
		_, _ = w.Write(inv.payload) // a process that is gone is noticed by its end
	case <-r.Context().Done():
	}
}

// response takes an answer. A runtime that fails while it streams says so in
// trailers, after a body that looks like success.
func (p *process) response(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPayload))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		message := fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", MaxPayload)
		p.answer(r.PathValue("id"), Result{Payload: encode(functionError{message, "Function.ResponseSizeTooLarge"}), FunctionError: unhandled})
		reply(w, http.StatusRequestEntityTooLarge, functionError{message, "RequestEntityTooLarge"})
		return
	}
	if err != nil { // it died while it spoke
		return
	}
	result := Result{Payload: body}
	if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" {
		result.FunctionError = unhandled
		result.Payload, err = base64.StdEncoding.DecodeString(r.Trailer.Get("Lambda-Runtime-Function-Error-Body"))
		if err != nil || len(result.Payload) == 0 {
			result.Payload = encode(functionError{"the function failed while it sent its answer", kind})
		}
	}
	p.accept(w, r, result)
}

func (p *process) failed(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxErrorBytes))
	if err != nil {
		reply(w, http.StatusBadRequest, functionError{err.Error(), "InvalidErrorShape"})
		return
	}
	p.accept(w, r, Result{Payload: body, FunctionError: unhandled})
}

// initFailed takes the reason for which a process is about to exit.
func (p *process) initFailed(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxErrorBytes))
	var cause functionError
	if err == nil && json.Unmarshal(body, &cause) == nil {
		p.mu.Lock()
		p.initCause = cause.Message
		p.mu.Unlock()
	}
	reply(w, http.StatusAccepted, status{"OK"})
}

func (p *process) accept(w http.ResponseWriter, r *http.Request, result Result) {
	if !p.answer(r.PathValue("id"), result) {
		reply(w, http.StatusBadRequest, functionError{"Invalid request ID", "InvalidRequestID"})
		return
	}
	reply(w, http.StatusAccepted, status{"OK"})
}

type status struct {
	Status string `json:"status"`
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(encode(body))
}

// traceID is a tracing header of a trace that is not sampled (AWS X-Ray
// Developer Guide, "Tracing header").
func traceID(now time.Time) string {
	var random [20]byte
	_, _ = rand.Read(random[:]) // never fails
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", now.Unix(), hex.EncodeToString(random[:12]), hex.EncodeToString(random[12:]))
}

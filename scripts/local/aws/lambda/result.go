package lambda

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// unhandled is what Lambda says of every error of a custom runtime.
const unhandled = "Unhandled"

// functionError is an error as the Runtime API and Lambda's answers put it.
type functionError struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

func failure(id, kind, message string) Result {
	return Result{
		RequestID:     id,
		Payload:       encode(functionError{fmt.Sprintf("RequestId: %s Error: %s", id, message), kind}),
		FunctionError: unhandled,
	}
}

func timeout(id string, after time.Duration) Result {
	return failure(id, "Sandbox.Timedout", fmt.Sprintf("Task timed out after %.2f seconds", after.Seconds()))
}

func exited(id, end string) Result { return failure(id, "Runtime.ExitError", end) }

func initFailure(id string, err error) Result {
	kind := "Runtime.Unknown"
	if e, ok := errors.AsType[*initError](err); ok {
		kind = e.kind
	}
	return failure(id, kind, err.Error())
}

// errorType is the kind of error that a result carries; empty if none.
func errorType(r Result) string {
	if r.FunctionError == "" {
		return ""
	}
	var e functionError
	if err := json.Unmarshal(r.Payload, &e); err != nil || e.Type == "" {
		return r.FunctionError
	}
	return e.Type
}

// The envelope is written in two parts around the event, which must pass
// through byte for byte: encoding/json would compact and escape it (AWS Lambda
// Developer Guide, "Capturing records of Lambda asynchronous invocations").
type envelopeHead struct {
	Version        string `json:"version"`
	Timestamp      string `json:"timestamp"`
	RequestContext struct {
		RequestID   string `json:"requestId"`
		FunctionARN string `json:"functionArn"`
		Condition   string `json:"condition"`
		InvokeCount int    `json:"approximateInvokeCount"`
	} `json:"requestContext"`
}

type envelopeTail struct {
	ResponseContext struct {
		StatusCode      int    `json:"statusCode"`
		ExecutedVersion string `json:"executedVersion"`
		FunctionError   string `json:"functionError"`
	} `json:"responseContext"`
	ResponsePayload json.RawMessage `json:"responsePayload"`
}

// envelope is what an on-failure destination gets of a failed invocation.
func envelope(arn string, now time.Time, payload []byte, r Result) []byte {
	var head envelopeHead
	head.Version = "1.0"
	head.Timestamp = now.UTC().Format("2006-01-02T15:04:05.000Z")
	head.RequestContext.RequestID = r.RequestID
	head.RequestContext.FunctionARN = arn + ":" + version
	head.RequestContext.Condition = "RetriesExhausted"
	head.RequestContext.InvokeCount = 1

	var tail envelopeTail
	tail.ResponseContext.StatusCode = 200
	tail.ResponseContext.ExecutedVersion = version
	tail.ResponseContext.FunctionError = r.FunctionError
	tail.ResponsePayload = r.Payload
	if !json.Valid(r.Payload) { // a runtime may report anything
		tail.ResponsePayload = encode(string(r.Payload))
	}

	first, second := encode(head), encode(tail)
	return bytes.Join([][]byte{
		first[:len(first)-1], []byte(`,"requestPayload":`), payload, []byte(","), second[1:],
	}, nil)
}

// encode is for values that encoding/json cannot refuse.
func encode(value any) []byte {
	text, _ := json.Marshal(value)
	return text
}

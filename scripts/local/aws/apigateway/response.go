package apigateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/aws/aws-lambda-go/events"
)

// response is what a client gets.
type response struct {
	status int
	header http.Header
	body   []byte
}

// message is API Gateway's own answer of a status.
func message(status int) response {
	body, _ := json.Marshal(map[string]string{"message": http.StatusText(status)}) // strings always encode
	return response{status, http.Header{"Content-Type": {"application/json"}}, body}
}

// decode reads a function's answer. JSON without a statusCode is itself the
// body of a 200.
func decode(payload []byte) (response, error) {
	if !json.Valid(payload) {
		return response{}, errors.New("not JSON")
	}
	var shape struct {
		StatusCode *json.RawMessage `json:"statusCode"`
	}
	if err := json.Unmarshal(payload, &shape); err != nil || shape.StatusCode == nil {
		return response{http.StatusOK, http.Header{"Content-Type": {"application/json"}}, payload}, nil
	}
	var answer events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(payload, &answer); err != nil {
		return response{}, err
	}
	if answer.StatusCode < 200 || answer.StatusCode > 599 {
		return response{}, fmt.Errorf("statusCode %d is not within 200 and 599", answer.StatusCode)
	}
	body := []byte(answer.Body)
	if answer.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(answer.Body); err != nil {
			return response{}, fmt.Errorf("body: %w", err)
		}
	}
	header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	for name, value := range answer.Headers {
		header.Set(name, value)
	}
	for _, cookie := range answer.Cookies {
		header.Add("Set-Cookie", cookie)
	}
	return response{answer.StatusCode, header, body}, nil
}

func (a response) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	// These describe the connection, which is not the function's.
	for _, name := range []string{"Connection", "Transfer-Encoding", "Upgrade", "Trailer"} {
		w.Header().Del(name)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	if a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that is gone does not miss it
}

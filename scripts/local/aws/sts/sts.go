// Package sts is an emulator of the Security Token Service: it tells callers
// who they are, in the query protocol that STS still speaks.
package sts

import (
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"net/url"

	"ittybit-media/scripts/local/aws/endpoint"
)

// The version of the API, and the namespace of its answers (AWS Security Token
// Service API Reference, "GetCallerIdentity").
const (
	version   = "2011-06-15"
	namespace = "https://sts.amazonaws.com/doc/2011-06-15/"
)

// API is STS's API, for the users of an account.
func API(account string) endpoint.Service {
	return endpoint.Service{
		Name:       endpoint.ServiceSTS,
		Find:       find,
		Operations: map[string]endpoint.Operation{"GetCallerIdentity": identity(account)},
		WriteFault: writeFault,
	}
}

// find knows the requests by their version: they name no service.
func find(_ *http.Request, body []byte) (operation string, ok bool) {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Version") != version {
		return "", false
	}
	return form.Get("Action"), true
}

// caller is the answer of GetCallerIdentity.
type caller struct {
	XMLName   xml.Name `xml:"GetCallerIdentityResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Arn       string   `xml:"GetCallerIdentityResult>Arn"`
	UserID    string   `xml:"GetCallerIdentityResult>UserId"`
	Account   string   `xml:"GetCallerIdentityResult>Account"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

// identity takes every access key for a user of its own.
func identity(account string) endpoint.Operation {
	return func(r *endpoint.Request) (any, error) {
		return answer(http.StatusOK, caller{
			Namespace: namespace,
			Arn:       "arn:aws:iam::" + account + ":user/" + r.AccessKey,
			UserID:    r.AccessKey,
			Account:   account,
			RequestID: rand.Text(),
		}), nil
	}
}

// refused is an answer that is an error.
type refused struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

func writeFault(w http.ResponseWriter, f *endpoint.Fault) {
	answer(f.HTTPStatus(), refused{Namespace: namespace, Type: "Sender", Code: f.Type, Message: f.Message, RequestID: rand.Text()}).Write(w)
}

func answer(status int, value any) endpoint.Response {
	body, _ := xml.Marshal(value) // texts only: it cannot fail
	return endpoint.Response{Status: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: body}
}

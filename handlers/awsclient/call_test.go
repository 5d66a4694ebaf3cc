package awsclient_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"ittybit-media/handlers/awsclient"
)

// What a call sends and makes of answers is tested where it is used:
// handlers/secrets.

// watched tells when an answer has been read to its end.
type watched struct {
	*http.Client
	done chan struct{}
}

type body struct {
	io.ReadCloser
	done chan struct{}
}

func (w watched) Do(r *http.Request) (*http.Response, error) {
	resp, err := w.Client.Do(r)
	if err == nil {
		resp.Body = body{resp.Body, w.done}
	}
	return resp, err
}

func (b body) Close() error {
	err := b.ReadCloser.Close()
	b.done <- struct{}{}
	return err
}

func TestACallFindsTheConnectionOpen(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && (r.URL.Path != "/" || r.Header.Get("Authorization") != "") {
			t.Errorf("unexpected request %s %s %v", r.Method, r.URL, r.Header)
		}
		_, _ = io.WriteString(w, `{"Answer":"42"}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := watched{server.Client(), make(chan struct{}, 2)}
	c := awsclient.NewClient(aws.Config{
		Region: "eu-west-1", BaseEndpoint: &server.URL, HTTPClient: client,
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "s", ""),
	}, awsclient.Service{Name: "Service", ID: "Service", Signed: "service", Target: "Service"})
	c.Connect()
	<-client.done
	var out struct{ Answer string }
	if err := c.Call(t.Context(), "Ask", struct{}{}, &out); err != nil || out.Answer != "42" || opened.Load() != 1 {
		t.Errorf("got %+v, %v over %d connections", out, err, opened.Load())
	}
}

func TestNobodyToConnectTo(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	failed := make(chan error, 1)
	c := awsclient.NewClient(aws.Config{Region: "eu-west-1", BaseEndpoint: &server.URL, HTTPClient: refusals(failed)}, awsclient.Service{})
	c.Connect()
	if err := <-failed; err == nil {
		t.Error("somebody answered")
	}
}

// refusals tells how requests fail.
type refusals chan error

func (f refusals) Do(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultClient.Do(r)
	f <- err
	return resp, err
}

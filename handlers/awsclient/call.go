package awsclient

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// maxAnswer bounds an answer, in bytes: a secret has 64 KB, which JSON can make
// several times as long.
const maxAnswer = 512 << 10

// Service is a service that is called.
type Service struct {
	Name   string // for people
	ID     string // by which the SDK finds a service's endpoint
	Signed string // in signatures, host names and IAM actions
	Target string // in X-Amz-Target, before the operation
}

// Client calls single operations of a service that speaks the AWS JSON
// protocol. It replaces the SDK's client where a function wants one call:
// linking such a client, with the schemas of all its operations, costs every
// start what BENCHMARKS.md says, while the protocol is a POST of JSON. The
// signer, the retry rules, the HTTP client and the errors are the SDK's own.
type Client struct {
	cfg      aws.Config
	service  Service
	endpoint string
	signer   *v4.Signer
}

// NewClient returns a client that goes to where the SDK's would: the
// configuration's endpoint for the service, or the region's own.
func NewClient(cfg aws.Config, s Service) *Client {
	c := &Client{cfg: cfg, service: s, endpoint: "https://" + s.Signed + "." + cfg.Region + "." + Domain(cfg.Region), signer: v4.NewSigner()}
	if cfg.Retryer == nil {
		c.cfg.Retryer = func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = cmp.Or(cfg.RetryMaxAttempts, o.MaxAttempts) })
		}
	}
	if cfg.HTTPClient == nil {
		c.cfg.HTTPClient = http.DefaultClient
	}
	if cfg.BaseEndpoint != nil {
		c.endpoint = *cfg.BaseEndpoint
	}
	for _, source := range cfg.ConfigSources {
		if s, ok := source.(interface {
			GetServiceBaseEndpoint(context.Context, string) (string, bool, error)
		}); ok {
			if url, found, err := s.GetServiceBaseEndpoint(context.Background(), c.service.ID); err == nil && found {
				c.endpoint = url
			}
		}
	}
	return c
}

// Call does an operation and decodes its answer into out. It retries what the
// SDK's clients would. A refusal by the service is a [smithy.APIError]; no
// error quotes the answer but for the message in a refusal.
func (c *Client) Call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	retryer := c.cfg.Retryer()
	for attempt := 1; ; attempt++ {
		err = c.once(ctx, operation, body, out)
		if err == nil || attempt >= retryer.MaxAttempts() || !retryer.IsErrorRetryable(err) || ctx.Err() != nil {
			return err
		}
		delay, giveUp := retryer.RetryDelay(attempt, err)
		if giveUp != nil {
			return err
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (c *Client) once(ctx context.Context, operation string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.URL.Path = cmp.Or(req.URL.Path, "/")
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", c.service.Target+"."+operation)
	if c.cfg.AppID != "" {
		req.Header.Set("User-Agent", "app/"+c.cfg.AppID) // as the SDK's clients name it
	}
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), c.service.Signed, c.cfg.Region, time.Now()); err != nil {
		return err
	}
	resp, err := c.cfg.HTTPClient.Do(req)
	if err != nil {
		return &smithyhttp.RequestSendError{Err: err} // the retry rules know it
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return &smithyhttp.RequestSendError{Err: err}
	}
	if resp.StatusCode != http.StatusOK {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: resp}, Err: c.refusal(text)}
	}
	if json.Unmarshal(text, out) != nil { // its error could quote a secret
		return fmt.Errorf("the answer to %s:%s is not JSON", c.service.Signed, operation)
	}
	return nil
}

// openTimeout bounds what [Client.Connect] does: later it is of no use.
const openTimeout = 2 * time.Second

// Connect begins to open a connection to the service, so that the first call
// finds it open: with name lookup and TLS, that takes longer than the call. All
// clients of the configuration's HTTP client share it. It is an unsigned GET,
// which every such service answers at once, in whatever way; where it fails,
// the first call will tell.
func (c *Client) Connect() {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint, nil)
		if err != nil {
			return
		}
		if resp, err := c.cfg.HTTPClient.Do(req); err == nil {
			_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // or the connection would be closed
			_ = resp.Body.Close()
		}
	}()
}

// refusal is the error in an answer.
func (c *Client) refusal(text []byte) error {
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &e) != nil || e.Type == "" {
		return fmt.Errorf("an answer that is none of %s's", c.service.Name)
	}
	_, code, found := strings.Cut(e.Type, "#") // a namespace may stand before it
	if !found {
		code = e.Type
	}
	return &smithy.GenericAPIError{Code: code, Message: e.Message}
}

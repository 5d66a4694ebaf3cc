// Package parameterstore reads secrets from AWS Systems Manager Parameter Store.
package parameterstore

import (
	"bytes"
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
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ittybit-media/handlers/secrets"
)

const (
	serviceID  = "SSM" // by which the SDK finds a service's endpoint
	signedName = "ssm" // in signatures and host names
	target     = "AmazonSSM.GetParameter"
	maxAnswer  = 64 << 10 // bytes; a parameter has 8 KB at most
)

// client makes the one call. By hand, over the SDK's own signer, retry rules and
// HTTP client: linking service/ssm, with the schemas of all its operations, costs
// 2 ms of every start (of some 6) and 1.2 MB.
type client struct {
	cfg      aws.Config
	endpoint string
	signer   *v4.Signer
}

func newClient(cfg aws.Config) client {
	c := client{cfg: cfg, endpoint: "https://" + signedName + "." + cfg.Region + "." + domain(cfg.Region), signer: v4.NewSigner()}
	if cfg.BaseEndpoint != nil {
		c.endpoint = *cfg.BaseEndpoint
	}
	for _, source := range cfg.ConfigSources {
		if s, ok := source.(interface {
			GetServiceBaseEndpoint(context.Context, string) (string, bool, error)
		}); ok {
			if url, found, err := s.GetServiceBaseEndpoint(context.Background(), serviceID); err == nil && found {
				c.endpoint = url
			}
		}
	}
	return c
}

// domain is that of the region's partition ("Regions and Zones", AWS General
// Reference). Others are reached through AWS_ENDPOINT_URL_SSM.
func domain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// get is the parameter's value, decrypted, and whether it has one. It retries
// what the SDK's clients would.
func (c client) get(ctx context.Context, name string) (value *string, err error) {
	body, err := json.Marshal(map[string]any{"Name": name, "WithDecryption": true})
	if err != nil {
		return nil, err
	}
	retryer := c.cfg.Retryer()
	for attempt := 1; ; attempt++ {
		value, err = c.once(ctx, body)
		if err == nil || attempt >= retryer.MaxAttempts() || !retryer.IsErrorRetryable(err) || ctx.Err() != nil {
			return value, err
		}
		delay, giveUp := retryer.RetryDelay(attempt, err)
		if giveUp != nil {
			return nil, err
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

func (c client) once(ctx context.Context, body []byte) (*string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if req.URL.Path == "" {
		req.URL.Path = "/"
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target)
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), signedName, c.cfg.Region, time.Now()); err != nil {
		return nil, err
	}
	resp, err := c.cfg.HTTPClient.Do(req)
	if err != nil {
		return nil, &smithyhttp.RequestSendError{Err: err} // the retry rules know it
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &smithyhttp.RequestSendError{Err: err}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: resp}, Err: refusal(text)}
	}
	var answer struct {
		Parameter struct{ Value *string }
	}
	if json.Unmarshal(text, &answer) != nil { // its error could quote the value
		return nil, errors.New("the answer to ssm:GetParameter is not JSON")
	}
	return answer.Parameter.Value, nil
}

// refusal is the error in an answer of the AWS JSON protocol.
func refusal(text []byte) error {
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &e) != nil || e.Type == "" {
		return errors.New("an answer that is none of Parameter Store's")
	}
	_, code, found := strings.Cut(e.Type, "#") // a namespace may stand before it
	if !found {
		code = e.Type
	}
	return &smithy.GenericAPIError{Code: code, Message: e.Message}
}

// From returns the Fetcher of the parameter with the given name or ARN, decrypted if it is a SecureString. The errors wrap
// secrets.ErrMissing, ErrDenied or ErrThrottled where that is the reason.
func From(cfg aws.Config, name string) secrets.Fetcher {
	what := fmt.Sprintf("parameter %q", name)
	fill := fmt.Sprintf("put the value in with `aws ssm put-parameter --overwrite --type SecureString --name %s --value file://FILE`", plainName(name))
	// AWS Systems Manager API Reference, GetParameter, "Errors".
	missing := secrets.Advice{Reason: secrets.ErrMissing, Do: "it does not exist in this region: " + fill}
	advice := map[string]secrets.Advice{
		"ParameterNotFound":        missing,
		"ParameterVersionNotFound": missing,
		"InvalidKeyId":             secrets.AllowDecrypt,
	}
	c := newClient(cfg)
	return func(ctx context.Context) (string, error) {
		value, err := c.get(ctx, name)
		if err != nil {
			return "", secrets.Explain(what, "ssm:GetParameter", err, advice)
		}
		if value == nil {
			return "", fmt.Errorf("%s: %w: it has no value: %s", what, secrets.ErrMissing, fill)
		}
		return *value, nil
	}
}

// plainName turns an ARN into the name that put-parameter asks for, which must not be an ARN (AWS Systems Manager API
// Reference, PutParameter, "Name"). A name with levels starts with a slash that its ARN does not double.
func plainName(name string) string {
	_, path, found := strings.Cut(name, ":parameter/")
	switch {
	case !found:
		return name
	case strings.Contains(path, "/"):
		return "/" + path
	}
	return path
}

package apigateway

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// event translates a request into payload format 2.0 (Amazon API Gateway
// Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs in API
// Gateway").
func (g *gateway) event(r *http.Request, body []byte, id string) ([]byte, error) {
	now := g.cfg.Now().UTC()
	domain := hostname(r.Host)
	prefix, _, _ := strings.Cut(domain, ".")
	source := hostname(r.RemoteAddr)
	event := events.APIGatewayV2HTTPRequest{
		Version:               "2.0",
		RouteKey:              g.cfg.Route,
		RawPath:               r.URL.Path,
		RawQueryString:        r.URL.RawQuery,
		Cookies:               cookies(r.Header),
		Headers:               headers(r, source, len(body)),
		QueryStringParameters: query(r.URL),
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			AccountID:    g.cfg.Account,
			APIID:        prefix,
			DomainName:   domain,
			DomainPrefix: prefix,
			RequestID:    id,
			RouteKey:     g.cfg.Route,
			Stage:        stage,
			Time:         now.Format("02/Jan/2006:15:04:05 -0700"),
			TimeEpoch:    now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method:    r.Method,
				Path:      r.URL.Path,
				Protocol:  r.Proto,
				SourceIP:  source,
				UserAgent: r.UserAgent(),
			},
		},
	}
	if isText(r.Header.Get("Content-Type")) && utf8.Valid(body) {
		event.Body = string(body)
	} else if len(body) > 0 {
		event.Body = base64.StdEncoding.EncodeToString(body)
		event.IsBase64Encoded = true
	}
	return json.Marshal(event)
}

// hostname is an address without its port.
func hostname(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// headers has lower-case names, repeated ones joined with commas, and what API
// Gateway adds.
func headers(r *http.Request, source string, length int) map[string]string {
	joined := make(map[string]string, len(r.Header)+5)
	for name, values := range r.Header {
		if name != "Cookie" {
			joined[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	joined["host"] = r.Host
	joined["content-length"] = strconv.Itoa(length)
	joined["x-forwarded-for"] = strings.TrimPrefix(joined["x-forwarded-for"]+", "+source, ", ")
	// The real one speaks TLS only; functions must not see the difference.
	joined["x-forwarded-proto"] = "https"
	joined["x-forwarded-port"] = "443"
	return joined
}

func cookies(h http.Header) []string {
	var all []string
	for _, line := range h.Values("Cookie") {
		for cookie := range strings.SplitSeq(line, ";") {
			if cookie = strings.TrimSpace(cookie); cookie != "" {
				all = append(all, cookie)
			}
		}
	}
	return all
}

// query has decoded values, repeated ones joined with commas. A pair that
// cannot be decoded is left out.
func query(u *url.URL) map[string]string {
	values := u.Query()
	if len(values) == 0 {
		return nil
	}
	joined := make(map[string]string, len(values))
	for name, list := range values {
		joined[name] = strings.Join(list, ",")
	}
	return joined
}

// isText reports whether a body of this type is passed as text.
func isText(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		// Parameters may be wrong, the type is still what stands in front.
		mediaType, _, _ = strings.Cut(contentType, ";")
		mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	}
	switch mediaType {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(mediaType, "text/")
}

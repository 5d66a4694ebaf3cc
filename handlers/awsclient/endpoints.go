package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const (
	endpointVariable = "AWS_ENDPOINT_URL"
	ignoreVariable   = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
)

// services are the SDK's ids of the services that the functions call.
var services = []string{"DynamoDB", "Secrets Manager", "SSM"}

// variable names the variable that sets the endpoint of one service alone:
// endpointVariable, then the service's id in upper case with underscores.
func variable(service string) string {
	return endpointVariable + "_" + strings.ToUpper(strings.ReplaceAll(service, " ", "_"))
}

// endpoints holds the endpoints that the environment gives instead of AWS's
// own.
type endpoints struct {
	all string
	own map[string]string // by service id
}

// readEndpoints returns an error for each variable whose value cannot be used.
func readEndpoints(getenv func(string) string) (endpoints, error) {
	switch ignore := getenv(ignoreVariable); strings.ToLower(ignore) {
	case "true":
		return endpoints{}, nil
	case "", "false":
	default:
		return endpoints{}, fmt.Errorf("%s: %q is neither true nor false", ignoreVariable, ignore)
	}

	var problems []error
	read := func(name string) string {
		text := getenv(name)
		if text == "" {
			return ""
		}
		// The value stays out of the error: a URL can hold a password.
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			problems = append(problems, fmt.Errorf("%s is not a URL like https://host:port", name))
		}
		return text
	}
	found := endpoints{all: read(endpointVariable), own: make(map[string]string, len(services))}
	for _, service := range services {
		found.own[service] = read(variable(service))
	}
	return found, errors.Join(problems...)
}

// GetServiceBaseEndpoint is called by a service's NewFromConfig, through an
// interface that the SDK does not export; the name and the shape are the SDK's.
func (e endpoints) GetServiceBaseEndpoint(_ context.Context, service string) (string, bool, error) {
	u := e.own[service]
	return u, u != "", nil
}

// Domain returns the domain of the service endpoints of a region ("Regions and
// Zones", AWS General Reference). Other partitions than these two are reached
// through AWS_ENDPOINT_URL and its forms for one service.
func Domain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

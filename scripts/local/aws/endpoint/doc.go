// Package endpoint is an HTTP endpoint for AWS's JSON services: what the AWS
// clients of the handlers and the scripts reach under one AWS_ENDPOINT_URL. A
// [Server] finds out which operation of which [Service] a request is for, lets
// a test step in, and answers in the service's own shape.
//
// It mounts nothing itself: each service is a package beside this one. What a
// service does not know of its API, be it an operation or a parameter, is
// refused, not ignored. Signatures are not checked: the endpoint is on
// loopback.
package endpoint

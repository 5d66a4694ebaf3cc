package main

import (
	"context"
	"errors"

	"ittybit-media/handlers/ittybit"
)

// exampleConnection is the connection in the stack files that come with the
// project.
const exampleConnection = "conn_abc123"

// ittybit asks Ittybit for its jobs, with the key.
func (s *subject) ittybit(ctx context.Context) []finding {
	if wait := s.waits("ittybitApiUrl"); wait != nil {
		return wait
	}
	key, _ := s.key()
	if key == "" {
		return skipped("it is asked when there is a key that can be read")
	}
	client, err := ittybit.New(ittybit.Options{
		BaseURL: s.config.IttybitAPIURL,
		Key:     func(context.Context) (string, error) { return key, nil },
	})
	if err != nil {
		return bad("correct ittybitApiUrl in "+s.file, "%v", err)
	}
	err = client.Check(ctx)
	if err == nil {
		return good("%s takes the key", s.config.IttybitAPIURL)
	}
	const again = "try again later"
	e, answered := errors.AsType[*ittybit.Error](err)
	if !answered {
		return doubtful(again, "%v", err)
	}
	switch status := e.Status; {
	case status == 0:
		return bad("see that this machine reaches it (the network, a proxy), and whether ittybitApiUrl is right", "%s: %v", s.config.IttybitAPIURL, e)
	case status == 401:
		return bad("store the key of the account that is meant; Ittybit's dashboard makes another", "%v", e)
	case status == 402:
		return bad("pay the bill in Ittybit's dashboard", "%v", e)
	case status == 403:
		return bad("take a key of Ittybit's that may list and make jobs", "%v", e)
	case status < 400, status == 404, status == 405: // a success that is no list, a redirect, nobody at home
		return bad("correct ittybitApiUrl in "+s.file, "%s is not Ittybit's API: %v", s.config.IttybitAPIURL, e)
	default:
		return doubtful(again, "%v", e)
	}
}

func (s *subject) connection(context.Context) []finding {
	if wait := s.waits("connectionId"); wait != nil {
		return wait
	}
	const how = "make a connection to the bucket in Ittybit's dashboard, for an IAM user with the policy that up gives (pulumi stack output ittybitConnectionPolicy), and set connectionId"
	switch s.config.ConnectionID {
	case "":
		return doubtful(how, "connectionId is not set: Ittybit uses its default connection, if the account has one")
	case exampleConnection:
		return doubtful(how, "connectionId is the example's, %s", exampleConnection)
	}
	return good("%s", s.config.ConnectionID)
}

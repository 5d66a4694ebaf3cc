package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/operator"
)

// subject is the stack that is looked at: as its file says it is to be, or a
// local run in its place. What several checks go by is found out once, by the
// first that asks.
type subject struct {
	call *operator.Call
	file string // the stack file's name

	unread   error // why the stack file says nothing
	said     stack.File
	config   stack.Config // as far as it is right
	mistakes media.Problems
	warnings media.Problems
	region   string

	place    func() (*operator.Stack, error) // where it is to be
	caller   func() (caller, error)
	deployed func() (*operator.Stack, error) // as it is there already
	watched  func() ([]finding, bool)        // the bucket; whether it can be used
	key      func() (string, []finding)      // Ittybit's; "": it is not to be had
}

// open reads the stack file, and finds the local run that is meant.
func open(ctx context.Context, call *operator.Call) (*subject, error) {
	path := call.StackFile(call.Root)
	s := &subject{call: call, file: filepath.Base(path)}
	if s.said, s.unread = stack.Open(path); s.unread == nil {
		var err error
		s.config, s.warnings, err = stack.Parse(s.said.Values)
		s.mistakes, _ = errors.AsType[media.Problems](err)
		s.mistakes = append(s.mistakes, s.said.Ciphers...)
	}
	s.region = s.said.Region
	if call.Local != "" {
		run, err := call.Connect(ctx)
		if err != nil {
			return nil, err
		}
		s.replace(run)
	}
	s.place = once(ctx, func(ctx context.Context) (*operator.Stack, error) { return call.Ahead(ctx, s.region) })
	s.caller = once(ctx, s.whoCalls)
	s.deployed = once(ctx, call.Connect)
	s.watched = once(ctx, s.lookAtBucket)
	s.key = once(ctx, s.readKey)
	return s, nil
}

// once is what f returns the first time, for every call.
func once[A, B any](ctx context.Context, f func(context.Context) (A, B)) func() (A, B) {
	return sync.OnceValues(func() (A, B) {
		ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
		defer cancel()
		return f(ctx)
	})
}

// replace puts a local run in the place of what the stack file says. Nobody
// deploys over a local run: its bucket's notifications are nobody's.
func (s *subject) replace(run *operator.Stack) {
	o := run.Outputs
	s.region = o.Region
	if s.config.BucketName == "" {
		s.config.ManageNotifications = false
	}
	s.config.BucketName = o.Bucket
	s.config.IttybitAPIURL = o.Settings.IttybitAPIURL
	s.config.APIKeySecret, s.config.APIKeyParameter = o.Settings.APIKeySecret, o.Settings.APIKeyParameter
}

// local tells that a local run is looked at.
func (s *subject) local() bool { return s.call.Local != "" }

// waits is why a check that goes by these keys of the stack file cannot be
// made; nil when it can.
func (s *subject) waits(keys ...string) []finding {
	if s.unread != nil {
		return skipped("it goes by the stack file, which cannot be read")
	}
	for _, m := range s.mistakes {
		if slices.Contains(keys, m.Path) {
			return skipped("it goes by %s, which is wrong in the stack file", m.Path)
		}
	}
	return nil
}

// clients is the stack with the clients of a check, or why there are none.
func (s *subject) clients(keys ...string) (*operator.Stack, []finding) {
	if wait := s.waits(keys...); wait != nil {
		return nil, wait
	}
	if who, err := s.caller(); err != nil || who.nowhere != nil || s.region == "" {
		return nil, skipped("it needs credentials that AWS takes in the stack's region")
	}
	place, err := s.place()
	if err != nil {
		return nil, s.trouble(err)
	}
	return place, nil
}

// trouble is a request to AWS that failed in a way that no check expects.
func (s *subject) trouble(err error) []finding {
	if operator.NoCredentials(err) {
		return bad(operator.Advice(err), "no credentials were found")
	}
	if text := refusal(err); text != "" {
		return bad(cmp.Or(operator.Advice(err), "do what AWS says, or try again"), "%s", text)
	}
	return bad(fmt.Sprintf("see whether this machine reaches AWS in %s: the network, a proxy, the region's name", s.region), "AWS cannot be asked: %v", err)
}

// refusal is AWS's refusal in few words: who refused what, and why; "" when the
// error is none.
func refusal(err error) string {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return ""
	}
	text := api.ErrorCode()
	if m := api.ErrorMessage(); m != "" && m != text {
		text += ": " + m
	}
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		text = fmt.Sprintf("%s %s: %s", op.Service(), op.Operation(), text)
	}
	return text
}

// httpStatus is the status of the answer in an error of AWS's; 0 when there was
// no answer.
func httpStatus(err error) int {
	if answer, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return answer.HTTPStatusCode()
	}
	return 0
}

// stackFile reports every mistake in the file.
func (s *subject) stackFile(context.Context) []finding {
	if s.unread != nil {
		return bad("write it: README.md, \"Configure it\", has all keys, and a copy of another stack's file is a good start", "%v", s.unread)
	}
	var found []finding
	for _, m := range s.mistakes {
		found = append(found, bad("correct "+s.file, "%s", m)...)
	}
	for _, w := range s.warnings {
		found = append(found, doubtful("see whether it is meant so in "+s.file, "%s", w)...)
	}
	if len(s.mistakes) > 0 {
		return found
	}
	jobs := 0
	for _, r := range s.config.Routes {
		jobs += len(r.Jobs)
	}
	return append(good("%s: %s with %s in all", s.file, count(len(s.config.Routes), "route"), count(jobs, "job")), found...)
}

// isDeployed compares a deployed stack of this name with what is about to be.
func (s *subject) isDeployed(context.Context) []finding {
	if s.local() {
		return skipped("a local run is looked at")
	}
	there, err := s.deployed()
	switch {
	case errors.Is(err, operator.ErrNotDeployed):
		return skipped("stack %s is not deployed yet", s.call.Stack)
	case errors.Is(err, operator.ErrNoPulumi):
		return skipped("it needs Pulumi")
	case err != nil:
		return doubtful("what Pulumi says has to be mended before up", "whether stack %s is deployed cannot be known: %v", s.call.Stack, err)
	case s.region != "" && there.Outputs.Region != s.region:
		return bad(fmt.Sprintf("set aws:region to %s again, or make another stack (pulumi stack init)", there.Outputs.Region),
			"stack %s is in %s: up would make everything anew in %s and delete what is there", s.call.Stack, there.Outputs.Region, s.region)
	}
	who, err := s.caller()
	account := accountOf(there.Outputs.RetryQueueURL)
	switch {
	case err != nil:
		return skipped("stack %s is deployed, in account %s; whether these credentials are for it cannot be known", s.call.Stack, account)
	case account != who.account:
		return bad("use credentials for that account (AWS_PROFILE)", "stack %s is in account %s; these credentials are for %s", s.call.Stack, account, who.account)
	}
	if moved := s.movedOutputs(there.Outputs.Settings.OutputPrefix); moved != nil {
		return moved
	}
	return good("stack %s is in this account and region", s.call.Stack)
}

// movedOutputs warns of an output folder that is to be another one: in the one
// before, what jobs still write is an upload where a route takes it. It is nil
// when none does.
func (s *subject) movedOutputs(before string) []finding {
	if before == s.config.OutputPrefix || before == "" || s.waits("outputPrefix") != nil {
		return nil
	}
	for i, r := range s.config.Routes {
		if strings.HasPrefix(before, r.Prefix) || strings.HasPrefix(r.Prefix, before) {
			return doubtful(`see "Another output folder" in OPERATIONS.md before up`, "outputPrefix changes from %s to %s, and routes[%d] takes keys under %s: outputs that are written there from then on are uploads", before, s.config.OutputPrefix, i, before)
		}
	}
	return nil
}

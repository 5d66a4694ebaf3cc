package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"ittybit-media/scripts/internal/operator"
)

// busKeys are the keys of the stack file that say where result events go.
var busKeys = []string{"resultEvents", "resultEventBus"}

// eventBus looks for the bus that result events are sent to.
func (s *subject) eventBus(ctx context.Context) []finding {
	if wait := s.waits(busKeys...); wait != nil {
		return wait
	}
	bus := s.config.ResultEventBus
	switch {
	case !s.config.ResultEvents:
		return skipped("resultEvents is false")
	case s.local():
		return skipped("a local run has a bus of its own")
	case bus == "":
		return good("result events go to the account's default bus")
	}
	place, wait := s.clients()
	if wait != nil {
		return wait
	}
	who, _ := s.caller() // or there were no clients
	if a, err := arn.Parse(bus); err == nil && (a.Region != s.region || a.AccountID != who.account) {
		return bad("name a bus of the stack's account and region; a rule on it can send on to any other", "the bus of resultEventBus is in account %s and %s, the stack in account %s and %s", a.AccountID, a.Region, who.account, s.region)
	}
	_, err := eventbridge.NewFromConfig(place.AWS()).DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &bus})
	switch {
	case operator.Code(err) == "ResourceNotFoundException":
		return bad(fmt.Sprintf("correct resultEventBus in %s, leave it out for the default bus, or make it: aws events create-event-bus --region %s --name NAME", s.file, s.region), "there is no event bus %s in %s", bus, s.region)
	case operator.Denied(err):
		return doubtful("have events:DescribeEventBus allowed, or see in the AWS console (Amazon EventBridge, Event buses) that it is there", "these credentials may not see the event bus %s", bus)
	case err != nil:
		return s.trouble(err)
	}
	return good("result events go to %s", bus)
}

package main

import (
	"context"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"ittybit-media/scripts/internal/operator"
)

// caller is whose credentials these are.
type caller struct {
	account, arn string
	nowhere      error // not nil: AWS knows them, but not in the stack's region
}

// whoCalls asks in the stack's region. Where that fails, another region tells
// bad credentials from a bad region: to one that the account has not enabled,
// every credential is unknown.
func (s *subject) whoCalls(ctx context.Context) (caller, error) {
	place, err := s.place()
	if err != nil {
		return caller{}, err
	}
	ask := func(region string) (*sts.GetCallerIdentityOutput, error) {
		return place.STS().GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.Options) {
			o.Region, o.RetryMaxAttempts = region, identityAttempts
		})
	}
	out, err := ask(place.AWS().Region)
	var nowhere error
	if err != nil && !operator.NoCredentials(err) {
		nowhere = err
		if out, err = ask(homeOf(s.region)); err != nil {
			err = nowhere // the answer where the stack is to be
		}
	}
	if err != nil {
		return caller{}, err
	}
	return caller{aws.ToString(out.Account), aws.ToString(out.Arn), nowhere}, nil
}

// identityAttempts are few: a region that there is not never answers.
const identityAttempts = 3

// homeOf is a region of the same partition that every account has.
func homeOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "cn-north-1"
	case strings.HasPrefix(region, "us-gov-"):
		return "us-gov-west-1"
	default:
		return "us-east-1"
	}
}

func (s *subject) credentials(context.Context) []finding {
	who, err := s.caller()
	if err != nil {
		return s.trouble(err)
	}
	return good("account %s, %s", who.account, who.arn)
}

func (s *subject) inRegion(context.Context) []finding {
	if s.unread != nil {
		return s.waits()
	}
	if s.region == "" {
		return bad("write it into "+s.file+": pulumi config set aws:region REGION --stack "+s.call.Stack, "aws:region is not set: the stack would be made wherever the environment of whoever runs up says")
	}
	who, err := s.caller()
	switch {
	case err != nil:
		return skipped("it needs credentials that AWS takes")
	case operator.Code(who.nowhere) != "":
		return bad("enable the region for the account (AWS console, Account, AWS Regions), or set another aws:region; session credentials of the global STS endpoint work in no such region: take those of a regional one",
			"in %s AWS refuses these credentials, which are good elsewhere: %s", s.region, operator.Code(who.nowhere))
	case who.nowhere != nil:
		return bad("correct aws:region in "+s.file, "AWS cannot be reached in %s, but elsewhere: %v", s.region, who.nowhere)
	}
	return good("%s, enabled for the account", s.region)
}

// accountOf is the account in a queue's URL.
func accountOf(queue string) string {
	u, err := url.Parse(queue)
	if err != nil {
		return ""
	}
	account, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	return account
}

// leastUnreserved is what Lambda keeps for the functions without a reservation
// ("Configuring reserved concurrency for a function", AWS Lambda Developer
// Guide). Of an account that has less, it reserves nothing.
const leastUnreserved = 100

// concurrency compares the account's quota of concurrent executions, which
// young accounts have little of, with what the stack reserves.
func (s *subject) concurrency(ctx context.Context) []finding {
	place, wait := s.clients("reservedConcurrency")
	if wait != nil {
		return wait
	}
	out, err := place.Lambda().GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	switch {
	case operator.Denied(err):
		return doubtful("have lambda:GetAccountSettings allowed, or look at the quota in the AWS console (Service Quotas, AWS Lambda)", "these credentials may not see the account's quota")
	case err != nil:
		return s.trouble(err)
	}
	quota := int(out.AccountLimit.ConcurrentExecutions)
	free := int(aws.ToInt32(out.AccountLimit.UnreservedConcurrentExecutions)) + s.reservedAlready(ctx)
	const raise = "ask for more (Service Quotas, AWS Lambda, Concurrent executions)"
	switch reserved := s.config.ReservedConcurrency; {
	case reserved > 0 && free-reserved < min(leastUnreserved, quota):
		return bad(raise+", or set reservedConcurrency to 0", "reservedConcurrency is %d, and %d of the account's %d concurrent executions are not reserved: Lambda keeps %d of them for all other functions", reserved, free, quota, min(leastUnreserved, quota))
	case quota < leastUnreserved:
		return doubtful(raise, "the account has %d concurrent executions for all its functions: many uploads at once are throttled, and take longer", quota)
	}
	return good("%d concurrent executions in the account, %d of them not reserved", quota, free)
}

// reservedAlready is what the stack has reserved when it was deployed before.
func (s *subject) reservedAlready(ctx context.Context) int {
	if s.local() || s.config.ReservedConcurrency == 0 {
		return 0
	}
	there, err := s.deployed()
	if err != nil {
		return 0
	}
	dispatch := there.Outputs.Functions["dispatch"]
	out, err := there.Lambda().GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: &dispatch})
	if err != nil {
		return 0
	}
	return int(aws.ToInt32(out.ReservedConcurrentExecutions))
}

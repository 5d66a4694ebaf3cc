package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/secrets"
	"ittybit-media/scripts/internal/operator"
)

// Nothing here quotes the name of a secret that is not there: somebody may have
// written the secret itself into the stack file. AWS's refusals quote it too,
// so only their codes are shown.

// The keys of the stack file that name secrets.
const (
	keySecret    = "ittybitApiKeySecret"
	keyParameter = "ittybitApiKeyParameter"
	hookSecret   = "ittybitWebhookSecret"
	kmsKey       = "secretKmsKeyArn"
)

func (s *subject) apiKey(context.Context) []finding {
	_, found := s.key()
	return found
}

// readKey reads Ittybit's API key from where the functions will, and says what
// is wrong with it. The key is "" unless it looks like one.
func (s *subject) readKey(ctx context.Context) (key string, found []finding) {
	if wait := s.waits(keySecret, keyParameter, kmsKey); wait != nil {
		return "", wait
	}
	fillMade := s.call.FillKey()
	made := ""
	if s.config.APIKeySecret == "" && s.config.APIKeyParameter == "" {
		if there, err := s.deployed(); err == nil {
			made = there.Outputs.Settings.APIKeySecret
		}
		if made == "" {
			return "", skipped("up makes an empty secret for it; afterwards put the key in: %s", fillMade)
		}
	}
	place, wait := s.clients()
	if wait != nil {
		return "", wait
	}
	var text, how string
	var doubts, problem []finding
	switch {
	case s.config.APIKeyParameter != "":
		how = fmt.Sprintf("aws ssm put-parameter --overwrite --type SecureString --region %s --name NAME --value file://FILE", s.region)
		text, doubts, problem = s.readParameter(ctx, place.Parameters())
	case s.config.APIKeySecret != "":
		how = s.fill()
		text, doubts, problem = s.readSecret(ctx, place, keySecret, s.config.APIKeySecret)
	default:
		how = fillMade
		text, problem = s.readValue(ctx, place.AWS(), "the secret that up has made", made, how)
	}
	if problem != nil {
		return "", problem
	}
	key, err := secrets.APIKey(text)
	if err != nil {
		return "", append(bad(how, "%v", err), doubts...)
	}
	return key, append(good("looks like a key (%d characters)", len(key)), doubts...)
}

// fill is the command that puts a value into a secret.
func (s *subject) fill() string {
	return fmt.Sprintf("aws secretsmanager put-secret-value --region %s --secret-id NAME --secret-string file://FILE", s.region)
}

// webhookSecret reads the secret that callbacks are signed with, where they
// are.
func (s *subject) webhookSecret(ctx context.Context) []finding {
	if wait := s.waits("webhookAuth", hookSecret, kmsKey); wait != nil {
		return wait
	}
	if s.config.WebhookAuth == env.AuthToken {
		return skipped("webhookAuth is %s: callbacks are known by their URL, not by a signature", env.AuthToken)
	}
	place, wait := s.clients()
	if wait != nil {
		return wait
	}
	text, doubts, problem := s.readSecret(ctx, place, hookSecret, s.config.WebhookSecret)
	if problem != nil {
		return problem
	}
	list, err := secrets.Texts(text)
	if err != nil {
		return append(bad(s.fill(), "%v", err), doubts...)
	}
	return append(good("holds %s", count(len(list), "webhook secret")), doubts...)
}

// readSecret reads a secret of the user's that a key of the stack file names. A
// problem is why there is no text; doubts can stand beside one.
func (s *subject) readSecret(ctx context.Context, place *operator.Stack, key, id string) (text string, doubts, problem []finding) {
	about, err := place.Secrets().DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
	switch {
	case operator.Code(err) == "ResourceNotFoundException":
		return "", nil, bad(fmt.Sprintf("correct %s in %s, or make the secret: aws secretsmanager create-secret --region %s --name NAME --secret-string file://FILE", key, s.file, s.region), "%s names no secret that is in %s", key, s.region)
	case operator.Denied(err):
		doubts = doubtful("have secretsmanager:DescribeSecret allowed, or see that "+kmsKey+" is the secret's", "with which KMS key the secret of %s is encrypted cannot be known with these credentials", key)
	case err != nil:
		return "", nil, s.failed(err, "the secret of "+key)
	case about.DeletedDate != nil:
		return "", nil, bad(fmt.Sprintf("aws secretsmanager restore-secret --region %s --secret-id %s", s.region, aws.ToString(about.Name)), "the secret of %s is about to be deleted, and cannot be read", key)
	default:
		doubts, problem = s.encrypted(key, aws.ToString(about.KmsKeyId))
	}
	if problem == nil {
		text, problem = s.readValue(ctx, place.AWS(), "the secret of "+key, id, s.fill())
	}
	return text, doubts, problem
}

// readValue reads the value of a secret that what names; how fills it.
func (s *subject) readValue(ctx context.Context, cfg aws.Config, what, id, how string) (text string, problem []finding) {
	text, err := secrets.FromSecretsManager(cfg, id)(ctx)
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, secrets.ErrMissing):
		return "", bad(how, "%s has no value", what)
	case errors.Is(err, secrets.ErrDenied):
		return "", unseen("secretsmanager:GetSecretValue", what)
	default:
		return "", s.failed(err, what)
	}
}

// readParameter reads the parameter of the user's that has the key; see
// [subject.readSecret].
func (s *subject) readParameter(ctx context.Context, client *ssm.Client) (text string, doubts, problem []finding) {
	const what = "the parameter of " + keyParameter
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &s.config.APIKeyParameter, WithDecryption: aws.Bool(true)})
	switch {
	case operator.Code(err) == "ParameterNotFound":
		return "", nil, bad(fmt.Sprintf("correct %s in %s, or make the parameter: aws ssm put-parameter --type SecureString --region %s --name NAME --value file://FILE", keyParameter, s.file, s.region), "%s names no parameter that is in %s", keyParameter, s.region)
	case operator.Denied(err):
		return "", nil, unseen("ssm:GetParameter", what)
	case err != nil:
		return "", nil, s.failed(err, what)
	case out.Parameter.Type != types.ParameterTypeSecureString:
		return "", nil, bad("put the key into a SecureString parameter, name that in "+keyParameter+", and take another key: this one was open", "%s is a %s, which everybody sees who may list parameters", what, out.Parameter.Type)
	}
	doubts, problem = s.parameterKey(ctx, client, aws.ToString(out.Parameter.Name))
	return aws.ToString(out.Parameter.Value), doubts, problem
}

// parameterKey finds out with which KMS key a parameter is encrypted.
func (s *subject) parameterKey(ctx context.Context, client *ssm.Client, name string) (doubts, problem []finding) {
	out, err := client.DescribeParameters(ctx, &ssm.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{
		{Key: aws.String("Name"), Option: aws.String("Equals"), Values: []string{name}},
	}})
	if err != nil || len(out.Parameters) != 1 {
		return doubtful("have ssm:DescribeParameters allowed, or see that "+kmsKey+" is the parameter's", "with which KMS key the parameter of %s is encrypted cannot be known with these credentials", keyParameter), nil
	}
	return s.encrypted(keyParameter, aws.ToString(out.Parameters[0].KeyId))
}

// unseen is something that only others may see.
func unseen(action, what string) []finding {
	return doubtful("have "+action+", and kms:Decrypt on its KMS key, allowed for these credentials; or let somebody look who may", "%s cannot be read with these credentials: whether it is right shows when the functions read it", what)
}

// failed is a refusal whose text may quote what the stack file names.
func (s *subject) failed(err error, what string) []finding {
	if operator.Code(err) == "" {
		return s.trouble(err)
	}
	return bad(cmp.Or(operator.Advice(err), "try again, or look up what AWS says"), "%s cannot be read: %s", what, operator.Code(err))
}

// encrypted compares the KMS key of a secret or a parameter, which may be given
// as an ARN, an id or an alias, with the one that the functions may use. The
// keys of the services themselves need no permission.
func (s *subject) encrypted(key, with string) (doubts, problem []finding) {
	ours := s.config.SecretKMSKeyARN
	const set = "set " + kmsKey + " to the ARN of that key, so that the functions may decrypt it"
	switch {
	case with == "", strings.Contains(with, "alias/aws/"), with == ours, strings.HasSuffix(ours, ":key/"+with):
		return nil, nil
	case strings.Contains(with, "alias/"):
		return doubtful("see that "+kmsKey+" is that key's: aws kms describe-key --key-id "+with, "what %s names is encrypted with %s, which does not tell the key", key, with), nil
	case ours == "":
		return nil, bad(set, "what %s names is encrypted with the KMS key %s, and %s is not set", key, with, kmsKey)
	default:
		return nil, bad(set+"; a stack has one such key", "what %s names is encrypted with the KMS key %s, and %s is another", key, with, kmsKey)
	}
}

package cloud

import (
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/secretsmanager"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/infra/stack"
)

// recoveryDays is how long a deleted secret of a protected stack can be brought
// back; its name is taken as long.
const recoveryDays = 30

// callbackKeyBytes is the length of a callback key: HS256 wants as many bytes
// as its digest has, at least (RFC 7518, section 3.2).
const callbackKeyBytes = 32

// reference is a secret as one function has it: the variable that names it, and
// what the function's role has to allow.
type reference struct {
	variable string
	value    pulumi.StringInput
	grants   []statement
}

// secrets are the references to all secrets of a stack.
type secrets struct {
	callbackKeys reference
	filled       pulumi.Resource // the value of the callback keys
	webhook      *reference      // nil: callbacks are not signed
	apiKey       reference
	empty        *secretsmanager.Secret // for the API key; nil: it is in one of the user's own
}

// makeSecrets makes the secrets that the stack owns and refers to those that
// the user does.
func makeSecrets(s scope, p place) (secrets, error) {
	var all secrets
	var err error
	if all.callbackKeys, all.filled, err = makeCallbackKeys(s); err != nil {
		return secrets{}, err
	}
	key := s.Config.SecretKMSKeyARN
	if name := s.Config.WebhookSecret; name != "" && s.Config.WebhookAuth != env.AuthToken {
		r := existingSecret(p, env.IttybitWebhookSecret, name, key)
		all.webhook = &r
	}
	switch {
	case s.Config.APIKeySecret != "":
		all.apiKey = existingSecret(p, env.IttybitAPIKeySecret, s.Config.APIKeySecret, key)
	case s.Config.APIKeyParameter != "":
		all.apiKey = existingParameter(p, env.IttybitAPIKeyParam, s.Config.APIKeyParameter, key)
	default:
		// Until it is filled, uploads wait in the retry queue.
		all.empty, err = makeSecret(s, "api-key", "Ittybit's API key; put it in by hand, the stack never sees it", s.child())
		if err != nil {
			return secrets{}, err
		}
		all.apiKey = secretReference(env.IttybitAPIKeySecret, all.empty.Arn, all.empty.Arn)
	}
	return all, nil
}

// makeCallbackKeys makes the keys of the callback tokens, in a secret and not
// in a parameter: with Parameter Store's own key everyone who may read
// parameters could forge callbacks. It also returns the resource that puts them
// there.
func makeCallbackKeys(s scope) (reference, pulumi.Resource, error) {
	secret, err := makeSecret(s, "callback-keys", "Keys of the callback tokens, newest first; rotated with callbackKeyVersion", s.kept())
	if err != nil {
		return reference{}, nil, err
	}
	// The key before stays valid, so that callbacks under way are not refused; the
	// one before that goes. Only the newest is kept: a version that goes up by
	// more than one would take away the key in use, and a protected stack refuses
	// that.
	version := s.Config.CallbackKeyVersion
	keys := pulumi.StringArray{}
	for v := version; v >= max(1, version-1); v-- {
		key, err := random.NewRandomBytes(s.ctx, s.named("callback-key-v"+strconv.Itoa(v)), &random.RandomBytesArgs{
			Length: pulumi.Int(callbackKeyBytes),
		}, s.child(pulumi.Protect(s.Config.Protect && v == version)))
		if err != nil {
			return reference{}, nil, err
		}
		keys = append(keys, key.Base64)
	}
	value, err := secretsmanager.NewSecretVersion(s.ctx, s.named("callback-keys"), &secretsmanager.SecretVersionArgs{
		SecretId:     secret.ID(),
		SecretString: pulumi.JSONMarshal(keys), // a secret to Pulumi, both by what it is made of and by what it is for
	}, s.child())
	return secretReference(env.CallbackKeySecret, secret.Arn, secret.Arn), value, err
}

// makeSecret makes a secret without a value.
func makeSecret(s scope, part, description string, opts pulumi.ResourceOption) (*secretsmanager.Secret, error) {
	recovery := pulumi.Int(0)
	if s.Config.Protect {
		recovery = recoveryDays
	}
	return secretsmanager.NewSecret(s.ctx, s.named(part), &secretsmanager.SecretArgs{
		Description:          pulumi.String(description),
		RecoveryWindowInDays: recovery,
		Tags:                 s.tags,
	}, opts)
}

func secretReference(variable string, value, arn pulumi.StringInput) reference {
	return reference{variable, value, []statement{{
		actions:   []string{"secretsmanager:GetSecretValue"},
		resources: []pulumi.StringInput{arn},
	}}}
}

// existingSecret returns a secret of the user's, by name or ARN. Secrets
// Manager puts a hyphen and six random characters behind the name in the ARN.
func existingSecret(p place, variable, nameOrARN, kmsKey string) reference {
	var arn pulumi.StringInput = pulumi.String(nameOrARN)
	if !stack.IsARN(nameOrARN) {
		arn = p.arn("secretsmanager", "secret:"+nameOrARN+"-??????")
	}
	r := secretReference(variable, pulumi.String(nameOrARN), arn)
	r.grants = append(r.grants, decrypt(p, "secretsmanager", kmsKey)...)
	return r
}

// existingParameter returns a SecureString parameter of the user's, by name or
// ARN.
func existingParameter(p place, variable, nameOrARN, kmsKey string) reference {
	var arn pulumi.StringInput = pulumi.String(nameOrARN)
	if !stack.IsARN(nameOrARN) {
		arn = p.arn("ssm", "parameter/"+strings.TrimPrefix(nameOrARN, "/"))
	}
	return reference{variable, pulumi.String(nameOrARN), append([]statement{{
		actions:   []string{"ssm:GetParameter"},
		resources: []pulumi.StringInput{arn},
	}}, decrypt(p, "ssm", kmsKey)...)}
}

// decrypt returns what a secret under the customer's own key needs beside, for
// that service only. The services' default keys, "", need nothing.
func decrypt(p place, service, kmsKey string) []statement {
	if kmsKey == "" {
		return nil
	}
	return []statement{{
		actions:   []string{"kms:Decrypt"},
		resources: []pulumi.StringInput{pulumi.String(kmsKey)},
		condition: pulumi.Map{"StringEquals": pulumi.Map{
			"kms:ViaService": pulumi.Sprintf("%s.%s.%s", service, p.region, p.domain()),
		}},
	}}
}

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

// callbackKeyBytes is the length of a callback key: HS256 wants as many bytes as
// its digest has, at least (RFC 7518, section 3.2).
const callbackKeyBytes = 32

// reference is a secret as one function has it: the variable that names it, and
// what the function's role has to allow.
type reference struct {
	variable string
	value    pulumi.StringInput
	grants   []statement
}

type secrets struct {
	apiKey       reference
	callbackKeys reference
	webhook      *reference      // nil: callbacks are not signed
	filled       pulumi.Resource // the value of the callback keys
}

func (b *builder) makeSecrets() error {
	if err := b.makeCallbackKeys(); err != nil {
		return err
	}
	if name := b.Config.WebhookSecret; name != "" && b.Config.WebhookAuth != env.AuthToken {
		r := b.existingSecret(env.IttybitWebhookSecret, name)
		b.secrets.webhook = &r
	}
	switch {
	case b.Config.APIKeySecret != "":
		b.secrets.apiKey = b.existingSecret(env.IttybitAPIKeySecret, b.Config.APIKeySecret)
	case b.Config.APIKeyParameter != "":
		b.secrets.apiKey = b.existingParameter(env.IttybitAPIKeyParam, b.Config.APIKeyParameter)
	default:
		return b.makeAPIKeySecret()
	}
	return nil
}

// makeCallbackKeys makes the keys of the callback tokens, in a secret and not in
// a parameter: with Parameter Store's own key everyone who may read parameters
// could forge callbacks.
func (b *builder) makeCallbackKeys() error {
	secret, err := secretsmanager.NewSecret(b.ctx, b.named("callback-keys"), &secretsmanager.SecretArgs{
		Description:          pulumi.String("Keys of the callback tokens, newest first; rotated with callbackKeyVersion"),
		RecoveryWindowInDays: b.recovery(),
		Tags:                 b.tags,
	}, b.kept())
	if err != nil {
		return err
	}
	// The key before stays valid, so that callbacks under way are not refused; the
	// one before that goes. Only the newest is kept: a version that goes up by more
	// than one would take away the key in use, and a protected stack refuses that.
	version := b.Config.CallbackKeyVersion
	keys := pulumi.StringArray{}
	for v := version; v >= max(1, version-1); v-- {
		key, err := random.NewRandomBytes(b.ctx, b.named("callback-key-v"+strconv.Itoa(v)), &random.RandomBytesArgs{
			Length: pulumi.Int(callbackKeyBytes),
		}, b.child(pulumi.Protect(b.Config.Protect && v == version)))
		if err != nil {
			return err
		}
		keys = append(keys, key.Base64)
	}
	value, err := secretsmanager.NewSecretVersion(b.ctx, b.named("callback-keys"), &secretsmanager.SecretVersionArgs{
		SecretId:     secret.ID(),
		SecretString: pulumi.JSONMarshal(keys), // a secret to Pulumi, both by what it is made of and by what it is for
	}, b.child())
	if err != nil {
		return err
	}
	b.secrets.filled = value
	b.secrets.callbackKeys = secretReference(env.CallbackKeySecret, secret.Arn, secret.Arn)
	return nil
}

// makeAPIKeySecret makes an empty secret. Until somebody fills it, uploads wait
// in the retry queue.
func (b *builder) makeAPIKeySecret() error {
	secret, err := secretsmanager.NewSecret(b.ctx, b.named("api-key"), &secretsmanager.SecretArgs{
		Description:          pulumi.String("Ittybit's API key; put it in by hand, the stack never sees it"),
		RecoveryWindowInDays: b.recovery(),
		Tags:                 b.tags,
	}, b.child())
	if err != nil {
		return err
	}
	b.secrets.apiKey = secretReference(env.IttybitAPIKeySecret, secret.Arn, secret.Arn)
	b.pipeline.APIKeyCommand = b.fillCommand(secret.Name)
	return nil
}

func (b *builder) recovery() pulumi.Int {
	if b.Config.Protect {
		return recoveryDays
	}
	return 0
}

func secretReference(variable string, value, arn pulumi.StringInput) reference {
	return reference{variable, value, []statement{{
		actions:   []string{"secretsmanager:GetSecretValue"},
		resources: []pulumi.StringInput{arn},
	}}}
}

// existingSecret is a secret of the user's, by name or ARN. Secrets Manager puts
// a hyphen and six random characters behind the name in the ARN.
func (b *builder) existingSecret(variable, nameOrARN string) reference {
	var arn pulumi.StringInput = pulumi.String(nameOrARN)
	if !stack.IsARN(nameOrARN) {
		arn = b.place.arn("secretsmanager", "secret:"+nameOrARN+"-??????")
	}
	r := secretReference(variable, pulumi.String(nameOrARN), arn)
	r.grants = append(r.grants, b.decrypt("secretsmanager")...)
	return r
}

// existingParameter is a SecureString parameter of the user's, by name or ARN.
func (b *builder) existingParameter(variable, nameOrARN string) reference {
	var arn pulumi.StringInput = pulumi.String(nameOrARN)
	if !stack.IsARN(nameOrARN) {
		arn = b.place.arn("ssm", "parameter/"+strings.TrimPrefix(nameOrARN, "/"))
	}
	return reference{variable, pulumi.String(nameOrARN), append([]statement{{
		actions:   []string{"ssm:GetParameter"},
		resources: []pulumi.StringInput{arn},
	}}, b.decrypt("ssm")...)}
}

// decrypt is what a secret under the customer's own key needs beside, for that
// service only. The services' default keys need nothing.
func (b *builder) decrypt(service string) []statement {
	if b.Config.SecretKMSKeyARN == "" {
		return nil
	}
	return []statement{{
		actions:   []string{"kms:Decrypt"},
		resources: []pulumi.StringInput{pulumi.String(b.Config.SecretKMSKeyARN)},
		condition: pulumi.Map{"StringEquals": pulumi.Map{
			"kms:ViaService": pulumi.Sprintf("%s.%s.%s", service, b.place.region, b.place.domain()),
		}},
	}}
}

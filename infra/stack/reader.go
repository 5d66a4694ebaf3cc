package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
)

// secure is the one name in a map that stands for an encrypted value.
const secure = "secure"

// Encrypted stands for a value that is encrypted in the stack file; [Parse]
// refuses it. It is for callers to whom Pulumi gives such values decrypted.
var Encrypted any = map[string]any{secure: ""}

const isEncrypted = "is encrypted; write it in plain text (pulumi config set without --secret): secrets are named here, never given, and a copy of the stack file could not be read"

// reader goes on after a mistake, so that one run reports all of them.
type reader struct {
	values   map[string]any
	given    map[string]bool // keys with a value, right or wrong
	wrong    map[string]bool // keys of which a mistake is reported
	mistakes media.Problems
	warnings media.Problems
}

func (r *reader) fail(key, format string, args ...any) {
	r.wrong[key] = true
	r.mistakes.Addf(key, format, args...)
}

// value is nil when the key is not set, or is wrong in a way that needs no
// further look.
func (r *reader) value(k key) any {
	value := r.values[k.name]
	if s, ok := value.(string); ok {
		if value = strings.TrimSpace(s); value == "" {
			return nil
		}
	}
	r.given[k.name] = value != nil
	if ciphers := ciphers(k.name, value); len(ciphers) > 0 {
		for _, path := range ciphers {
			r.mistakes.Addf(path, isEncrypted)
		}
		r.wrong[k.name] = true
		return nil
	}
	return value
}

// ciphers are the paths of the encrypted values in value.
func ciphers(path string, value any) []string {
	var found []string
	switch v := value.(type) {
	case map[string]any:
		if _, ok := v[secure].(string); ok && len(v) == 1 {
			return []string{path}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			found = append(found, ciphers(path+"."+name, v[name])...)
		}
	case []any:
		for i, item := range v {
			found = append(found, ciphers(fmt.Sprintf("%s[%d]", path, i), item)...)
		}
	}
	return found
}

// scalar stores the value of the key, or its default when there is none or a
// wrong one: what is checked later then has something to go by.
func (r *reader) scalar(c *Config, k key, kind scalar) {
	if err := kind.set(c, k.standard); err != nil {
		r.fail(k.name, "has a wrong default: %v", err)
	}
	var s string
	switch v := r.value(k).(type) {
	case nil:
		return
	case string:
		s = v
	case bool, int, int64, uint64, float64: // YAML took a bare word for something else
		s = fmt.Sprint(v)
	case []any, map[string]any, map[any]any:
		r.fail(k.name, "must be %s, not a list or map", kind.values())
		return
	default: // a bare date, say
		r.fail(k.name, "must be %s: write it in quotes", kind.values())
		return
	}
	if err := kind.set(c, s); err != nil {
		r.fail(k.name, "%v", err)
	}
}

// structure is a kind of lists or maps.
type structure interface {
	kind
	// read stores the value that the JSON has, or the default when there is no
	// JSON, and reports what is wrong.
	read(r *reader, c *Config, json []byte)
}

func (r *reader) structure(c *Config, k key, kind structure) {
	var data []byte
	switch v := r.value(k).(type) {
	case nil:
	case string:
		data = []byte(v)
	default:
		var err error
		if data, err = json.Marshal(v); err != nil {
			r.fail(k.name, "must be %s, and has something that JSON cannot say: %v", kind.values(), err)
			return
		}
	}
	kind.read(r, c, data)
}

// together checks what several keys say together. A key that is wrong by itself
// is not reported a second time.
func (r *reader) together(c *Config) {
	switch managed := r.given["manageNotifications"]; {
	case r.wrong["manageNotifications"]:
	case r.given["bucketName"] && !managed:
		r.fail("manageNotifications", "must be said for an existing bucket: true, and this stack owns the bucket's whole notification configuration and replaces what others set there; or false, and the stack leaves it alone: EventBridge must then be turned on for the bucket otherwise")
	case !r.given["bucketName"] && managed && !c.ManageNotifications:
		r.fail("manageNotifications", "cannot be false without bucketName: nobody else turns on the events of a bucket that this stack makes; leave it out")
	case !r.given["bucketName"]:
		c.ManageNotifications = true
	}
	if r.given["ittybitApiKeySecret"] && r.given["ittybitApiKeyParameter"] {
		r.fail("ittybitApiKeyParameter", "cannot stand beside ittybitApiKeySecret: the API key is in one place; remove one of them")
	}
	if r.given["secretKmsKeyArn"] && !r.given["ittybitApiKeySecret"] && !r.given["ittybitApiKeyParameter"] && !r.given["ittybitWebhookSecret"] {
		r.fail("secretKmsKeyArn", "belongs to no existing secret: set ittybitApiKeySecret, ittybitApiKeyParameter or ittybitWebhookSecret, or remove it")
	}
	signed := c.WebhookAuth != env.AuthToken
	switch {
	case r.wrong["webhookAuth"]:
	case signed && !r.given["ittybitWebhookSecret"]:
		r.fail("ittybitWebhookSecret", "must name the secret that has Ittybit's webhook secret, since webhookAuth is %s", c.WebhookAuth)
	case !signed && r.given["ittybitWebhookSecret"]:
		r.warnings.Addf("ittybitWebhookSecret", "is not used, since webhookAuth is %s; %s or %s would use it", c.WebhookAuth, env.AuthSignature, env.AuthBoth)
	}
	r.suffix("ittybitApiKeySecret", c.APIKeySecret)
	r.suffix("ittybitWebhookSecret", c.WebhookSecret)
	if !r.wrong["overdueAfter"] && !r.wrong["giveUpAfter"] && c.GiveUpAfter <= c.OverdueAfter {
		r.fail("giveUpAfter", "%s must be longer than overdueAfter, %s: a job is asked about before it is given up", short(c.GiveUpAfter), short(c.OverdueAfter))
	}
	if r.given["alarmEmail"] && !r.wrong["alarms"] && !c.Alarms {
		r.warnings.Addf("alarmEmail", "is told nothing, since alarms is false")
	}
	if r.given["resultEventBus"] && !r.wrong["resultEvents"] && !c.ResultEvents {
		r.warnings.Addf("resultEventBus", "is sent nothing, since resultEvents is false")
	}
}

// suffix warns of a secret's name that ends as an ARN does. It may have been
// copied from one; and Secrets Manager advises against such names, which it can
// take for parts of an ARN (CreateSecret, Secrets Manager API Reference).
func (r *reader) suffix(key, secret string) {
	if !IsARN(secret) && secretSuffix.MatchString(secret) {
		r.warnings.Addf(key, "ends like an ARN, in a hyphen and six characters; if the secret's name is without them, remove them, else give its complete ARN")
	}
}

func (r *reader) unknown() {
	names := known()
	for _, name := range slices.Sorted(maps.Keys(r.values)) {
		if slices.Contains(names, name) {
			continue
		}
		if near := media.Nearest(name, names); near != "" {
			r.mistakes.Addf(name, "is not known; did you mean %s?", near)
		} else {
			r.mistakes.Addf(name, "is not known; there are %s", strings.Join(names, ", "))
		}
	}
}

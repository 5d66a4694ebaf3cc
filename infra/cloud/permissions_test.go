package cloud_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"ittybit-media/infra/internal/generated"
)

// grants are what the roles may do, by what on: action → handlers, and the
// pipe.
func grants(t *testing.T, d *deployment) map[string]map[string][]string {
	t.Helper()
	names := map[string]string{
		"*":                                 "everything, with tracing: X-Ray knows no resource",
		d.one(t, "Table", "").out(t, "arn"): "the table, not its index",
		d.one(t, "Table", "").out(t, "arn") + "/index/open":                           "the table's index `open`",
		d.one(t, "Queue", "-retry").out(t, "arn"):                                     "the retry queue: Lambda on its behalf, not its code",
		d.one(t, "Secret", "-callback-keys").out(t, "arn"):                            "the secret of the callback keys",
		"arn:aws:ssm:eu-west-1:123456789012:parameter/ittybit/key":                    "the secret or parameter of the API key",
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:ittybit/webhook-??????": "the webhook secret, where there are signatures",
		kmsKey: "the customer key of the secrets, where there is one",
	}
	for _, p := range d.all("Pipe") {
		names[d.one(t, "Table", "").out(t, "streamArn")] = "the table's stream"
		names[d.one(t, "Queue", "-dead-events").out(t, "arn")] = "the dead letters of the result events"
		names[p.at("target").(string)] = "the bus of the result events"
	}
	for _, key := range d.all("Secret") {
		if strings.HasSuffix(key.name, "-api-key") {
			names[key.out(t, "arn")] = "the secret or parameter of the API key"
		}
	}
	all := map[string]map[string][]string{}
	for _, handler := range d.roles() {
		names[d.one(t, "LogGroup", "-"+handler).out(t, "arn")+":*"] = "its own log group"
		for _, s := range d.role(t, handler).Statement {
			if s.Effect != "Allow" || len(s.Action) == 0 || len(s.Resource) == 0 {
				t.Errorf("%s: %+v", handler, s)
			}
			for _, resource := range s.Resource {
				name, ok := names[resource]
				if !ok {
					t.Errorf("%s may %v on %s", handler, s.Action, resource)
				}
				if all[name] == nil {
					all[name] = map[string][]string{}
				}
				for _, action := range s.Action {
					if strings.Contains(action, "*") {
						t.Errorf("%s may %s", handler, action)
					}
					all[name][action] = append(all[name][action], handler)
				}
			}
		}
		delete(names, d.one(t, "LogGroup", "-"+handler).out(t, "arn")+":*") // another's is not its own
	}
	return all
}

// roles are the handlers and, where there is one, the pipe.
func (d *deployment) roles() []string {
	if len(d.all("Pipe")) == 0 {
		return handlers
	}
	return append(slices.Clone(handlers), "pipe")
}

// TestWhoMayDoWhat holds README's table to the roles, of the stack that has
// everything: what is in the table is all that there is.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	d := deploy(t, "everything", stacks(t)["everything"])
	all, roles := grants(t, d), d.roles()
	var b strings.Builder
	fmt.Fprintf(&b, "| may | on | %s |\n|---|---|%s\n", strings.Join(roles, " | "), strings.Repeat(":-:|", len(roles)))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		// One line for all actions that the same functions have.
		lines := map[string][]string{}
		for action, who := range all[name] {
			marks := ""
			for _, handler := range roles {
				if slices.Contains(who, handler) {
					marks += " ✓"
				}
				marks += " |"
			}
			lines[marks] = append(lines[marks], "`"+action+"`")
		}
		for _, marks := range slices.Backward(slices.Sorted(maps.Keys(lines))) {
			slices.Sort(lines[marks])
			fmt.Fprintf(&b, "| %s | %s |%s\n", strings.Join(lines[marks], ", "), name, marks)
		}
	}
	generated.Block(t, "../../README.md", "<!-- permissions:begin -->\n", "<!-- permissions:end -->\n", b.String())
}

// TestNoRoleDoesAnothersWork reads each role on its own.
func TestNoRoleDoesAnothersWork(t *testing.T) {
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		grants(t, d) // every statement is one that is known
		table := d.one(t, "Table", "").out(t, "arn")
		keys := d.one(t, "Secret", "-callback-keys").out(t, "arn")
		may := func(handler, action, resource string) bool {
			return d.role(t, handler).allows(t, request{action, resource, map[string]string{
				"lambda:SourceFunctionArn": d.function(t, handler).out(t, "arn"),
			}})
		}
		for _, tt := range []struct {
			action, resource string
			who              string
		}{
			{"dynamodb:Query", table, "dispatch"},
			{"dynamodb:PutItem", table, "dispatch"},
			{"dynamodb:UpdateItem", table, "dispatch webhook sweep"},
			{"dynamodb:GetItem", table, "dispatch webhook sweep"},
			{"dynamodb:DeleteItem", table, ""},
			{"dynamodb:Scan", table, ""},
			{"dynamodb:BatchWriteItem", table, ""},
			{"dynamodb:Query", table + "/index/open", "sweep"},
			{"dynamodb:GetRecords", table + "/stream/1", ""},
			{"dynamodb:PutItem", table + "-other", ""},
			{"secretsmanager:GetSecretValue", keys, "dispatch webhook"},
			{"secretsmanager:PutSecretValue", keys, ""},
			{"secretsmanager:GetSecretValue", keys + "-other", ""},
			{"logs:CreateLogGroup", "arn:aws:logs:eu-west-1:123456789012:log-group:x", ""},
			{"lambda:InvokeFunction", d.function(t, "dispatch").out(t, "arn"), ""},
			{"s3:GetObject", "arn:aws:s3:::my-media-bucket/uploads/film.mov", ""},
			{"iam:PassRole", "arn:aws:iam::123456789012:role/x", ""},
		} {
			for _, handler := range handlers {
				if got := may(handler, tt.action, tt.resource); got != slices.Contains(strings.Fields(tt.who), handler) {
					t.Errorf("%s may %s on %s: %v", handler, tt.action, tt.resource, got)
				}
			}
		}
		for _, handler := range handlers {
			for _, other := range handlers {
				stream := d.one(t, "LogGroup", "-"+other).out(t, "arn") + ":log-stream:1"
				if got := may(handler, "logs:PutLogEvents", stream); got != (handler == other) {
					t.Errorf("%s may write the log of %s: %v", handler, other, got)
				}
			}
		}
	})
}

func TestSecretsByNameAndARN(t *testing.T) {
	t.Parallel()
	const (
		secretARN    = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ittybit/"
		parameterARN = "arn:aws:ssm:eu-west-1:123456789012:parameter/"
		getSecret    = "secretsmanager:GetSecretValue " + secretARN
		getParameter = "ssm:GetParameter " + parameterARN
	)
	for name, tt := range map[string]struct {
		v   values
		may map[string]map[string]bool // handler → action and resource
	}{
		"secret by name": {
			v: values{"ittybitApiKeySecret": "ittybit/key"},
			may: map[string]map[string]bool{
				"dispatch": {getSecret + "key-AbCdEf": true, getSecret + "key2-AbCdEf": false},
				"webhook":  {getSecret + "key-AbCdEf": false},
			},
		},
		"secret by ARN": {
			v:   values{"ittybitApiKeySecret": secretARN + "key2-AbCdEf"},
			may: map[string]map[string]bool{"dispatch": {getSecret + "key2-AbCdEf": true}},
		},
		"parameter by path": {
			v:   values{"ittybitApiKeyParameter": "/ittybit/key"},
			may: map[string]map[string]bool{"dispatch": {getParameter + "ittybit/key": true, "kms:Decrypt " + kmsKey: false}},
		},
		"parameter by name": {
			v:   values{"ittybitApiKeyParameter": "key"},
			may: map[string]map[string]bool{"dispatch": {getParameter + "key": true}},
		},
		"parameter by ARN": {
			v:   values{"ittybitApiKeyParameter": parameterARN + "a/b"},
			may: map[string]map[string]bool{"dispatch": {getParameter + "a/b": true}},
		},
		"webhook secret": {
			v: values{"webhookAuth": "signature", "ittybitWebhookSecret": "ittybit/webhook"},
			may: map[string]map[string]bool{
				"webhook":  {getSecret + "webhook-AbCdEf": true, "secretsmanager:GetSecretValue arn:aws:secretsmanager:eu-west-1:123456789012:secret:ittybit-dev-callback-keys" + random + "-AbCdEf": false},
				"dispatch": {getSecret + "webhook-AbCdEf": false},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := deploy(t, "dev", tt.v)
			for handler, may := range tt.may {
				d.role(t, handler).grants(t, may)
			}
			if name := d.environment(t, "webhook")["CALLBACK_KEY_SECRET"]; (name == "") != (tt.v["webhookAuth"] == "signature") {
				t.Errorf("webhook has the callback keys %q", name)
			}
		})
	}
}

func TestTheCustomersKeyIsForItsServiceAlone(t *testing.T) {
	t.Parallel()
	for service, v := range map[string]values{
		"secretsmanager": {"ittybitApiKeySecret": "ittybit/key", "secretKmsKeyArn": kmsKey},
		"ssm":            {"ittybitApiKeyParameter": "/ittybit/key", "secretKmsKeyArn": kmsKey},
	} {
		role := deploy(t, "dev", v).role(t, "dispatch")
		for _, via := range []string{"secretsmanager", "ssm", "s3", ""} {
			context := map[string]string{"kms:ViaService": via + ".eu-west-1.amazonaws.com"}
			if via == "" {
				context = nil
			}
			if got := role.allows(t, request{"kms:Decrypt", kmsKey, context}); got != (via == service) {
				t.Errorf("the key of %s used through %q: %v", service, via, got)
			}
		}
	}
}

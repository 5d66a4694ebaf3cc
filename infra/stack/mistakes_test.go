package stack_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
)

func TestValuesThatAreRight(t *testing.T) {
	t.Parallel()
	for _, v := range []values{
		{"manageNotifications": ""},
		{"manageNotifications": true},
		{"bucketName": "a.b-c", "manageNotifications": "false"},
		{"bucketName": "media-123456789012-us-east-1-an", "manageNotifications": false},
		{"ittybitApiKeySecret": "media/Ittybit+key=1_@."},
		{"ittybitApiKeySecret": "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:media-api-key-aB3dE6"},
		{"ittybitApiKeyParameter": "ittybit-key"},
		{"ittybitApiKeyParameter": "arn:aws:ssm:eu-central-1:123456789012:parameter/media/ittybit"},
		{"ittybitApiKeySecret": "media", "secretKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"},
		{"webhookAuth": "signature", "ittybitWebhookSecret": "hook"},
		{"webhookAuth": "both", "ittybitWebhookSecret": "hook", "secretKmsKeyArn": goodKeyARN},
		{"dailyJobLimit": int64(math.MaxInt64)},
		{"sweepInterval": "24h"},
		{"overdueAfter": "1m", "giveUpAfter": "61s"},
		{"resultTtlDays": 36500},
		{"reservedConcurrency": "0"},
		{"tracing": "true", "alarms": "false"},
		{"connectionId": "  "},
		{"memoryMb": " 512 ", "bucketName": " "},
		{"tags": " ", "routes": "\n"},
		{"tags": values{"secure": "yes", "team": "media"}},
		{"tags": ""},
		{"tags": values{}},
		{"tags": values{strings.Repeat("k", 128): strings.Repeat("ü", 256), "a _.:/=+-@": "a _.:/=+-@"}},
		{"tags": many(48)},
		{"routes": ""},
		{"routes": nil, "bucketName": nil},
	} {
		parsed(t, v)
	}
}

func many(tags int) values {
	v := values{}
	for i := range tags {
		v[fmt.Sprint("tag", i)] = "x"
	}
	return v
}

const (
	goodSecretARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:media-aB3dE6"
	goodKeyARN    = "arn:aws:kms:us-east-1:123456789012:key/1234"
)

// Each row has one mistake: its path, and a part of what is said of it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	job := []any{values{"name": "v", "kind": "video"}}
	var suffixes []any
	for i := range 60 {
		suffixes = append(suffixes, "."+strings.Repeat("x", i+1))
	}
	cipher := values{"secure": "v1:abc"}
	for _, tt := range []struct {
		values     values
		path, says string
	}{
		{values: values{"bucketname": "b"}, path: "bucketname", says: "did you mean bucketName?"},
		{values: values{"entirelyUnknownKey": 1}, path: "entirelyUnknownKey", says: "there are bucketName, manageNotifications, routes"},

		{values: values{"bucketName": "ab", "manageNotifications": true}, path: "bucketName", says: "3 to 63"},
		{values: values{"bucketName": strings.Repeat("a", 64), "manageNotifications": true}, path: "bucketName", says: "3 to 63"},
		{values: values{"bucketName": "My-Bucket", "manageNotifications": true}, path: "bucketName", says: "lowercase"},
		{values: values{"bucketName": "my_bucket", "manageNotifications": false}, path: "bucketName", says: "hyphens"},
		{values: values{"bucketName": "bucket-", "manageNotifications": true}, path: "bucketName", says: "first and last"},
		{values: values{"bucketName": "my..bucket", "manageNotifications": true}, path: "bucketName", says: "two dots"},
		{values: values{"bucketName": "192.168.5.4", "manageNotifications": true}, path: "bucketName", says: "IP address"},
		{values: values{"bucketName": "xn--bucket", "manageNotifications": true}, path: "bucketName", says: "reserves xn--"},
		{values: values{"bucketName": "sthree-bucket", "manageNotifications": true}, path: "bucketName", says: "reserves sthree-"},
		{values: values{"bucketName": "amzn-s3-demo-bucket", "manageNotifications": true}, path: "bucketName", says: "reserves amzn-s3-demo-"},
		{values: values{"bucketName": "access-s3alias", "manageNotifications": true}, path: "bucketName", says: "reserves -s3alias"},
		{values: values{"bucketName": "access--ol-s3", "manageNotifications": true}, path: "bucketName", says: "reserves --ol-s3"},
		{values: values{"bucketName": "access.mrap", "manageNotifications": true}, path: "bucketName", says: "reserves .mrap"},
		{values: values{"bucketName": "bucket--use1-az4--x-s3", "manageNotifications": true}, path: "bucketName", says: "reserves --x-s3"},
		{values: values{"bucketName": "bucket--table-s3", "manageNotifications": true}, path: "bucketName", says: "reserves --table-s3"},
		{values: values{"bucketName": "my-media-bucket"}, path: "manageNotifications", says: "replaces what others set"},
		{values: values{"bucketName": "my-media-bucket", "manageNotifications": ""}, path: "manageNotifications", says: "EventBridge must then be turned on"},
		{values: values{"bucketName": "my-media-bucket", "manageNotifications": "maybe"}, path: "manageNotifications", says: `"maybe" is not true or false`},
		{values: values{"manageNotifications": false}, path: "manageNotifications", says: "without bucketName"},
		{values: values{"manageNotifications": "maybe"}, path: "manageNotifications", says: "true or false"},

		{values: values{"connectionId": []any{"x"}}, path: "connectionId", says: "must be a text, not a list or map"},
		{values: values{"connectionId": values{"x": 1}}, path: "connectionId", says: "must be a text, not a list or map"},
		{values: values{"connectionId": map[any]any{1: 2}}, path: "connectionId", says: "must be a text, not a list or map"},
		{values: values{"connectionId": time.Unix(0, 0)}, path: "connectionId", says: "write it in quotes"},
		{values: values{"connectionPlacement": "header"}, path: "connectionPlacement", says: `"header" is not one of options, root`},

		{values: values{"ittybitApiUrl": "http://api.ittybit.com"}, path: "ittybitApiUrl", says: "loopback only"},
		{values: values{"ittybitApiUrl": "api.ittybit.com"}, path: "ittybitApiUrl", says: "of the form https://"},

		{values: values{"ittybitApiKeySecret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:media"}, path: "ittybitApiKeySecret", says: "complete ARN"},
		{values: values{"ittybitApiKeySecret": "arn:aws:ssm:us-east-1:123456789012:parameter/media"}, path: "ittybitApiKeySecret", says: "complete ARN"},
		{values: values{"ittybitApiKeySecret": "my secret"}, path: "ittybitApiKeySecret", says: "name the secret here, do not give it"},
		{values: values{"ittybitApiKeySecret": strings.Repeat("s", 513)}, path: "ittybitApiKeySecret", says: "1 to 512"},
		{values: values{"ittybitApiKeySecret": "media", "ittybitApiKeyParameter": "media"}, path: "ittybitApiKeyParameter", says: "remove one of them"},
		{values: values{"ittybitApiKeyParameter": "arn:aws:secretsmanager:us-east-1:123456789012:secret:media-aB3dE6"}, path: "ittybitApiKeyParameter", says: "is not the ARN of a parameter"},
		{values: values{"ittybitApiKeyParameter": "media/ittybit"}, path: "ittybitApiKeyParameter", says: "each after a slash"},
		{values: values{"ittybitApiKeyParameter": "/media/ittybit:3"}, path: "ittybitApiKeyParameter", says: "each after a slash"},
		{values: values{"ittybitApiKeyParameter": strings.Repeat("p", 1012)}, path: "ittybitApiKeyParameter", says: "at most 1011"},
		{values: values{"ittybitApiKeyParameter": "/aws/reference/secretsmanager/media"}, path: "ittybitApiKeyParameter", says: "use ittybitApiKeySecret"},
		{values: values{"ittybitApiKeyParameter": "SSM-key"}, path: "ittybitApiKeyParameter", says: "begins with aws or ssm"},
		{values: values{"secretKmsKeyArn": goodKeyARN}, path: "secretKmsKeyArn", says: "belongs to no existing secret"},
		{values: values{"secretKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:alias/media", "ittybitApiKeySecret": "media"}, path: "secretKmsKeyArn", says: "cannot name an alias"},
		{values: values{"secretKmsKeyArn": "1234", "ittybitApiKeyParameter": "media"}, path: "secretKmsKeyArn", says: "is not the ARN of a KMS key"},

		{values: values{"webhookAuth": "none"}, path: "webhookAuth", says: "one of token, signature, both"},
		{values: values{"webhookAuth": "none", "ittybitWebhookSecret": "hook"}, path: "webhookAuth", says: "one of"},
		{values: values{"webhookAuth": "signature"}, path: "ittybitWebhookSecret", says: "since webhookAuth is signature"},
		{values: values{"webhookAuth": "both"}, path: "ittybitWebhookSecret", says: "since webhookAuth is both"},
		{values: values{"webhookAuth": "both", "ittybitWebhookSecret": "a b"}, path: "ittybitWebhookSecret", says: "1 to 512"},
		{values: values{"callbackKeyVersion": 0}, path: "callbackKeyVersion", says: "from 1 to 1000"},
		{values: values{"callbackKeyVersion": 1001}, path: "callbackKeyVersion", says: "from 1 to 1000"},

		{values: values{"outputPrefix": "out"}, path: "outputPrefix", says: `"out/"`},
		{values: values{"outputPrefix": "/"}, path: "outputPrefix", says: "must name a folder"},
		{values: values{"outputPrefix": "out", "routes": []any{values{"prefix": "ittybit-output/x", "jobs": job}}}, path: "outputPrefix", says: `"out/"`},
		{values: values{"dailyJobLimit": "many"}, path: "dailyJobLimit", says: `"many" is not a whole number of at least 0`},
		{values: values{"dailyJobLimit": -1}, path: "dailyJobLimit", says: "at least 0"},
		{values: values{"dailyJobLimit": 1.5}, path: "dailyJobLimit", says: `"1.5" is not a whole number`},
		{
			values: values{"dailyJobLimit": 2, "routes": threeJobs("")},
			path:   "dailyJobLimit", says: "2 is less than the 3 jobs of routes[1], so that none of its uploads could ever run; raise it to 3 or more, set it to 0 for no limit",
		},

		{values: values{"sweepInterval": "59s"}, path: "sweepInterval", says: "from 1m to 24h"},
		{values: values{"sweepInterval": "25h"}, path: "sweepInterval", says: "from 1m to 24h"},
		{values: values{"sweepInterval": "90s"}, path: "sweepInterval", says: "in whole minutes"},
		{values: values{"overdueAfter": "30"}, path: "overdueAfter", says: "such as 30m"},
		{values: values{"overdueAfter": "59s"}, path: "overdueAfter", says: "from 1m"},
		{values: values{"overdueAfter": "soon", "giveUpAfter": "10m"}, path: "overdueAfter", says: "such as"},
		{values: values{"overdueAfter": "200h", "giveUpAfter": "later"}, path: "giveUpAfter", says: "such as"},
		{values: values{"giveUpAfter": "2161h"}, path: "giveUpAfter", says: "to 2160h"},
		{values: values{"giveUpAfter": "30m"}, path: "giveUpAfter", says: "30m must be longer than overdueAfter, 30m"},
		{values: values{"overdueAfter": "200h"}, path: "giveUpAfter", says: "168h must be longer than overdueAfter, 200h"},
		{values: values{"resultTtlDays": 29}, path: "resultTtlDays", says: `"29" is not 0 or a whole number from 30 to 36500`},
		{values: values{"resultTtlDays": 36501}, path: "resultTtlDays", says: "from 30 to 36500"},

		{values: values{"logRetentionDays": 8}, path: "logRetentionDays", says: "one of 1, 3, 5, 7, 14, 30"},
		{values: values{"logRetentionDays": 0}, path: "logRetentionDays", says: "2922, 3288, 3653"},
		{values: values{"logLevel": "loud"}, path: "logLevel", says: "one of debug, info, warn, error"},
		{values: values{"memoryMb": 127}, path: "memoryMb", says: "from 128 to 3008"},
		{values: values{"memoryMb": 3009}, path: "memoryMb", says: "from 128 to 3008"},
		{values: values{"architecture": "amd64"}, path: "architecture", says: "one of arm64, x86_64"},
		{values: values{"reservedConcurrency": media.RetryConcurrency}, path: "reservedConcurrency", says: "0 or a whole number of at least 6"},
		{values: values{"webhookBurst": 0}, path: "webhookBurst", says: "from 1 to 5000"},
		{values: values{"webhookBurst": 5001}, path: "webhookBurst", says: "from 1 to 5000"},
		{values: values{"webhookRate": 0}, path: "webhookRate", says: "from 1 to 10000"},
		{values: values{"webhookRate": 10001}, path: "webhookRate", says: "from 1 to 10000"},

		{values: values{"tracing": "yes"}, path: "tracing", says: `"yes" is not true or false`},
		{values: values{"alarms": 1}, path: "alarms", says: "true or false"},
		{values: values{"alarms": "maybe", "alarmEmail": "media@example.com"}, path: "alarms", says: "true or false"},
		{values: values{"dashboard": "True"}, path: "dashboard", says: "true or false"},
		{values: values{"resultEvents": "on"}, path: "resultEvents", says: "true or false"},
		{values: values{"resultEvents": true, "resultEventBus": "aws.partner/x/y"}, path: "resultEventBus", says: "neither the ARN nor the name"},
		{values: values{"resultEvents": true, "resultEventBus": strings.Repeat("b", 257)}, path: "resultEventBus", says: "1 to 256"},
		{values: values{"resultEvents": true, "resultEventBus": "arn:aws:events:us-east-1:123456789012:rule/x"}, path: "resultEventBus", says: "event-bus/NAME"},
		{values: values{"resultEvents": "on", "resultEventBus": "x"}, path: "resultEvents", says: "true or false"},
		{values: values{"protect": "no"}, path: "protect", says: "true or false"},
		{values: values{"alarms": true, "alarmEmail": "media"}, path: "alarmEmail", says: "media@example.com"},
		{values: values{"alarms": true, "alarmEmail": "Media <media@example.com>"}, path: "alarmEmail", says: "plain e-mail address"},

		{values: values{"tags": "media"}, path: "tags", says: "must be a map"},
		{values: values{"tags": []any{"media"}}, path: "tags", says: "must be a map"},
		{values: values{"tags": "null"}, path: "tags", says: "must be a map"},
		{values: values{"tags": many(49)}, path: "tags", says: "has 49 tags"},
		{values: values{"tags": values{"": "x"}}, path: "tags.", says: "1 to 128"},
		{values: values{"tags": values{strings.Repeat("k", 129): "x"}}, path: "tags." + strings.Repeat("k", 129), says: "1 to 128"},
		{values: values{"tags": values{"Cost Center!": "x"}}, path: "tags.Cost Center!", says: "a character that tags cannot have"},
		{values: values{"tags": values{"Cost Center": "a,b"}}, path: "tags.Cost Center", says: "a character that tags cannot have"},
		{values: values{"tags": values{"team": strings.Repeat("x", 257)}}, path: "tags.team", says: "has 257 characters"},
		{values: values{"tags": values{"team": []any{"a"}}}, path: "tags.team", says: "must be a text"},
		{values: values{"tags": values{"team": values{"a": "b"}}}, path: "tags.team", says: "must be a text"},
		{values: values{"tags": values{"team": nil}}, path: "tags.team", says: "must be a text"},
		{values: values{"tags": values{"AWS:team": "x"}}, path: "tags.AWS:team", says: "reserved for AWS"},
		{values: values{"tags": values{"project": "x"}}, path: "tags.project", says: "by the stack itself"},
		{values: values{"tags": values{"Stack": "x"}}, path: "tags.Stack", says: "by the stack itself"},
		{values: values{"tags": values{"Team": "x", "team": "x"}}, path: "tags.team", says: "differs from Team in nothing but case"},

		{values: values{"routes": []any{}}, path: "routes", says: "1 to 50"},
		{values: values{"routes": "mov"}, path: "routes", says: "not JSON"},
		{values: values{"routes": []any{values{"jobs": []any{}}}}, path: "routes[0].jobs", says: "1 to 20"},
		{values: values{"routes": []any{values{"suffixes": suffixes, "jobs": job}}}, path: "routes", says: "EventBridge takes 2048"},
		{values: values{"routes": []any{map[any]any{1: 2}}}, path: "routes", says: "JSON cannot say"},
		{values: values{"routes": []any{values{"prefix": "ittybit-output/x", "jobs": job}}}, path: "routes[0].prefix", says: "outputPrefix"},
		{values: values{"routes": []any{values{"prefix": "out/x", "jobs": job}}, "outputPrefix": "out/"}, path: "routes[0].prefix", says: "outputPrefix"},
		{
			values: values{"bucketName": "my-bucket", "manageNotifications": true, "routes": []any{values{"jobs": []any{values{"name": "v", "kind": "video", "output": "s3://my-bucket/${key}"}}}}},
			path:   "routes[0].jobs[0].output", says: "outputPrefix",
		},
		{values: values{"routes": threeJobs("s3://o/${job}/${dir}${stem}.mp4")}, path: "routes[1].jobs[2].output", says: "it lacks ${ext}; add ${key}"},

		{values: values{"connectionId": cipher}, path: "connectionId", says: "is encrypted"},
		{values: values{"connectionId": stack.Encrypted}, path: "connectionId", says: "is encrypted"},
		{values: values{"tags": values{"team": cipher}}, path: "tags.team", says: "is encrypted"},
		{values: values{"routes": []any{values{"prefix": cipher, "jobs": job}}}, path: "routes[0].prefix", says: "is encrypted"},
		{values: values{"ittybitApiKeySecret": goodSecretARN, "secretKmsKeyArn": cipher}, path: "secretKmsKeyArn", says: "is encrypted"},
	} {
		t.Run(tt.path+": "+tt.says, func(t *testing.T) {
			_, warnings, err := stack.Parse(tt.values)
			problems, _ := errors.AsType[media.Problems](err)
			if len(problems) != 1 || len(warnings) > 0 || problems[0].Path != tt.path || !strings.Contains(problems[0].Text, tt.says) {
				t.Errorf("%v: %v, warnings %v", tt.values, err, warnings)
			}
		})
	}
}

// threeJobs are two routes, of one job and of three, of which the last has the
// output.
func threeJobs(output string) []any {
	job := func(name string) values { return values{"name": name, "kind": "video"} }
	last := job("c")
	if output != "" {
		last["output"] = output
	}
	return []any{
		values{"prefix": "a/", "jobs": []any{job("a")}},
		values{"prefix": "b/", "jobs": []any{job("a"), job("b"), last}},
	}
}

func TestTheDayIsLongEnoughForOneUpload(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 3} {
		if _, _, err := stack.Parse(values{"dailyJobLimit": limit, "routes": threeJobs("")}); err != nil {
			t.Errorf("a limit of %d: %v", limit, err)
		}
	}
	_, _, err := stack.Parse(values{"dailyJobLimit": 1, "routes": threeJobs("s3://o/latest.mp4")})
	if problems, _ := errors.AsType[media.Problems](err); len(problems) != 2 {
		t.Errorf("not both mistakes are reported: %v", err)
	}
}

// The routes of a stack that is deployed may have outputs that a new one must
// not have: the scripts go on reading them.
func TestDeployedRoutesAreStillRead(t *testing.T) {
	t.Parallel()
	s := stack.Settings{OutputPrefix: "ittybit-output/", Routes: json.RawMessage(`[{"jobs":[{"name":"v","kind":"video","output":"s3://o/latest.mp4"}]}]`)}
	if routes, err := s.ParseRoutes(); err != nil || len(routes) != 1 {
		t.Errorf("%v, %v", routes, err)
	}
}

// A secret that stands where its name belongs must not reach the terminal.
func TestReferencesAreNotQuoted(t *testing.T) {
	t.Parallel()
	const pasted = "sk_live_0123456789!"
	_, _, err := stack.Parse(values{"ittybitApiKeySecret": pasted, "ittybitApiKeyParameter": pasted, "ittybitWebhookSecret": pasted, "secretKmsKeyArn": pasted, "ittybitApiUrl": pasted})
	if err == nil || strings.Contains(err.Error(), pasted) {
		t.Error(err)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values     values
		path, says string
	}{
		{values: values{"ittybitWebhookSecret": "hook"}, path: "ittybitWebhookSecret", says: "signature or both"},
		{values: values{"alarmEmail": "media@example.com"}, path: "alarmEmail", says: "alarms is false"},
		{values: values{"resultEventBus": "arn:aws-us-gov:events:us-gov-west-1:123456789012:event-bus/media-results"}, path: "resultEventBus", says: "resultEvents is false"},
		{values: values{"ittybitApiKeySecret": "ittybit-apikey"}, path: "ittybitApiKeySecret", says: "complete ARN"},
		{values: values{"webhookAuth": "both", "ittybitWebhookSecret": "hook-aB3dE6"}, path: "ittybitWebhookSecret", says: "complete ARN"},
		{values: values{"routes": []any{values{"jobs": []any{values{"name": "v", "kind": "video", "options": values{"widht": 1}}}}}}, path: "routes[0].jobs[0].options.widht", says: "did you mean"},
	} {
		_, warnings, err := stack.Parse(tt.values)
		if err != nil || len(warnings) != 1 || warnings[0].Path != tt.path || !strings.Contains(warnings[0].Text, tt.says) {
			t.Errorf("%v: %v, %v", tt.values, warnings, err)
		}
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	native := fromYAML(t, `
bucketname: b
bucketName: My_Bucket
connectionPlacement: header
ittybitApiUrl: http://api.ittybit.com
ittybitApiKeySecret: arn:aws:secretsmanager:us-east-1:123456789012:secret:media
ittybitApiKeyParameter: media key
secretKmsKeyArn: alias/media
webhookAuth: signature
callbackKeyVersion: 0
outputPrefix: out
dailyJobLimit: many
sweepInterval: 90s
overdueAfter: "30"
giveUpAfter: 1y
resultTtlDays: 7
logRetentionDays: 8
logLevel: loud
memoryMb: 64
architecture: arm
reservedConcurrency: 1
webhookBurst: 0
webhookRate: -1
tracing: maybe
alarmEmail: nobody
tags: {Cost Center: "a,b", stack: x}
routes: [{prefix: out/x, jobs: [{name: v, kind: video, options: {quality: 80}}]}]
`)
	want := []string{
		"bucketname", "bucketName", "manageNotifications", "connectionPlacement", "ittybitApiUrl", "ittybitApiKeySecret", "ittybitApiKeyParameter", "ittybitApiKeyParameter",
		"secretKmsKeyArn", "ittybitWebhookSecret", "callbackKeyVersion", "outputPrefix", "dailyJobLimit", "sweepInterval", "overdueAfter", "giveUpAfter", "resultTtlDays",
		"logRetentionDays", "logLevel", "memoryMb", "architecture", "reservedConcurrency", "webhookBurst", "webhookRate", "tracing", "alarmEmail",
		"tags.Cost Center", "tags.stack", "routes[0].jobs[0].options.quality",
	}
	slices.Sort(want)
	for form, v := range map[string]values{"YAML": native, "Pulumi": asPulumiDoes(t, native)} {
		_, _, err := stack.Parse(v)
		problems, _ := errors.AsType[media.Problems](err)
		var got []string
		for _, p := range problems {
			got = append(got, p.Path)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%v\ngot  %q\nwant %q", form, err, got, want)
		}
	}
}

func TestIsARN(t *testing.T) {
	t.Parallel()
	if !stack.IsARN(goodSecretARN) || stack.IsARN("arn") || stack.IsARN("/media/arn:aws") {
		t.Error("names and ARNs are not told apart")
	}
}

// FuzzParse: whatever stands in a stack file is refused or read, and means the
// same in both forms.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		var native values
		if err := json.Unmarshal(data, &native); err != nil {
			t.Skip("not an object")
		}
		c, _, err := stack.Parse(native)
		if err != nil {
			return
		}
		if _, err := event.Pattern(c.BucketName, c.Routes); err != nil || c.WebhookBurst < 1 || c.WebhookRate < 1 || c.GiveUpAfter <= c.OverdueAfter {
			t.Errorf("was accepted: %+v, %v", c, err)
		}
		maps.DeleteFunc(native, func(_ string, v any) bool { return v == nil }) // Pulumi has no such values
		again, _, err := stack.Parse(asPulumiDoes(t, native))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("through Pulumi: %v\ngot  %+v\nwant %+v", err, again, c)
		}
	})
}

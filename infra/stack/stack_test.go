package stack_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
)

// values are those of a stack file's namespace.
type values = map[string]any

// asPulumiDoes turns values into what a Pulumi program gets of them.
func asPulumiDoes(t *testing.T, native values) values {
	t.Helper()
	texts := values{}
	for name, value := range native {
		switch value.(type) {
		case map[string]any, []any:
			data, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(data)
		default:
			texts[name] = fmt.Sprint(value)
		}
	}
	return texts
}

func fromYAML(t *testing.T, text string) values {
	t.Helper()
	v := values{}
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// defaults are the configuration of an empty stack file.
func defaults() stack.Config {
	return stack.Config{
		ManageNotifications: true,
		Routes:              media.DefaultRoutes(),
		ConnectionPlacement: media.PlacementOptions,
		IttybitAPIURL:       "https://api.ittybit.com",
		WebhookAuth:         env.AuthToken,
		CallbackKeyVersion:  1,
		OutputPrefix:        "ittybit-output/",
		DailyJobLimit:       1000,
		SweepInterval:       15 * time.Minute,
		OverdueAfter:        30 * time.Minute,
		GiveUpAfter:         168 * time.Hour,
		LogRetentionDays:    7,
		MemoryMB:            256,
		Architecture:        "arm64",
		WebhookBurst:        200,
		WebhookRate:         100,
		Tags:                map[string]string{},
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, warnings, err := stack.Parse(nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if want := defaults(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// What Pulumi.yaml declares is what a program gets where a stack file is silent.
func TestTheProjectFileChangesNoDefault(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../Pulumi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var project struct {
		Name   string
		Config map[string]struct {
			Type    string
			Default any
		}
	}
	if err := yaml.Unmarshal(data, &project); err != nil {
		t.Fatal(err)
	}
	if project.Name != stack.Namespace {
		t.Errorf("the project's name %q is not the namespace %q", project.Name, stack.Namespace)
	}
	declared := values{}
	for name, c := range project.Config {
		if text, ok := c.Default.(string); !ok || c.Type != "string" {
			t.Errorf("%s: type %q, default %v: both must be of type string, or Pulumi refuses values before the program sees them", name, c.Type, c.Default)
		} else {
			declared[name] = text
		}
	}
	got, warnings, err := stack.Parse(declared)
	if err != nil || len(warnings) > 0 {
		t.Error(err, warnings)
	}
	if want := defaults(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheStackFilesOfTheProject(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../Pulumi.*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no stack file", err)
	}
	configs := map[string]stack.Config{}
	for _, file := range files {
		native, err := stack.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, warnings, err := stack.Parse(native)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", file, err, warnings)
		}
		if again, _, err := stack.Parse(asPulumiDoes(t, native)); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%s through Pulumi: %v\ngot  %+v\nwant %+v", file, err, again, c)
		}
		if name := filepath.Base(file); name != "Pulumi.dev.yaml" && name != "Pulumi.prod.yaml" {
			continue // somebody's own: what else is in it is theirs
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "secure:") || strings.Contains(string(data), "encryptionsalt") {
			t.Errorf("%s has ciphertext: a copy of it could not be read", file)
		}
		if !strings.Contains(string(data), "aws:region: us-east-1") {
			t.Errorf("%s names no region", file)
		}
		configs[filepath.Base(file)] = c
	}
	dev, prod := configs["Pulumi.dev.yaml"], configs["Pulumi.prod.yaml"]
	if dev.Protect || dev.Alarms || dev.Dashboard || dev.LogRetentionDays != 7 || dev.DailyJobLimit != 1000 {
		t.Errorf("dev is not cheap and disposable: %+v", dev)
	}
	if !prod.Protect || !prod.Alarms || prod.LogRetentionDays != 90 || prod.DailyJobLimit != 10000 {
		t.Errorf("prod is not watched and protected: %+v", prod)
	}
	if maps.Equal(dev.Tags, prod.Tags) || !reflect.DeepEqual(dev.Routes, prod.Routes) || len(dev.Routes[0].Jobs) != 3 {
		t.Errorf("dev and prod have the same tags, or not the same three jobs:\n%+v\n%+v", dev, prod)
	}
}

// everyKey has no value that is a default.
const everyKey = `
bucketName: my-media-bucket
manageNotifications: true
routes: [{suffixes: [.mov], jobs: [{name: v, kind: video, options: {width: 640}}]}]
connectionId: 12345
connectionPlacement: root
ittybitApiUrl: http://localhost:8080
ittybitApiKeyParameter: /media/ittybit
secretKmsKeyArn: arn:aws:kms:us-east-1:123456789012:key/mrk-0123456789abcdef
webhookAuth: both
ittybitWebhookSecret: arn:aws:secretsmanager:us-east-1:123456789012:secret:media/webhook-AbC123
callbackKeyVersion: 2
outputPrefix: out/
dailyJobLimit: 0
sweepInterval: 1h
overdueAfter: 90s
giveUpAfter: 2160h
resultTtlDays: 30
logRetentionDays: 3653
logLevel: warn
memoryMb: 3008
architecture: x86_64
reservedConcurrency: 6
webhookBurst: 5000
webhookRate: 10000
tracing: true
alarms: true
dashboard: true
resultEvents: true
resultEventBus: media-results
alarmEmail: media@example.com
protect: true
tags: {team: media, cost: 12, account: 123456789012345678, share: 1.5, live: true, "Größe m": ""}
`

func TestEveryKeyInBothForms(t *testing.T) {
	t.Parallel()
	native := fromYAML(t, everyKey)
	want := stack.Config{
		BucketName:          "my-media-bucket",
		ManageNotifications: true,
		Routes: media.Routes{{
			Suffixes: []string{".mov"},
			Jobs:     []media.Job{{Name: "v", Kind: "video", Options: map[string]any{"width": json.Number("640")}}},
		}},
		ConnectionID:        "12345", // YAML takes a bare number for one
		ConnectionPlacement: media.PlacementRoot,
		IttybitAPIURL:       "http://localhost:8080",
		APIKeyParameter:     "/media/ittybit",
		SecretKMSKeyARN:     "arn:aws:kms:us-east-1:123456789012:key/mrk-0123456789abcdef",
		WebhookAuth:         env.AuthBoth,
		WebhookSecret:       "arn:aws:secretsmanager:us-east-1:123456789012:secret:media/webhook-AbC123",
		CallbackKeyVersion:  2,
		OutputPrefix:        "out/",
		DailyJobLimit:       0,
		SweepInterval:       time.Hour,
		OverdueAfter:        90 * time.Second,
		GiveUpAfter:         2160 * time.Hour,
		ResultTTLDays:       30,
		LogRetentionDays:    3653,
		LogLevel:            slog.LevelWarn,
		MemoryMB:            3008,
		Architecture:        "x86_64",
		ReservedConcurrency: 6,
		WebhookBurst:        5000,
		WebhookRate:         10000,
		Tracing:             true,
		Alarms:              true,
		Dashboard:           true,
		ResultEvents:        true,
		ResultEventBus:      "media-results",
		AlarmEmail:          "media@example.com",
		Protect:             true,
		Tags: map[string]string{
			"team": "media", "cost": "12", "account": "123456789012345678", "share": "1.5", "live": "true", "Größe m": "",
		},
	}
	for form, v := range map[string]values{"YAML": native, "Pulumi": asPulumiDoes(t, native)} {
		got, warnings, err := stack.Parse(v)
		if err != nil || len(warnings) > 0 {
			t.Error(form, err, warnings)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", form, got, want)
		}
	}
}

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
		if _, warnings, err := stack.Parse(v); err != nil || len(warnings) > 0 {
			t.Errorf("%v: %v %v", v, err, warnings)
		}
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
		{values{"bucketname": "b"}, "bucketname", "did you mean bucketName?"},
		{values{"entirelyUnknownKey": 1}, "entirelyUnknownKey", "there are bucketName, manageNotifications, routes"},

		{values{"bucketName": "ab", "manageNotifications": true}, "bucketName", "3 to 63"},
		{values{"bucketName": strings.Repeat("a", 64), "manageNotifications": true}, "bucketName", "3 to 63"},
		{values{"bucketName": "My-Bucket", "manageNotifications": true}, "bucketName", "lowercase"},
		{values{"bucketName": "my_bucket", "manageNotifications": false}, "bucketName", "hyphens"},
		{values{"bucketName": "bucket-", "manageNotifications": true}, "bucketName", "first and last"},
		{values{"bucketName": "my..bucket", "manageNotifications": true}, "bucketName", "two dots"},
		{values{"bucketName": "192.168.5.4", "manageNotifications": true}, "bucketName", "IP address"},
		{values{"bucketName": "xn--bucket", "manageNotifications": true}, "bucketName", "reserves xn--"},
		{values{"bucketName": "sthree-bucket", "manageNotifications": true}, "bucketName", "reserves sthree-"},
		{values{"bucketName": "amzn-s3-demo-bucket", "manageNotifications": true}, "bucketName", "reserves amzn-s3-demo-"},
		{values{"bucketName": "access-s3alias", "manageNotifications": true}, "bucketName", "reserves -s3alias"},
		{values{"bucketName": "access--ol-s3", "manageNotifications": true}, "bucketName", "reserves --ol-s3"},
		{values{"bucketName": "access.mrap", "manageNotifications": true}, "bucketName", "reserves .mrap"},
		{values{"bucketName": "bucket--use1-az4--x-s3", "manageNotifications": true}, "bucketName", "reserves --x-s3"},
		{values{"bucketName": "bucket--table-s3", "manageNotifications": true}, "bucketName", "reserves --table-s3"},
		{values{"bucketName": "my-media-bucket"}, "manageNotifications", "replaces what others set"},
		{values{"bucketName": "my-media-bucket", "manageNotifications": ""}, "manageNotifications", "EventBridge must then be turned on"},
		{values{"bucketName": "my-media-bucket", "manageNotifications": "maybe"}, "manageNotifications", `"maybe" is not true or false`},
		{values{"manageNotifications": false}, "manageNotifications", "without bucketName"},
		{values{"manageNotifications": "maybe"}, "manageNotifications", "true or false"},

		{values{"connectionId": []any{"x"}}, "connectionId", "must be a text, not a list or map"},
		{values{"connectionId": values{"x": 1}}, "connectionId", "must be a text, not a list or map"},
		{values{"connectionId": map[any]any{1: 2}}, "connectionId", "must be a text, not a list or map"},
		{values{"connectionId": time.Unix(0, 0)}, "connectionId", "write it in quotes"},
		{values{"connectionPlacement": "header"}, "connectionPlacement", `"header" is not one of options, root`},

		{values{"ittybitApiUrl": "http://api.ittybit.com"}, "ittybitApiUrl", "loopback only"},
		{values{"ittybitApiUrl": "api.ittybit.com"}, "ittybitApiUrl", "of the form https://"},

		{values{"ittybitApiKeySecret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:media"}, "ittybitApiKeySecret", "complete ARN"},
		{values{"ittybitApiKeySecret": "arn:aws:ssm:us-east-1:123456789012:parameter/media"}, "ittybitApiKeySecret", "complete ARN"},
		{values{"ittybitApiKeySecret": "my secret"}, "ittybitApiKeySecret", "name the secret here, do not give it"},
		{values{"ittybitApiKeySecret": strings.Repeat("s", 513)}, "ittybitApiKeySecret", "1 to 512"},
		{values{"ittybitApiKeySecret": "media", "ittybitApiKeyParameter": "media"}, "ittybitApiKeyParameter", "remove one of them"},
		{values{"ittybitApiKeyParameter": "arn:aws:secretsmanager:us-east-1:123456789012:secret:media-aB3dE6"}, "ittybitApiKeyParameter", "is not the ARN of a parameter"},
		{values{"ittybitApiKeyParameter": "media/ittybit"}, "ittybitApiKeyParameter", "each after a slash"},
		{values{"ittybitApiKeyParameter": "/media/ittybit:3"}, "ittybitApiKeyParameter", "each after a slash"},
		{values{"ittybitApiKeyParameter": strings.Repeat("p", 1012)}, "ittybitApiKeyParameter", "at most 1011"},
		{values{"ittybitApiKeyParameter": "/aws/reference/secretsmanager/media"}, "ittybitApiKeyParameter", "use ittybitApiKeySecret"},
		{values{"ittybitApiKeyParameter": "SSM-key"}, "ittybitApiKeyParameter", "begins with aws or ssm"},
		{values{"secretKmsKeyArn": goodKeyARN}, "secretKmsKeyArn", "belongs to no existing secret"},
		{values{"secretKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:alias/media", "ittybitApiKeySecret": "media"}, "secretKmsKeyArn", "cannot name an alias"},
		{values{"secretKmsKeyArn": "1234", "ittybitApiKeyParameter": "media"}, "secretKmsKeyArn", "is not the ARN of a KMS key"},

		{values{"webhookAuth": "none"}, "webhookAuth", "one of token, signature, both"},
		{values{"webhookAuth": "none", "ittybitWebhookSecret": "hook"}, "webhookAuth", "one of"},
		{values{"webhookAuth": "signature"}, "ittybitWebhookSecret", "since webhookAuth is signature"},
		{values{"webhookAuth": "both"}, "ittybitWebhookSecret", "since webhookAuth is both"},
		{values{"webhookAuth": "both", "ittybitWebhookSecret": "a b"}, "ittybitWebhookSecret", "1 to 512"},
		{values{"callbackKeyVersion": 0}, "callbackKeyVersion", "from 1 to 1000"},
		{values{"callbackKeyVersion": 1001}, "callbackKeyVersion", "from 1 to 1000"},

		{values{"outputPrefix": "out"}, "outputPrefix", `"out/"`},
		{values{"outputPrefix": "/"}, "outputPrefix", "must name a folder"},
		{values{"outputPrefix": "out", "routes": []any{values{"prefix": "ittybit-output/x", "jobs": job}}}, "outputPrefix", `"out/"`},
		{values{"dailyJobLimit": "many"}, "dailyJobLimit", `"many" is not a whole number of at least 0`},
		{values{"dailyJobLimit": -1}, "dailyJobLimit", "at least 0"},
		{values{"dailyJobLimit": 1.5}, "dailyJobLimit", `"1.5" is not a whole number`},
		{values{"dailyJobLimit": 2, "routes": threeJobs("")}, "dailyJobLimit", "2 is less than the 3 jobs of routes[1], so that none of its uploads could ever run; raise it to 3 or more, set it to 0 for no limit"},

		{values{"sweepInterval": "59s"}, "sweepInterval", "from 1m to 24h"},
		{values{"sweepInterval": "25h"}, "sweepInterval", "from 1m to 24h"},
		{values{"sweepInterval": "90s"}, "sweepInterval", "in whole minutes"},
		{values{"overdueAfter": "30"}, "overdueAfter", "such as 30m"},
		{values{"overdueAfter": "59s"}, "overdueAfter", "from 1m"},
		{values{"overdueAfter": "soon", "giveUpAfter": "10m"}, "overdueAfter", "such as"},
		{values{"overdueAfter": "200h", "giveUpAfter": "later"}, "giveUpAfter", "such as"},
		{values{"giveUpAfter": "2161h"}, "giveUpAfter", "to 2160h"},
		{values{"giveUpAfter": "30m"}, "giveUpAfter", "30m must be longer than overdueAfter, 30m"},
		{values{"overdueAfter": "200h"}, "giveUpAfter", "168h must be longer than overdueAfter, 200h"},
		{values{"resultTtlDays": 29}, "resultTtlDays", `"29" is not 0 or a whole number from 30 to 36500`},
		{values{"resultTtlDays": 36501}, "resultTtlDays", "from 30 to 36500"},

		{values{"logRetentionDays": 8}, "logRetentionDays", "one of 1, 3, 5, 7, 14, 30"},
		{values{"logRetentionDays": 0}, "logRetentionDays", "2922, 3288, 3653"},
		{values{"logLevel": "loud"}, "logLevel", "one of debug, info, warn, error"},
		{values{"memoryMb": 127}, "memoryMb", "from 128 to 3008"},
		{values{"memoryMb": 3009}, "memoryMb", "from 128 to 3008"},
		{values{"architecture": "amd64"}, "architecture", "one of arm64, x86_64"},
		{values{"reservedConcurrency": media.RetryConcurrency}, "reservedConcurrency", "0 or a whole number of at least 6"},
		{values{"webhookBurst": 0}, "webhookBurst", "from 1 to 5000"},
		{values{"webhookBurst": 5001}, "webhookBurst", "from 1 to 5000"},
		{values{"webhookRate": 0}, "webhookRate", "from 1 to 10000"},
		{values{"webhookRate": 10001}, "webhookRate", "from 1 to 10000"},

		{values{"tracing": "yes"}, "tracing", `"yes" is not true or false`},
		{values{"alarms": 1}, "alarms", "true or false"},
		{values{"alarms": "maybe", "alarmEmail": "media@example.com"}, "alarms", "true or false"},
		{values{"dashboard": "True"}, "dashboard", "true or false"},
		{values{"resultEvents": "on"}, "resultEvents", "true or false"},
		{values{"resultEvents": true, "resultEventBus": "aws.partner/x/y"}, "resultEventBus", "neither the ARN nor the name"},
		{values{"resultEvents": true, "resultEventBus": strings.Repeat("b", 257)}, "resultEventBus", "1 to 256"},
		{values{"resultEvents": true, "resultEventBus": "arn:aws:events:us-east-1:123456789012:rule/x"}, "resultEventBus", "event-bus/NAME"},
		{values{"resultEvents": "on", "resultEventBus": "x"}, "resultEvents", "true or false"},
		{values{"protect": "no"}, "protect", "true or false"},
		{values{"alarms": true, "alarmEmail": "media"}, "alarmEmail", "media@example.com"},
		{values{"alarms": true, "alarmEmail": "Media <media@example.com>"}, "alarmEmail", "plain e-mail address"},

		{values{"tags": "media"}, "tags", "must be a map"},
		{values{"tags": []any{"media"}}, "tags", "must be a map"},
		{values{"tags": "null"}, "tags", "must be a map"},
		{values{"tags": many(49)}, "tags", "has 49 tags"},
		{values{"tags": values{"": "x"}}, "tags.", "1 to 128"},
		{values{"tags": values{strings.Repeat("k", 129): "x"}}, "tags." + strings.Repeat("k", 129), "1 to 128"},
		{values{"tags": values{"Cost Center!": "x"}}, "tags.Cost Center!", "a character that tags cannot have"},
		{values{"tags": values{"Cost Center": "a,b"}}, "tags.Cost Center", "a character that tags cannot have"},
		{values{"tags": values{"team": strings.Repeat("x", 257)}}, "tags.team", "has 257 characters"},
		{values{"tags": values{"team": []any{"a"}}}, "tags.team", "must be a text"},
		{values{"tags": values{"team": values{"a": "b"}}}, "tags.team", "must be a text"},
		{values{"tags": values{"team": nil}}, "tags.team", "must be a text"},
		{values{"tags": values{"AWS:team": "x"}}, "tags.AWS:team", "reserved for AWS"},
		{values{"tags": values{"project": "x"}}, "tags.project", "by the stack itself"},
		{values{"tags": values{"Stack": "x"}}, "tags.Stack", "by the stack itself"},
		{values{"tags": values{"Team": "x", "team": "x"}}, "tags.team", "differs from Team in nothing but case"},

		{values{"routes": []any{}}, "routes", "1 to 50"},
		{values{"routes": "mov"}, "routes", "not JSON"},
		{values{"routes": []any{values{"jobs": []any{}}}}, "routes[0].jobs", "1 to 20"},
		{values{"routes": []any{values{"suffixes": suffixes, "jobs": job}}}, "routes", "EventBridge takes 2048"},
		{values{"routes": []any{map[any]any{1: 2}}}, "routes", "JSON cannot say"},
		{values{"routes": []any{values{"prefix": "ittybit-output/x", "jobs": job}}}, "routes[0].prefix", "outputPrefix"},
		{values{"routes": []any{values{"prefix": "out/x", "jobs": job}}, "outputPrefix": "out/"}, "routes[0].prefix", "outputPrefix"},
		{
			values{"bucketName": "my-bucket", "manageNotifications": true, "routes": []any{values{"jobs": []any{values{"name": "v", "kind": "video", "output": "s3://my-bucket/${key}"}}}}},
			"routes[0].jobs[0].output", "outputPrefix",
		},
		{values{"routes": threeJobs("s3://o/${job}/${dir}${stem}.mp4")}, "routes[1].jobs[2].output", "it lacks ${ext}; add ${key}"},

		{values{"connectionId": cipher}, "connectionId", "is encrypted"},
		{values{"connectionId": stack.Encrypted}, "connectionId", "is encrypted"},
		{values{"tags": values{"team": cipher}}, "tags.team", "is encrypted"},
		{values{"routes": []any{values{"prefix": cipher, "jobs": job}}}, "routes[0].prefix", "is encrypted"},
		{values{"ittybitApiKeySecret": goodSecretARN, "secretKmsKeyArn": cipher}, "secretKmsKeyArn", "is encrypted"},
	} {
		_, warnings, err := stack.Parse(tt.values)
		problems, _ := errors.AsType[media.Problems](err)
		if len(problems) != 1 || len(warnings) > 0 || problems[0].Path != tt.path || !strings.Contains(problems[0].Text, tt.says) {
			t.Errorf("%v:\ngot  %v, warnings %v\nwant %s: … %s …", tt.values, err, warnings, tt.path, tt.says)
		}
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
		{values{"ittybitWebhookSecret": "hook"}, "ittybitWebhookSecret", "signature or both"},
		{values{"alarmEmail": "media@example.com"}, "alarmEmail", "alarms is false"},
		{values{"resultEventBus": "arn:aws-us-gov:events:us-gov-west-1:123456789012:event-bus/media-results"}, "resultEventBus", "resultEvents is false"},
		{values{"ittybitApiKeySecret": "ittybit-apikey"}, "ittybitApiKeySecret", "complete ARN"},
		{values{"webhookAuth": "both", "ittybitWebhookSecret": "hook-aB3dE6"}, "ittybitWebhookSecret", "complete ARN"},
		{values{"routes": []any{values{"jobs": []any{values{"name": "v", "kind": "video", "options": values{"widht": 1}}}}}}, "routes[0].jobs[0].options.widht", "did you mean"},
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

func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	got, err := stack.ReadFile(write("Pulumi.dev.yaml", "config:\n  aws:region: us-east-1\n  ittybit-media:connectionId: conn_1\n  logLevel: warn\n"))
	if err != nil || !reflect.DeepEqual(got, values{"connectionId": "conn_1", "logLevel": "warn"}) {
		t.Errorf("got %v, %v", got, err)
	}
	got, err = stack.ReadFile(write("Pulumi.secret.yaml", "encryptionsalt: v1:a\nconfig:\n  ittybit-media:connectionId:\n    secure: v1:b\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := stack.Parse(got); err == nil || !strings.Contains(err.Error(), "connectionId: is encrypted") {
		t.Errorf("encrypted: %v", err)
	}
	if _, err := stack.ReadFile(write("Pulumi.bad.yaml", "config: [")); err == nil || !strings.Contains(err.Error(), "Pulumi.bad.yaml") {
		t.Errorf("broken: %v", err)
	}
	if _, err := stack.ReadFile(filepath.Join(dir, "Pulumi.prod.yaml")); err == nil || !strings.Contains(err.Error(), "there are Pulumi.bad.yaml, Pulumi.dev.yaml") {
		t.Errorf("missing: %v", err)
	}
	if _, err := stack.ReadFile(filepath.Join(t.TempDir(), "Pulumi.prod.yaml")); err == nil || strings.Contains(err.Error(), "there are Pulumi") {
		t.Errorf("alone: %v", err)
	}
}

func TestOpenReadsOtherNamespacesToo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "Pulumi.dev.yaml")
	text := "config:\n  aws:region: eu-west-1\n  aws:secretKey:\n    secure: v1:b\n  other:list:\n    - secure: v1:c\n  logLevel:\n    secure: v1:d\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := stack.Open(path)
	var ciphers []string
	for _, c := range file.Ciphers {
		ciphers = append(ciphers, c.Path)
	}
	if err != nil || file.Region != "eu-west-1" || !slices.Equal(ciphers, []string{"aws:secretKey", "other:list[0]"}) {
		t.Errorf("%+v, %v", file, err)
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

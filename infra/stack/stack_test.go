package stack_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ittybit-media/handlers/env"
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

// parsed is the configuration of values without a mistake or a warning.
func parsed(t *testing.T, v values) stack.Config {
	t.Helper()
	c, warnings, err := stack.Parse(v)
	if err != nil || len(warnings) > 0 {
		t.Errorf("%v: %v, warnings %v", v, err, warnings)
	}
	return c
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	if got, want := parsed(t, nil), defaults(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// What Pulumi.yaml declares is what a program gets where a stack file is
// silent.
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
	if got, want := parsed(t, declared), defaults(); !reflect.DeepEqual(got, want) {
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
		c := parsed(t, native)
		if again := parsed(t, asPulumiDoes(t, native)); !reflect.DeepEqual(again, c) {
			t.Errorf("%s through Pulumi:\ngot  %+v\nwant %+v", file, again, c)
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
		if got := parsed(t, v); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", form, got, want)
		}
	}
}

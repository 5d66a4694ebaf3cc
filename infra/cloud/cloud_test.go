package cloud_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/infra/cloud"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/aws/eventbridge"
)

const kmsKey = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"

// stacks are the environments of the project, and one with every key set.
func stacks(t *testing.T) map[string]values {
	t.Helper()
	dev := stackFile(t, "dev")
	return map[string]values{
		"dev":  dev,
		"prod": stackFile(t, "prod"),
		"everything": dev.with(values{
			"bucketName":             "my-media-bucket",
			"manageNotifications":    "true",
			"connectionId":           "conn_1",
			"connectionPlacement":    "root",
			"ittybitApiUrl":          "https://ittybit.example.com",
			"ittybitApiKeyParameter": "/ittybit/key",
			"secretKmsKeyArn":        kmsKey,
			"webhookAuth":            "both",
			"ittybitWebhookSecret":   "ittybit/webhook",
			"callbackKeyVersion":     "3",
			"outputPrefix":           "ittybit-output/",
			"dailyJobLimit":          "77",
			"overdueAfter":           "45m",
			"resultTtlDays":          "90",
			"logRetentionDays":       "30",
			"logLevel":               "debug",
			"memoryMb":               "512",
			"architecture":           "x86_64",
			"reservedConcurrency":    "20",
			"webhookBurst":           "10",
			"webhookRate":            "5",
			"tracing":                "true",
			"resultEvents":           "true",
			"resultEventBus":         "media-results",
			"alarms":                 "true",
			"alarmEmail":             "media@example.com",
			"dashboard":              "true",
			"protect":                "true",
			"tags":                   `{"team":"media"}`,
		}),
	}
}

// eachStack runs a test for every one of the stacks.
func eachStack(t *testing.T, test func(t *testing.T, name string, v values, d *deployment)) {
	t.Helper()
	for name, v := range stacks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, name, v, deploy(t, name, v))
		})
	}
}

// config is the configuration as the program understands it.
func config(t testing.TB, v values) stack.Config {
	t.Helper()
	all := map[string]any{}
	for key, value := range v {
		all[key] = value
	}
	c, _, err := stack.Parse(all)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheRuleTakesWhatTheRoutesWant(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		rule := d.one(t, "EventRule", "-uploads")
		pattern, err := eventbridge.Compile([]byte(rule.at("eventPattern").(string)))
		if err != nil {
			t.Fatal(err)
		}
		bucket := "my-media-bucket"
		if made := d.all("BucketV2"); len(made) == 1 {
			bucket = made[0].out(t, "bucket")
		}
		event := func(bucket, key string, change func(map[string]any)) []byte {
			data := eventbridge.ObjectCreated(eventbridge.Object{Account: account, Region: region, Bucket: bucket, Key: key, Size: 1, Reason: "PutObject"})
			if change == nil {
				return data
			}
			var e map[string]any
			if err := json.Unmarshal(data, &e); err != nil {
				t.Fatal(err)
			}
			change(e)
			data, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		for name, tt := range map[string]struct {
			event []byte
			want  bool
		}{
			"a film":            {event(bucket, "uploads/film.mov", nil), true},
			"a phone's":         {event(bucket, "uploads/IMG_1.MOV", nil), true},
			"not a film":        {event(bucket, "uploads/film.txt", nil), false},
			"another bucket":    {event("another-bucket", "uploads/film.mov", nil), false},
			"deleted":           {event(bucket, "uploads/film.mov", func(e map[string]any) { e["detail-type"] = "Object Deleted" }), false},
			"somebody's own":    {event(bucket, "uploads/film.mov", func(e map[string]any) { e["source"] = "custom" }), false},
			"a suffix alone":    {event(bucket, ".mp4", nil), true},
			"the suffix inside": {event(bucket, "uploads/film.mov.part", nil), false},
		} {
			if got, err := pattern.Matches(tt.event); err != nil || got != tt.want {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
	})
}

func TestTheRuleDeliversToDispatchAlone(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		rule, retry, dispatch := d.one(t, "EventRule", "-uploads"), d.one(t, "Queue", "-retry"), d.function(t, "dispatch")
		target := d.one(t, "EventTarget", "-uploads")
		for path, want := range map[string]any{
			"rule":                                 rule.out(t, "name"),
			"arn":                                  dispatch.out(t, "arn"),
			"deadLetterConfig.arn":                 retry.out(t, "arn"),
			"retryPolicy.maximumEventAgeInSeconds": 86400.0,
			"retryPolicy.maximumRetryAttempts":     185.0,
		} {
			if got := target.at(path); got != want {
				t.Errorf("%s: %v, want %v", path, got, want)
			}
		}
		for _, first := range []*made{d.one(t, "Permission", "-uploads"), d.one(t, "QueuePolicy", "-retry"), d.one(t, "RolePolicy", "-dispatch"), d.one(t, "SecretVersion", ""), d.one(t, "FunctionEventInvokeConfig", "-dispatch"), d.one(t, "EventSourceMapping", "")} {
			if !d.waits(target, first) {
				t.Errorf("events may come before %s %s is there", first.kind, first.name)
			}
		}
	})
}

func TestEveryPermissionNamesItsSource(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		got := map[string]string{}
		for _, p := range d.all("Permission") {
			if p.at("action") != "lambda:InvokeFunction" {
				t.Errorf("%s: action %v", p.name, p.at("action"))
			}
			source, _ := p.at("sourceArn").(string)
			got[p.at("principal").(string)+" to "+p.at("function").(string)] = source
		}
		want := map[string]string{
			"events.amazonaws.com to " + d.function(t, "dispatch").out(t, "name"):    d.one(t, "EventRule", "-uploads").out(t, "arn"),
			"events.amazonaws.com to " + d.function(t, "sweep").out(t, "name"):       d.one(t, "EventRule", "-sweep").out(t, "arn"),
			"apigateway.amazonaws.com to " + d.function(t, "webhook").out(t, "name"): "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3/*/POST/webhook",
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

func TestFailuresGoToTheRetryQueue(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		retry, dead, dispatch := d.one(t, "Queue", "-retry"), d.one(t, "Queue", "-dead-letters"), d.function(t, "dispatch")
		async := d.one(t, "FunctionEventInvokeConfig", "-dispatch")
		mapping := d.one(t, "EventSourceMapping", "")
		for _, tt := range []struct {
			m    *made
			path string
			want any
		}{
			{retry, "delaySeconds", 60.0},
			{retry, "visibilityTimeoutSeconds", 900.0},
			{retry, "messageRetentionSeconds", 14 * 86400.0},
			{retry, "sqsManagedSseEnabled", true},
			{dead, "messageRetentionSeconds", 14 * 86400.0},
			{dead, "sqsManagedSseEnabled", true},
			{dead, "redrivePolicy", nil},
			{async, "functionName", dispatch.out(t, "name")},
			{async, "maximumRetryAttempts", 0.0},
			{async, "maximumEventAgeInSeconds", 21600.0},
			{async, "destinationConfig.onFailure.destination", retry.out(t, "arn")},
			{mapping, "functionName", dispatch.out(t, "name")},
			{mapping, "eventSourceArn", retry.out(t, "arn")},
			{mapping, "batchSize", 10.0},
			{mapping, "functionResponseTypes.0", "ReportBatchItemFailures"},
			{mapping, "scalingConfig.maximumConcurrency", 5.0},
		} {
			if got := tt.m.at(tt.path); got != tt.want {
				t.Errorf("%s %s: %v, want %v", tt.m.name, tt.path, got, tt.want)
			}
		}
		var redrive struct {
			DeadLetterTargetArn string
			MaxReceiveCount     int
		}
		if err := json.Unmarshal([]byte(retry.at("redrivePolicy").(string)), &redrive); err != nil {
			t.Fatal(err)
		}
		if redrive.DeadLetterTargetArn != dead.out(t, "arn") || redrive.MaxReceiveCount != 288 {
			t.Errorf("redrive policy %+v", redrive)
		}
		const allow = `{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:eu-west-1:123456789012:%s"]}`
		if got, want := d.one(t, "RedriveAllowPolicy", "").at("redriveAllowPolicy"), strings.Replace(allow, "%s", retry.out(t, "name"), 1); got != want {
			t.Errorf("redrive allow policy %s, want %s", got, want)
		}
		timeout := dispatch.at("timeout").(float64)
		if visibility := retry.at("visibilityTimeoutSeconds").(float64); visibility < 6*timeout {
			t.Errorf("messages come back after %v s, while dispatch has %v s: Lambda wants six times that", visibility, timeout)
		}
		for _, m := range []*made{async, mapping} {
			if !d.waits(m, d.one(t, "RolePolicy", "-dispatch")) {
				t.Errorf("%s may be made before dispatch's role may do it", m.kind)
			}
		}
	})
}

func TestOnlyTheRuleAndDispatchsDestinationSendToTheRetryQueue(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		retry := d.one(t, "Queue", "-retry").out(t, "arn")
		rule := d.one(t, "EventRule", "-uploads").out(t, "arn")
		queue := parsePolicy(t, d.one(t, "QueuePolicy", "-retry").at("policy"))
		for _, s := range queue.Statement {
			if !reflect.DeepEqual(s.Principal, map[string]string{"Service": "events.amazonaws.com"}) {
				t.Errorf("the queue lets in %v", s.Principal)
			}
		}
		for source, want := range map[string]bool{rule: true, rule + "-other": false, "": false} {
			context := map[string]string{"aws:SourceArn": source}
			if source == "" {
				context = nil
			}
			if got := queue.allows(t, request{"sqs:SendMessage", retry, context}); got != want {
				t.Errorf("an event from %q: %v", source, got)
			}
		}
		if queue.allows(t, request{"sqs:ReceiveMessage", retry, map[string]string{"aws:SourceArn": rule}}) {
			t.Error("EventBridge may read the queue")
		}
		for _, handler := range handlers {
			role := d.role(t, handler)
			for _, action := range []string{"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"} {
				lambda := role.allows(t, request{action, retry, nil})
				if lambda != (handler == "dispatch") {
					t.Errorf("Lambda, for %s: %s: %v", handler, action, lambda)
				}
				code := map[string]string{"lambda:SourceFunctionArn": d.function(t, handler).out(t, "arn")}
				if role.allows(t, request{action, retry, code}) {
					t.Errorf("the code of %s may %s", handler, action)
				}
			}
		}
	})
}

func TestTheFunctionsGetTheEnvironmentThatTheyRead(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, name string, v values, d *deployment) {
		c := config(t, v)
		common := env.Common{
			Table:     d.one(t, "Table", "").out(t, "name"),
			ResultTTL: time.Duration(c.ResultTTLDays) * 24 * time.Hour,
			Namespace: "IttybitMedia/" + name,
			LogLevel:  c.LogLevel,
		}
		keys := d.one(t, "Secret", "-callback-keys").out(t, "arn")

		dispatch := d.environment(t, "dispatch")
		onlyKnown(t, dispatch, env.Names(env.LoadDispatch))
		gotDispatch, err := env.LoadDispatch(getenv(dispatch, unzip(t, d.function(t, "dispatch").at("code").(string))))
		if err != nil {
			t.Fatal(err)
		}
		wantDispatch := env.Dispatch{
			Common: common, Routes: c.Routes,
			WebhookURL: "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/webhook",
			Connection: c.ConnectionID, Placement: c.ConnectionPlacement, APIURL: c.IttybitAPIURL,
			APIKey:       env.APIKey{Secret: c.APIKeySecret, Parameter: c.APIKeyParameter},
			CallbackKeys: keys, OutputPrefix: c.OutputPrefix, DailyJobLimit: c.DailyJobLimit, OverdueAfter: c.OverdueAfter,
		}
		if wantDispatch.APIKey == (env.APIKey{}) {
			wantDispatch.APIKey.Secret = d.one(t, "Secret", "-api-key").out(t, "arn")
		}
		if !reflect.DeepEqual(gotDispatch, wantDispatch) {
			t.Errorf("dispatch got  %+v\nwant %+v", gotDispatch, wantDispatch)
		}

		webhook := d.environment(t, "webhook")
		onlyKnown(t, webhook, env.Names(env.LoadWebhook))
		gotWebhook, err := env.LoadWebhook(getenv(webhook, ""))
		if err != nil {
			t.Fatal(err)
		}
		if want := (env.Webhook{Common: common, Auth: c.WebhookAuth, CallbackKeys: keys, SigningSecrets: c.WebhookSecret}); gotWebhook != want {
			t.Errorf("webhook got  %+v\nwant %+v", gotWebhook, want)
		}

		sweep := d.environment(t, "sweep")
		onlyKnown(t, sweep, env.Names(env.LoadSweep))
		gotSweep, err := env.LoadSweep(getenv(sweep, ""))
		if err != nil {
			t.Fatal(err)
		}
		if want := (env.Sweep{Common: common, APIURL: c.IttybitAPIURL, APIKey: wantDispatch.APIKey, OverdueAfter: c.OverdueAfter, GiveUpAfter: c.GiveUpAfter}); gotSweep != want {
			t.Errorf("sweep got  %+v\nwant %+v", gotSweep, want)
		}
		for handler, variables := range map[string]map[string]string{"dispatch": dispatch, "webhook": webhook, "sweep": sweep} {
			size := 0
			for name, value := range variables {
				size += len(name) + len(value)
			}
			if size > 3000 { // of Lambda's 4 KB; these are short names
				t.Errorf("the environment of %s takes %d bytes", handler, size)
			}
		}
	})
}

func onlyKnown(t *testing.T, variables map[string]string, names []string) {
	t.Helper()
	for name, value := range variables {
		if !slices.Contains(names, name) {
			t.Errorf("%s is set and nobody reads it", name)
		}
		if value == "" {
			t.Errorf("%s is empty", name)
		}
	}
}

func getenv(variables map[string]string, root string) func(string) string {
	return func(name string) string {
		if name == "LAMBDA_TASK_ROOT" {
			return root
		}
		return variables[name]
	}
}

// unzip unpacks a function's zip as Lambda does, into what it calls the task
// root.
func unzip(t *testing.T, path string) string {
	t.Helper()
	r, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	root := t.TempDir()
	for _, f := range r.File {
		from, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, f.Name), data, f.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestTheFunctions(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, name string, v values, d *deployment) {
		c := config(t, v)
		for handler, timeout := range map[string]float64{"dispatch": 60, "webhook": 10, "sweep": 120} {
			f, logs := d.function(t, handler), d.one(t, "LogGroup", "-"+handler)
			tracing := map[bool]string{false: "PassThrough", true: "Active"}[c.Tracing]
			for path, want := range map[string]any{
				"runtime":                           "provided.al2023",
				"handler":                           "bootstrap",
				"architectures.0":                   c.Architecture,
				"memorySize":                        float64(c.MemoryMB),
				"timeout":                           timeout,
				"role":                              d.one(t, "Role", "-"+handler).out(t, "arn"),
				"loggingConfig.logFormat":           "JSON",
				"loggingConfig.logGroup":            logs.out(t, "name"),
				"loggingConfig.applicationLogLevel": "DEBUG",
				"loggingConfig.systemLogLevel":      "INFO",
				"tracingConfig.mode":                tracing,
			} {
				if got := f.at(path); got != want {
					t.Errorf("%s %s: %v, want %v", handler, path, got, want)
				}
			}
			if got := logs.at("retentionInDays"); got != float64(c.LogRetentionDays) {
				t.Errorf("logs of %s stay %v days", handler, got)
			}
			if !d.waits(f, logs) || !d.waits(f, d.one(t, "RolePolicy", "-"+handler)) {
				t.Errorf("%s may run before its log group and its rights are there", handler)
			}
			if trust := parsePolicy(t, d.one(t, "Role", "-"+handler).at("assumeRolePolicy")); len(trust.Statement) != 1 ||
				trust.Statement[0].Principal["Service"] != "lambda.amazonaws.com" || !slices.Equal(trust.Statement[0].Action, []string{"sts:AssumeRole"}) {
				t.Errorf("%s may be assumed by %+v", handler, trust)
			}
		}
		var reserved any
		if c.ReservedConcurrency > 0 {
			reserved = float64(c.ReservedConcurrency)
		}
		if got := d.function(t, "dispatch").at("reservedConcurrentExecutions"); got != reserved {
			t.Errorf("dispatch has %v reserved, want %v", got, reserved)
		}
		for _, handler := range []string{"webhook", "sweep"} {
			if got := d.function(t, handler).at("reservedConcurrentExecutions"); got != nil {
				t.Errorf("%s has %v reserved", handler, got)
			}
		}
		if len(d.all("Function")) != 3 {
			t.Errorf("%d functions", len(d.all("Function")))
		}
	})
}

func TestDebugLinesReachTheLog(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]slog.Level{"debug": slog.LevelDebug, "error": slog.LevelError} {
		d := deploy(t, "dev", values{"logLevel": level})
		webhook, err := env.LoadWebhook(getenv(d.environment(t, "webhook"), ""))
		if err != nil || webhook.LogLevel != want {
			t.Errorf("%s: %v, %v", level, webhook.LogLevel, err)
		}
		// Lambda's own filter would drop metrics above INFO and our debug lines above
		// DEBUG.
		if got := d.function(t, "webhook").at("loggingConfig.applicationLogLevel"); got != "DEBUG" {
			t.Errorf("%s: Lambda filters by %v", level, got)
		}
	}
}

func TestTheAPI(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, _ string, v values, d *deployment) {
		c := config(t, v)
		api, stage, integration, route := d.one(t, "Api", ""), d.one(t, "Stage", ""), d.one(t, "Integration", ""), d.one(t, "Route", "")
		logs := d.one(t, "LogGroup", "-api")
		for _, tt := range []struct {
			m    *made
			path string
			want any
		}{
			{api, "protocolType", "HTTP"},
			{stage, "apiId", "a1b2c3"},
			{stage, "name", "$default"},
			{stage, "autoDeploy", true},
			{stage, "defaultRouteSettings.throttlingBurstLimit", float64(c.WebhookBurst)},
			{stage, "defaultRouteSettings.throttlingRateLimit", float64(c.WebhookRate)},
			{stage, "accessLogSettings.destinationArn", logs.out(t, "arn")},
			{logs, "retentionInDays", float64(c.LogRetentionDays)},
			{integration, "integrationType", "AWS_PROXY"},
			{integration, "integrationMethod", "POST"},
			{integration, "payloadFormatVersion", "2.0"},
			{integration, "integrationUri", d.function(t, "webhook").out(t, "invokeArn")},
			{route, "routeKey", "POST /webhook"},
			{route, "target", "integrations/" + integration.name + "-id"},
		} {
			if got := tt.m.at(tt.path); got != tt.want {
				t.Errorf("%s %s: %v, want %v", tt.m.kind, tt.path, got, tt.want)
			}
		}
		if len(d.all("Route")) != 1 {
			t.Errorf("%d routes", len(d.all("Route")))
		}
		for _, throttle := range []string{"throttlingBurstLimit", "throttlingRateLimit"} {
			if n, _ := stage.at("defaultRouteSettings." + throttle).(float64); n <= 0 {
				t.Errorf("%s is %v: every request would be refused", throttle, n)
			}
		}
		if ms := integration.at("timeoutMilliseconds").(float64); ms <= 1000*d.function(t, "webhook").at("timeout").(float64) || ms > 30000 {
			t.Errorf("API Gateway waits %v ms", ms)
		}
		if !strings.HasPrefix(logs.out(t, "name"), "/aws/vendedlogs/") {
			t.Errorf("access log in %s: its resource policy may outgrow its limit", logs.out(t, "name"))
		}
		var line map[string]string
		if err := json.Unmarshal([]byte(stage.at("accessLogSettings.format").(string)), &line); err != nil {
			t.Fatal(err)
		}
		for name, value := range line {
			// The query holds the token; the caller's own words could break the line.
			if strings.Contains(strings.ToLower(value), "query") || strings.Contains(value, "userAgent") || !strings.HasPrefix(value, "$context.") {
				t.Errorf("the access log has %s: %s", name, value)
			}
		}
		if line["path"] != "$context.path" || line["status"] != "$context.status" || line["integrationError"] == "" {
			t.Errorf("the access log is of no use: %v", line)
		}
	})
}

func TestTheTableIsTheHandlersOne(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, _ string, v values, d *deployment) {
		table := d.one(t, "Table", "")
		index := map[string]any{"name": "open", "hashKey": "open", "rangeKey": "check_at", "projectionType": "INCLUDE", "nonKeyAttributes": list(results.OpenIndexAttributes())}
		protect := config(t, v).Protect
		for path, want := range map[string]any{
			"billingMode":                 "PAY_PER_REQUEST",
			"hashKey":                     "pk",
			"rangeKey":                    "sk",
			"globalSecondaryIndexes":      []any{index},
			"ttl":                         map[string]any{"attributeName": "expires_at", "enabled": true},
			"streamEnabled":               true,
			"streamViewType":              "NEW_AND_OLD_IMAGES",
			"pointInTimeRecovery.enabled": protect,
			"deletionProtectionEnabled":   protect,
		} {
			if got := table.at(path); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, want %v", path, got, want)
			}
		}
		types := map[string]string{}
		for _, a := range table.at("attributes").([]any) {
			a := a.(map[string]any)
			types[a["name"].(string)] = a["type"].(string)
		}
		if want := map[string]string{"pk": "S", "sk": "S", "open": "S", "check_at": "N"}; !reflect.DeepEqual(types, want) {
			t.Errorf("attributes %v, want %v", types, want)
		}
	})
}

func list(words []string) []any {
	var all []any
	for _, w := range words {
		all = append(all, w)
	}
	return all
}

func TestProtect(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, name string, v values, d *deployment) {
		c := config(t, v)
		if name == "prod" && !c.Protect || name == "dev" && c.Protect {
			t.Fatalf("protect is %v in %s", c.Protect, name)
		}
		want := map[string]bool{"Table": c.Protect, "Api": c.Protect, "BucketV2": c.Protect}
		for _, m := range d.resources {
			kind := m.kind[strings.LastIndex(m.kind, ":")+1:]
			protected := want[kind] || c.Protect &&
				(kind == "Secret" && strings.HasSuffix(m.name, "-callback-keys") || kind == "RandomBytes" && strings.HasSuffix(m.name, fmt.Sprintf("-v%d", c.CallbackKeyVersion)))
			if m.protected != protected {
				t.Errorf("%s %s: protect is %v", m.kind, m.name, m.protected)
			}
		}
		for _, secret := range d.all("Secret") {
			if got, want := secret.at("recoveryWindowInDays"), map[bool]float64{false: 0, true: 30}[c.Protect]; got != want {
				t.Errorf("%s can be brought back for %v days, want %v", secret.name, got, want)
			}
		}
		for _, bucket := range d.all("BucketV2") {
			if got := bucket.at("forceDestroy"); got != !c.Protect {
				t.Errorf("the bucket goes with what is in it: %v", got)
			}
		}
	})
}

func TestTheBucketThatIsMade(t *testing.T) {
	t.Parallel()
	d := deploy(t, "dev", nil)
	bucket := d.one(t, "BucketV2", "")
	name, arn := bucket.out(t, "bucket"), bucket.out(t, "arn")
	block := d.one(t, "BucketPublicAccessBlock", "")
	for _, path := range []string{"blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"} {
		if block.at(path) != true {
			t.Errorf("%s is %v", path, block.at(path))
		}
	}
	for _, kind := range []string{"BucketPublicAccessBlock", "BucketServerSideEncryptionConfigurationV2", "BucketLifecycleConfigurationV2", "BucketPolicy", "BucketNotification"} {
		if got := d.one(t, kind, "").at("bucket"); got != name {
			t.Errorf("%s is of %v", kind, got)
		}
	}
	if got := d.one(t, "BucketServerSideEncryptionConfigurationV2", "").at("rules.0.applyServerSideEncryptionByDefault.sseAlgorithm"); got != "AES256" {
		t.Errorf("encrypted with %v", got)
	}
	if got := d.one(t, "BucketLifecycleConfigurationV2", "").at("rules.0.abortIncompleteMultipartUpload.daysAfterInitiation"); got != 7.0 {
		t.Errorf("parts of abandoned uploads stay %v days", got)
	}
	tls := parsePolicy(t, d.one(t, "BucketPolicy", "").at("policy"))
	for _, resource := range []string{arn, arn + "/uploads/film.mov"} {
		denied := slices.ContainsFunc(tls.Statement, func(s iamStatement) bool {
			return s.Effect == "Deny" && s.Principal["AWS"] == "*" && matchesAny(s.Action, "s3:GetObject") && matchesAny(s.Resource, resource) &&
				s.holds(t, map[string]string{"aws:SecureTransport": "false"}) && !s.holds(t, map[string]string{"aws:SecureTransport": "true"})
		})
		if !denied {
			t.Errorf("%s answers without TLS", resource)
		}
	}
	notification := d.one(t, "BucketNotification", "")
	if notification.at("eventbridge") != true || notification.retained {
		t.Errorf("eventbridge %v, retained %v", notification.at("eventbridge"), notification.retained)
	}
}

func TestABucketThatThereIs(t *testing.T) {
	t.Parallel()
	for manage, want := range map[string]int{"true": 1, "false": 0} {
		d := deploy(t, "dev", values{"bucketName": "my-media-bucket", "manageNotifications": manage})
		for _, m := range d.resources {
			if strings.HasPrefix(m.kind, "aws:s3/") && !strings.HasSuffix(m.kind, ":BucketNotification") {
				t.Errorf("%s touches a bucket that is not the stack's", m.kind)
			}
		}
		notifications := d.all("BucketNotification")
		if len(notifications) != want {
			t.Fatalf("manageNotifications %s: %d", manage, len(notifications))
		}
		for _, n := range notifications {
			if n.at("bucket") != "my-media-bucket" || n.at("eventbridge") != true || !n.retained {
				t.Errorf("notification %v, retained %v: its end would silence others", n.inputs, n.retained)
			}
		}
		if pattern := d.one(t, "EventRule", "-uploads").at("eventPattern").(string); !strings.Contains(pattern, `"my-media-bucket"`) {
			t.Errorf("pattern %s", pattern)
		}
	}
}

func TestCallbackKeys(t *testing.T) {
	t.Parallel()
	for version, want := range map[int][]string{1: {"v1"}, 2: {"v2", "v1"}, 3: {"v3", "v2"}, 12: {"v12", "v11"}} {
		d := deploy(t, "dev", values{"callbackKeyVersion": strconv.Itoa(version)})
		value := d.one(t, "SecretVersion", "-callback-keys")
		if got, want := value.at("secretId"), d.one(t, "Secret", "-callback-keys").out(t, "arn"); got != want {
			t.Errorf("kept in %v, want %v", got, want)
		}
		text, ok := value.at("secretString").(secret)
		if !ok {
			t.Fatalf("version %d: the keys are no secret to Pulumi", version)
		}
		var keys []string
		if err := json.Unmarshal([]byte(text.value.(string)), &keys); err != nil {
			t.Fatal(err)
		}
		var versions []string
		for _, key := range keys {
			versions = append(versions, regexp.MustCompile(`v\d+`).FindString(key[len(callbackKey):]))
		}
		if !slices.Equal(versions, want) {
			t.Errorf("version %d: keys %v, want %v", version, versions, want)
		}
		for _, key := range d.all("RandomBytes") {
			if key.at("length") != 32.0 {
				t.Errorf("a key of %v bytes", key.at("length"))
			}
		}
	}
}

func TestNoSecretInPlain(t *testing.T) {
	t.Parallel()
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		for _, m := range d.resources {
			if where := reveals(m.inputs); where != "" {
				t.Errorf("%s %s shows a callback key in %s", m.kind, m.name, where)
			}
		}
		for _, key := range d.all("RandomBytes") {
			if reveals(key.outputs) == "" {
				t.Error("this test would see nothing")
			}
		}
	})
}

// reveals is where the value has a callback key outside a secret.
func reveals(v any) string {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if where := reveals(value); where != "" {
				return name + "." + where
			}
		}
	case []any:
		for _, value := range v {
			if where := reveals(value); where != "" {
				return where
			}
		}
	case string:
		if strings.Contains(v, callbackKey) {
			return "itself"
		}
	}
	return ""
}

// outputs are what a stack tells its users.
func outputs(t *testing.T, stackName string, v values) map[string]any {
	t.Helper()
	var all map[string]any
	d := &deployment{stack: stackName}
	if err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		p, err := cloud.NewPipeline(ctx, cloud.Prefix(stackName), cloud.Args{
			Config:   config(t, v),
			Archives: map[string]string{"dispatch": "dispatch.zip", "webhook": "webhook.zip", "sweep": "sweep.zip"},
		})
		if err != nil {
			return err
		}
		p.Outputs().ToMapOutput().ApplyT(func(outputs map[string]any) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			all = outputs
			return nil
		})
		return nil
	}, pulumi.WithMocks("ittybit-media", stackName, d)); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	got := outputs(t, "dev", stackFile(t, "dev"))
	const name, queue = "ittybit-dev-", "https://sqs.eu-west-1.amazonaws.com/123456789012/ittybit-dev-"
	for output, want := range map[string]any{
		"region":             "eu-west-1",
		"bucket":             name + "uploads" + random,
		"webhookUrl":         "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/webhook",
		"table":              name + "results" + random,
		"rule":               name + "uploads" + random,
		"retryQueueUrl":      queue + "retry" + random,
		"deadLetterQueueUrl": queue + "dead-letters" + random,
		"functions":          map[string]string{"dispatch": name + "dispatch" + random, "webhook": name + "webhook" + random, "sweep": name + "sweep" + random},
		"logGroups": map[string]string{
			"api":      "/aws/vendedlogs/" + name + "api" + random,
			"dispatch": "/aws/lambda/" + name + "dispatch" + random,
			"webhook":  "/aws/lambda/" + name + "webhook" + random,
			"sweep":    "/aws/lambda/" + name + "sweep" + random,
		},
		"apiKeyCommand": `(read -rs key && printf %s "$key" | aws secretsmanager put-secret-value --region eu-west-1 --secret-id ` + name + "api-key" + random +
			" --secret-string file:///dev/stdin)",
	} {
		if !reflect.DeepEqual(got[output], want) {
			t.Errorf("%s: %v, want %v", output, got[output], want)
		}
	}
	pages := got["console"].(map[string]string)
	for part, want := range map[string]string{
		"bucket":       "https://eu-west-1.console.aws.amazon.com/s3/buckets/ittybit-dev-uploads-1a2b3c4",
		"dispatch":     "https://eu-west-1.console.aws.amazon.com/lambda/home#/functions/ittybit-dev-dispatch-1a2b3c4",
		"dispatchLogs": "https://eu-west-1.console.aws.amazon.com/cloudwatch/home#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fittybit-dev-dispatch-1a2b3c4",
		"retryQueue":   "https://eu-west-1.console.aws.amazon.com/sqs/v3/home#/queues/https%3A%2F%2Fsqs.eu-west-1.amazonaws.com%2F123456789012%2Fittybit-dev-retry-1a2b3c4",
		"api":          "https://eu-west-1.console.aws.amazon.com/apigateway/main/apis/a1b2c3/routes",
	} {
		if pages[part] != want {
			t.Errorf("page of %s: %s, want %s", part, pages[part], want)
		}
	}
	for name, v := range stacks(t) {
		got := outputs(t, name, v)
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		understood(t, name, text, v)
		if strings.Contains(string(text), callbackKey) {
			t.Errorf("%s: an output has a callback key", name)
		}
		page, want := got["console"].(map[string]string)["dashboard"], ""
		if config(t, v).Dashboard {
			want = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home#dashboards/dashboard/ittybit-" + name + "-a1b2c3"
		}
		if page != want {
			t.Errorf("%s: page of the dashboard: %q, want %q", name, page, want)
		}
		if _, filled := got["apiKeyCommand"]; filled == (name == "everything") {
			t.Errorf("%s: a command that fills the secret: %v", name, filled)
		}
	}
}

// understood holds the outputs to the type by which the scripts read them.
func understood(t *testing.T, name string, text []byte, v values) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var o stack.Outputs
	if err := d.Decode(&o); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	c := config(t, v)
	if missing := o.Missing(); len(missing) > 0 {
		t.Errorf("%s: there is no output %v", name, missing)
	}
	routes, err := o.Settings.ParseRoutes()
	if err != nil || !reflect.DeepEqual(routes, c.Routes) {
		t.Errorf("%s: the routes came out as %v, %v", name, routes, err)
	}
	want, err := c.Settings()
	if err != nil {
		t.Fatal(err)
	}
	want.Routes, want.APIKeySecret, want.APIKeyParameter = o.Settings.Routes, o.Settings.APIKeySecret, o.Settings.APIKeyParameter
	if !reflect.DeepEqual(o.Settings, want) {
		t.Errorf("%s: settings %+v, want %+v", name, o.Settings, want)
	}
	if o.Settings.APIKeyParameter != c.APIKeyParameter || (o.Settings.APIKeySecret == "") == (c.APIKeyParameter == "") {
		t.Errorf("%s: the API key is in %q or %q", name, o.Settings.APIKeySecret, o.Settings.APIKeyParameter)
	}
}

func TestTheConnectionMayReadUploadsAndWriteOutputsOnly(t *testing.T) {
	t.Parallel()
	const bucket = "arn:aws:s3:::my-media-bucket/"
	may := func(routes string) func(action, resource string) bool {
		got := outputs(t, "dev", values{"bucketName": "my-media-bucket", "manageNotifications": "false", "routes": routes})
		policy := parsePolicy(t, got["ittybitConnectionPolicy"])
		return func(action, resource string) bool { return policy.allows(t, request{action, resource, nil}) }
	}
	into := may(`[{"prefix":"uploads/","suffixes":[".mov"],"jobs":[
		{"name":"a","kind":"video"},
		{"name":"b","kind":"audio","output":"s3://${bucket}/ittybit-output/${key}.mp3"},
		{"name":"c","kind":"audio","output":"s3://other-bucket/media/${key}.mp3"}]}]`)
	keep := may(`[{"prefix":"a*b/","suffixes":[".mov"],"jobs":[{"name":"a","kind":"video"}]}]`)
	for _, tt := range []struct {
		may              func(action, resource string) bool
		action, resource string
		want             bool
	}{
		{into, "s3:GetObject", bucket + "uploads/film.mov", true},
		{into, "s3:GetObject", bucket + "private/film.mov", false},
		{into, "s3:GetObject", bucket + "ittybit-output/film.mp3", false},
		{into, "s3:PutObject", bucket + "ittybit-output/film.mp3", true},
		{into, "s3:PutObject", bucket + "uploads/film.mov", false},
		{into, "s3:AbortMultipartUpload", bucket + "ittybit-output/film.mp3", true},
		{into, "s3:PutObject", "arn:aws:s3:::other-bucket/media/film.mp3", true},
		{into, "s3:PutObject", "arn:aws:s3:::other-bucket/film.mp3", false},
		{into, "s3:DeleteObject", bucket + "uploads/film.mov", false},
		{keep, "s3:GetObject", bucket + "a*b/film.mov", true},
		{keep, "s3:GetObject", bucket + "axb/film.mov", false},
		{keep, "s3:PutObject", bucket + "ittybit-output/film.mp3", false},
	} {
		if got := tt.may(tt.action, tt.resource); got != tt.want {
			t.Errorf("%s %s: %v", tt.action, tt.resource, got)
		}
	}
}

func TestNamesFitWhateverTheStackIsCalled(t *testing.T) {
	t.Parallel()
	limits := map[string]struct {
		length int
		form   *regexp.Regexp
	}{ // each service's user guide, "quotas"
		"BucketV2":  {63, regexp.MustCompile(`^[a-z0-9][a-z0-9-]*[a-z0-9]$`)},
		"Role":      {64, regexp.MustCompile(`^[\w+=,.@-]+$`)},
		"Function":  {64, regexp.MustCompile(`^[\w-]+$`)},
		"EventRule": {64, regexp.MustCompile(`^[\w.-]+$`)},
		"Queue":     {80, regexp.MustCompile(`^[\w-]+$`)},
		"Table":     {255, regexp.MustCompile(`^[\w.-]{3,}$`)},
		"Pipe":      {64, regexp.MustCompile(`^[\w.-]+$`)},
		"Api":       {128, regexp.MustCompile(`^[\w. -]+$`)},
		"Secret":    {512, regexp.MustCompile(`^[\w/+=.@-]+$`)},
		"LogGroup":  {512, regexp.MustCompile(`^[\w/.#-]+$`)},

		"MetricAlarm":     {255, regexp.MustCompile(`^[\w-]+$`)},
		"Topic":           {256, regexp.MustCompile(`^[\w-]+$`)},
		"Dashboard":       {255, regexp.MustCompile(`^[\w-]+$`)},
		"QueryDefinition": {255, regexp.MustCompile(`^[\w-]+/[\w ]+$`)},
	}
	for _, name := range []string{"dev", strings.Repeat("a-very-long-name", 3)[:40], "Feature_Branch.42", strings.Repeat("X", 100), "___", "-", "é"} {
		d := deploy(t, name, values{"callbackKeyVersion": "1000", "resultEvents": "true", "alarms": "true", "alarmEmail": "media@example.com", "dashboard": "true"})
		for kind, limit := range limits {
			found := d.all(kind)
			if len(found) == 0 {
				t.Errorf("no %s", kind)
			}
			for _, m := range found {
				physical := m.out(t, nameProperties[m.kind])
				if len(physical) > limit.length || !limit.form.MatchString(physical) {
					t.Errorf("stack %s: %s %q (%d characters)", name, kind, physical, len(physical))
				}
				if kind == "Secret" && regexp.MustCompile(`-\w{6}$`).MatchString(physical) {
					t.Errorf("%q ends as Secrets Manager's own endings do", physical)
				}
			}
		}
		for _, m := range d.resources {
			if len(m.name) > 55 { // and a hyphen and seven digits: 63
				t.Errorf("stack %s: %s %s has %d characters", name, m.kind, m.name, len(m.name))
			}
		}
	}
	one, other := cloud.Prefix(strings.Repeat("x", 39)+"1"), cloud.Prefix(strings.Repeat("x", 39)+"2")
	if one == other {
		t.Errorf("two stacks have the prefix %s", one)
	}
}

func TestEverythingIsTagged(t *testing.T) {
	t.Parallel()
	untaggable := []string{ // AWS knows no tags for them
		"ittybit-media:index:Pipeline", "random:index/randomBytes:RandomBytes",
		"aws:sns/topicSubscription:TopicSubscription", "aws:cloudwatch/dashboard:Dashboard", "aws:cloudwatch/queryDefinition:QueryDefinition",
		"aws:apigatewayv2/integration:Integration", "aws:apigatewayv2/route:Route",
		"aws:cloudwatch/eventTarget:EventTarget", "aws:iam/rolePolicy:RolePolicy",
		"aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", "aws:lambda/permission:Permission",
		"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2", "aws:s3/bucketNotification:BucketNotification",
		"aws:s3/bucketPolicy:BucketPolicy", "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
		"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
		"aws:secretsmanager/secretVersion:SecretVersion", "aws:sqs/queuePolicy:QueuePolicy", "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
	}
	eachStack(t, func(t *testing.T, name string, v values, d *deployment) {
		want := map[string]any{"project": "ittybit-media", "stack": name}
		for key, value := range config(t, v).Tags {
			want[key] = value
		}
		for _, m := range d.resources {
			if slices.Contains(untaggable, m.kind) {
				continue
			}
			if got := m.at("tags"); !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s: tags %v, want %v", m.kind, m.name, got, want)
			}
		}
	})
}

func TestEverythingIsInTheComponent(t *testing.T) {
	t.Parallel()
	d := deploy(t, "dev", stackFile(t, "dev"))
	for _, m := range d.resources {
		if m.kind != "ittybit-media:index:Pipeline" && !strings.HasSuffix(m.parent, "::ittybit-media:index:Pipeline::ittybit-dev") {
			t.Errorf("%s %s has the parent %s", m.kind, m.name, m.parent)
		}
	}
}

func TestAPreviewNeedsNothingFromAWS(t *testing.T) {
	t.Parallel()
	for name, v := range stacks(t) {
		d, err := run(name, v, func(info *pulumi.RunInfo) { info.DryRun = true })
		if err != nil {
			t.Fatal(err)
		}
		if len(d.all("EventTarget")) != 2 {
			t.Error("the preview is not whole")
		}
	}
}

func TestACopiedEnvironmentCollidesWithNothing(t *testing.T) {
	t.Parallel()
	dev := stackFile(t, "dev").with(values{"bucketName": "my-media-bucket", "manageNotifications": "true"})
	seen := map[string]bool{}
	for name, v := range map[string]values{"dev": dev, "staging": dev.with(values{"manageNotifications": "false"})} {
		d := deploy(t, name, v)
		for _, m := range d.resources {
			if key, ok := nameProperties[m.kind]; ok {
				id := m.kind + " " + strings.TrimSuffix(m.out(t, key), random)
				if seen[id] {
					t.Errorf("both stacks have %s", id)
				}
				seen[id] = true
			}
		}
		routes, err := env.LoadDispatch(getenv(d.environment(t, "dispatch"), unzip(t, d.function(t, "dispatch").at("code").(string))))
		if err != nil {
			t.Fatal(err)
		}
		if !(media.Folder{Bucket: "my-media-bucket", Prefix: routes.OutputPrefix}).Holds("ittybit-output/uploads/film.mp3") {
			t.Errorf("%s would take the other's outputs for uploads", name)
		}
	}
}

func TestAMistakeStopsTheProgramBeforeItMakesAnything(t *testing.T) {
	t.Parallel()
	d, err := run("staging", values{"memoryMb": "lots", "webhookRate": "0", "bucketname": "b"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, says := range []string{"Pulumi.staging.yaml", "memoryMb: ", "webhookRate: ", "bucketname: is not known; did you mean bucketName?"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q is not in %v", says, err)
		}
	}
	if len(d.resources) > 0 {
		t.Errorf("%d resources", len(d.resources))
	}
	_, err = run("staging", values{"connectionId": "conn_1"}, func(info *pulumi.RunInfo) {
		info.ConfigSecretKeys = []string{"ittybit-media:connectionId"}
	})
	if err == nil || !strings.Contains(err.Error(), "connectionId: ") || strings.Contains(err.Error(), "conn_1") {
		t.Errorf("an encrypted value: %v", err)
	}
}

// TestTheReadmeKnowsEveryResource compares the kinds of resources that the
// README explains with those that stacks have.
func TestTheReadmeKnowsEveryResource(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "<!-- resources:begin -->\n")
	text, _, _ = strings.Cut(text, "<!-- resources:end -->")
	explained := map[string]bool{}
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, kind := range regexp.MustCompile(`[A-Z]\w+`).FindAllString(cells[2], -1) {
				explained[kind] = true
			}
		}
	}
	made := map[string]bool{}
	for name, v := range stacks(t) {
		for _, m := range deploy(t, name, v.with(values{"alarms": "true", "alarmEmail": "media@example.com", "dashboard": "true"})).resources {
			if kind := m.kind[strings.LastIndex(m.kind, ":")+1:]; kind != "Pipeline" {
				made[kind] = true
			}
		}
	}
	if !maps.Equal(explained, made) {
		t.Errorf("the README explains %v, the stacks have %v", slices.Sorted(maps.Keys(explained)), slices.Sorted(maps.Keys(made)))
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	for interval, want := range map[string]struct {
		schedule     string
		age          float64 // of an event that Lambda has no capacity for
		period       float64 // of the alarm when it fails
		failures, of float64 // of so many runs
		silence      float64 // period of the alarm when it does not run
	}{
		"15m": {"rate(15 minutes)", 900, 900, 2, 3, 900},
		"1m":  {"rate(1 minute)", 60, 60, 2, 3, 300},
		"8h":  {"rate(480 minutes)", 21600, 28800, 2, 3, 28800},
		"24h": {"rate(1440 minutes)", 21600, 86400, 1, 1, 86400},
	} {
		d := deploy(t, "prod", stackFile(t, "prod").with(values{"sweepInterval": interval}))
		rule, target, f := d.one(t, "EventRule", "-sweep"), d.one(t, "EventTarget", "-sweep"), d.function(t, "sweep")
		async, fails, silent := d.one(t, "FunctionEventInvokeConfig", "-sweep"), d.one(t, "MetricAlarm", "-sweep-errors"), d.one(t, "MetricAlarm", "-sweep-stopped")
		for _, tt := range []struct {
			m    *made
			path string
			want any
		}{
			{rule, "scheduleExpression", want.schedule},
			{rule, "eventPattern", nil},
			{target, "rule", rule.out(t, "name")},
			{target, "arn", f.out(t, "arn")},
			{async, "functionName", f.out(t, "name")},
			{async, "maximumRetryAttempts", 0.0},
			{async, "maximumEventAgeInSeconds", want.age},
			{fails, "period", want.period},
			{fails, "threshold", 0.0},
			{fails, "datapointsToAlarm", want.failures},
			{fails, "evaluationPeriods", want.of},
			{silent, "period", want.silence},
			{silent, "comparisonOperator", "LessThanThreshold"},
			{silent, "threshold", 1.0},
			{silent, "datapointsToAlarm", 3.0},
			{silent, "evaluationPeriods", 3.0},
		} {
			if got := tt.m.at(tt.path); got != tt.want {
				t.Errorf("%s: %s %s: %v, want %v", interval, tt.m.name, tt.path, got, tt.want)
			}
		}
		for _, first := range []*made{async, d.one(t, "Permission", "-sweep"), d.one(t, "RolePolicy", "-sweep")} {
			if !d.waits(target, first) {
				t.Errorf("sweep may run before %s is there", first.kind)
			}
		}
	}
}

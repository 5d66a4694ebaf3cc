package cloud_test

import (
	"archive/zip"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"ittybit-media/handlers/env"
)

func TestTheFunctionsGetTheEnvironmentThatTheyRead(t *testing.T) {
	eachStack(t, func(t *testing.T, name string, v values, _ *deployment) {
		c, d := config(t, v), deployWhole(t, name, v)
		common := env.Common{
			Table:       d.one(t, "Table", "").out(t, "name"),
			ResultTTL:   time.Duration(c.ResultTTLDays) * 24 * time.Hour,
			GiveUpAfter: c.GiveUpAfter,
			Namespace:   "IttybitMedia/" + name,
			LogLevel:    c.LogLevel,
		}
		keys := d.one(t, "Secret", "-callback-keys").out(t, "arn")
		apiKey := env.APIKey{Secret: c.APIKeySecret, Parameter: c.APIKeyParameter}
		if apiKey == (env.APIKey{}) {
			apiKey.Secret = d.one(t, "Secret", "-api-key").out(t, "arn")
		}
		t.Run("dispatch", func(t *testing.T) {
			reads(t, d, "dispatch", env.LoadDispatch, env.Dispatch{
				Common: common, Routes: c.Routes,
				WebhookURL: "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/webhook",
				Connection: c.ConnectionID, Placement: c.ConnectionPlacement, APIURL: c.IttybitAPIURL,
				APIKey: apiKey, CallbackKeys: keys,
				OutputPrefix: c.OutputPrefix, DailyJobLimit: c.DailyJobLimit, OverdueAfter: c.OverdueAfter,
			})
		})
		t.Run("webhook", func(t *testing.T) {
			reads(t, d, "webhook", env.LoadWebhook, env.Webhook{Common: common, Auth: c.WebhookAuth, CallbackKeys: keys, SigningSecrets: c.WebhookSecret})
		})
		t.Run("sweep", func(t *testing.T) {
			reads(t, d, "sweep", env.LoadSweep, env.Sweep{
				Common: common, APIURL: c.IttybitAPIURL, APIKey: apiKey, OverdueAfter: c.OverdueAfter,
			})
		})
	})
}

// reads fails the test unless the handler reads what is wanted from the
// environment of its function, and all of it.
func reads[E any](t *testing.T, d *deployment, handler string, load func(func(string) string) (E, error), want E) {
	t.Helper()
	variables, size := d.environment(t, handler), 0
	for name, value := range variables {
		size += len(name) + len(value)
		if !slices.Contains(env.Names(load), name) {
			t.Errorf("%s is set, and %s does not read it", name, handler)
		}
		if value == "" {
			t.Errorf("%s is empty", name)
		}
	}
	if size > 3000 { // of Lambda's 4 KB; these are short names
		t.Errorf("the environment of %s takes %d bytes", handler, size)
	}
	if got := loaded(t, d, handler, load); !reflect.DeepEqual(got, want) {
		t.Errorf("%s got  %+v\nwant %+v", handler, got, want)
	}
}

// environment returns the variables of a handler's function.
func (d *deployment) environment(t testing.TB, handler string) map[string]string {
	t.Helper()
	variables, ok := d.function(t, handler).at("environment.variables").(map[string]any)
	if !ok {
		t.Fatalf("%s has no environment", handler)
	}
	all := map[string]string{}
	for name, value := range variables {
		if all[name], ok = value.(string); !ok {
			t.Fatalf("%s of %s is not plain text: %v", name, handler, value)
		}
	}
	return all
}

// loaded returns what a handler reads from its environment, and from its zip
// unpacked as Lambda does.
func loaded[E any](t *testing.T, d *deployment, handler string, load func(func(string) string) (E, error)) E {
	t.Helper()
	root := t.TempDir()
	files, err := zip.OpenReader(d.function(t, handler).at("code").(string))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = files.Close() }()
	if err := os.CopyFS(root, files); err != nil {
		t.Fatal(err)
	}
	variables := d.environment(t, handler)
	variables["LAMBDA_TASK_ROOT"] = root
	got, err := load(func(name string) string { return variables[name] })
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTheFunctions(t *testing.T) {
	eachStack(t, func(t *testing.T, _ string, v values, d *deployment) {
		c := config(t, v)
		reserved := map[string]any{} // none but dispatch may have
		if c.ReservedConcurrency > 0 {
			reserved["dispatch"] = float64(c.ReservedConcurrency)
		}
		for handler, timeout := range map[string]float64{"dispatch": 60, "webhook": 10, "sweep": 120} {
			f, logs := d.function(t, handler), d.one(t, "LogGroup", "-"+handler)
			f.has(t, inputs{
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
				"tracingConfig.mode":                map[bool]string{false: "PassThrough", true: "Active"}[c.Tracing],
				"reservedConcurrentExecutions":      reserved[handler],
			})
			logs.has(t, inputs{"retentionInDays": float64(c.LogRetentionDays)})
			d.after(t, f, logs, d.one(t, "RolePolicy", "-"+handler))
			if trust := parsePolicy(t, d.one(t, "Role", "-"+handler).at("assumeRolePolicy")); len(trust.Statement) != 1 ||
				trust.Statement[0].Principal["Service"] != "lambda.amazonaws.com" || !slices.Equal(trust.Statement[0].Action, []string{"sts:AssumeRole"}) {
				t.Errorf("%s may be assumed by %+v", handler, trust)
			}
		}
		d.count(t, map[string]int{"Function": 3})
	})
}

func TestDebugLinesReachTheLog(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]slog.Level{"debug": slog.LevelDebug, "error": slog.LevelError} {
		t.Run(level, func(t *testing.T) {
			d := deployWhole(t, "dev", values{"logLevel": level})
			if got := loaded(t, d, "webhook", env.LoadWebhook).LogLevel; got != want {
				t.Errorf("webhook's level is %v", got)
			}
			// Lambda's own filter would drop metrics above INFO and our debug lines
			// above DEBUG.
			d.function(t, "webhook").has(t, inputs{"loggingConfig.applicationLogLevel": "DEBUG"})
		})
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
		"15m": {schedule: "rate(15 minutes)", age: 900, period: 900, failures: 2, of: 3, silence: 900},
		"1m":  {schedule: "rate(1 minute)", age: 60, period: 60, failures: 2, of: 3, silence: 300},
		"8h":  {schedule: "rate(480 minutes)", age: 21600, period: 28800, failures: 2, of: 3, silence: 28800},
		"24h": {schedule: "rate(1440 minutes)", age: 21600, period: 86400, failures: 1, of: 1, silence: 86400},
	} {
		t.Run(interval, func(t *testing.T) {
			d := deploy(t, "prod", stackFile(t, "prod").with(values{"sweepInterval": interval}))
			rule, target, f := d.one(t, "EventRule", "-sweep"), d.one(t, "EventTarget", "-sweep"), d.function(t, "sweep")
			async := d.one(t, "FunctionEventInvokeConfig", "-sweep")
			rule.has(t, inputs{"scheduleExpression": want.schedule, "eventPattern": nil})
			target.has(t, inputs{"rule": rule.out(t, "name"), "arn": f.out(t, "arn")})
			async.has(t, inputs{"functionName": f.out(t, "name"), "maximumRetryAttempts": 0.0, "maximumEventAgeInSeconds": want.age})
			d.one(t, "MetricAlarm", "-sweep-errors").has(t, inputs{
				"period": want.period, "threshold": 0.0, "datapointsToAlarm": want.failures, "evaluationPeriods": want.of,
			})
			d.one(t, "MetricAlarm", "-sweep-stopped").has(t, inputs{
				"period": want.silence, "comparisonOperator": "LessThanThreshold", "threshold": 1.0, "datapointsToAlarm": 3.0, "evaluationPeriods": 3.0,
			})
			d.after(t, target, async, d.one(t, "Permission", "-sweep"), d.one(t, "RolePolicy", "-sweep"))
		})
	}
}

package env_test

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
)

func dispatchEnv(t *testing.T) map[string]string {
	t.Helper()
	root := t.TempDir()
	routes, err := media.DefaultRoutes().JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, media.RoutesFile), routes, 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"LAMBDA_TASK_ROOT":       root,
		"TABLE_NAME":             "results",
		"WEBHOOK_URL":            "https://api.example.com/webhook",
		"ITTYBIT_API_KEY_SECRET": "ittybit/key",
		"CALLBACK_KEY_SECRET":    "callback/keys",
	}
}

func getenv(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestDispatchDefaults(t *testing.T) {
	t.Parallel()
	got, err := env.LoadDispatch(getenv(dispatchEnv(t)))
	if err != nil {
		t.Fatal(err)
	}
	want := env.Dispatch{
		Common:       env.Common{Table: "results", Namespace: "IttybitMedia"},
		Routes:       media.DefaultRoutes(),
		WebhookURL:   "https://api.example.com/webhook",
		Placement:    media.PlacementOptions,
		APIURL:       "https://api.ittybit.com",
		APIKey:       env.APIKey{Secret: "ittybit/key"},
		CallbackKeys: "callback/keys",
		OutputPrefix: "ittybit-output/",
		OverdueAfter: 30 * time.Minute,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDispatchAllSet(t *testing.T) {
	t.Parallel()
	vars := dispatchEnv(t)
	delete(vars, "ITTYBIT_API_KEY_SECRET")
	maps.Copy(vars, map[string]string{
		"ITTYBIT_API_KEY_PARAMETER": "/ittybit/key",
		"ITTYBIT_CONNECTION_ID":     "conn_1",
		"CONNECTION_PLACEMENT":      "root",
		"ITTYBIT_API_URL":           "http://127.0.0.1:1234",
		"OUTPUT_PREFIX":             "out/",
		"DAILY_JOB_LIMIT":           "1000",
		"RESULT_TTL_DAYS":           "30",
		"METRICS_NAMESPACE":         "Mine",
		"LOG_LEVEL":                 "debug",
		"OVERDUE_AFTER":             "45m",
	})
	got, err := env.LoadDispatch(getenv(vars))
	if err != nil {
		t.Fatal(err)
	}
	if got.APIKey != (env.APIKey{Parameter: "/ittybit/key"}) || got.Connection != "conn_1" || got.Placement != media.PlacementRoot ||
		got.APIURL != "http://127.0.0.1:1234" || got.OutputPrefix != "out/" || got.DailyJobLimit != 1000 || got.OverdueAfter != 45*time.Minute ||
		got.Common != (env.Common{Table: "results", ResultTTL: 30 * 24 * time.Hour, Namespace: "Mine", LogLevel: slog.LevelDebug}) {
		t.Errorf("got %+v", got)
	}
}

func TestEveryMistakeNamesItsVariable(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change map[string]string
		says   []string
	}{
		"nothing set": {change: map[string]string{"LAMBDA_TASK_ROOT": "", "TABLE_NAME": "", "WEBHOOK_URL": "", "ITTYBIT_API_KEY_SECRET": "", "CALLBACK_KEY_SECRET": " "},
			says: []string{"LAMBDA_TASK_ROOT: is not set", "TABLE_NAME: is not set", "WEBHOOK_URL: is not set", "ITTYBIT_API_KEY_SECRET: is not set, nor is ITTYBIT_API_KEY_PARAMETER", "CALLBACK_KEY_SECRET: is not set"}},
		"everything wrong": {change: map[string]string{"WEBHOOK_URL": "http://example.com/webhook", "ITTYBIT_API_URL": "ftp://x", "CONNECTION_PLACEMENT": "header", "OUTPUT_PREFIX": "out",
			"DAILY_JOB_LIMIT": "-1", "RESULT_TTL_DAYS": "29", "LOG_LEVEL": "loud", "OVERDUE_AFTER": "30", "ITTYBIT_API_KEY_PARAMETER": "/too"},
			says: []string{"WEBHOOK_URL", "ITTYBIT_API_URL", `CONNECTION_PLACEMENT: "header" is not one of options, root`, `OUTPUT_PREFIX: "out" must end with a slash`, "DAILY_JOB_LIMIT",
				"RESULT_TTL_DAYS: 29 is neither 0", `LOG_LEVEL: "loud"`, `OVERDUE_AFTER: "30" is not a time`, "ITTYBIT_API_KEY_PARAMETER; only one"}},
		"no routes": {change: map[string]string{"LAMBDA_TASK_ROOT": t.TempDir()}, says: []string{"routes.json", "beside the binary"}},
	} {
		vars := dispatchEnv(t)
		maps.Copy(vars, tt.change)
		_, err := env.LoadDispatch(getenv(vars))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, says := range tt.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %q is not in\n%v", name, says, err)
			}
		}
	}
}

func TestBrokenRoutesFile(t *testing.T) {
	t.Parallel()
	vars := dispatchEnv(t)
	file := filepath.Join(vars["LAMBDA_TASK_ROOT"], media.RoutesFile)
	if err := os.WriteFile(file, []byte(`{"routes":[{"prefix":"ittybit-output/","jobs":[{"name":"v","kind":"clip"}]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := env.LoadDispatch(getenv(vars))
	for _, says := range []string{file, "routes[0].prefix", "routes[0].jobs[0].kind"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is not in %v", says, err)
		}
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		vars map[string]string
		want env.Webhook
		says string
	}{
		"by default":             {vars: map[string]string{"CALLBACK_KEY_SECRET": "keys"}, want: env.Webhook{Auth: env.AuthToken, CallbackKeys: "keys"}},
		"signature":              {vars: map[string]string{"WEBHOOK_AUTH": "signature", "ITTYBIT_WEBHOOK_SECRET": "sign"}, want: env.Webhook{Auth: env.AuthSignature, SigningSecrets: "sign"}},
		"both":                   {vars: map[string]string{"WEBHOOK_AUTH": "both", "ITTYBIT_WEBHOOK_SECRET": "sign", "CALLBACK_KEY_SECRET": "keys"}, want: env.Webhook{Auth: env.AuthBoth, CallbackKeys: "keys", SigningSecrets: "sign"}},
		"no key":                 {want: env.Webhook{}, says: "CALLBACK_KEY_SECRET: is not set"},
		"no secret to sign with": {vars: map[string]string{"WEBHOOK_AUTH": "both", "CALLBACK_KEY_SECRET": "keys"}, want: env.Webhook{}, says: "ITTYBIT_WEBHOOK_SECRET"},
		"nothing at all":         {vars: map[string]string{"WEBHOOK_AUTH": "none"}, want: env.Webhook{}, says: `WEBHOOK_AUTH: "none" is not one of token, signature, both`},
	} {
		vars := map[string]string{"TABLE_NAME": "results"}
		maps.Copy(vars, tt.vars)
		got, err := env.LoadWebhook(getenv(vars))
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %q is not in %v", name, tt.says, err)
			}
			continue
		}
		tt.want.Common = env.Common{Table: "results", Namespace: "IttybitMedia"}
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"TABLE_NAME": "results", "ITTYBIT_API_KEY_SECRET": "ittybit/key"}
	want := env.Sweep{
		Common:       env.Common{Table: "results", Namespace: "IttybitMedia"},
		APIURL:       "https://api.ittybit.com",
		APIKey:       env.APIKey{Secret: "ittybit/key"},
		OverdueAfter: 30 * time.Minute,
		GiveUpAfter:  168 * time.Hour,
	}
	if got, err := env.LoadSweep(getenv(vars)); err != nil || got != want {
		t.Errorf("by default: %+v, %v", got, err)
	}
	maps.Copy(vars, map[string]string{"ITTYBIT_API_URL": "http://127.0.0.1:1234", "OVERDUE_AFTER": "45m", "GIVE_UP_AFTER": "48h"})
	want.APIURL, want.OverdueAfter, want.GiveUpAfter = "http://127.0.0.1:1234", 45*time.Minute, 48*time.Hour
	if got, err := env.LoadSweep(getenv(vars)); err != nil || got != want {
		t.Errorf("all set: %+v, %v", got, err)
	}
	_, err := env.LoadSweep(getenv(map[string]string{"ITTYBIT_API_URL": "ftp://x", "OVERDUE_AFTER": "0s", "GIVE_UP_AFTER": "a week"}))
	for _, says := range []string{"TABLE_NAME: is not set", "ITTYBIT_API_KEY_SECRET: is not set", "ITTYBIT_API_URL", "OVERDUE_AFTER", "GIVE_UP_AFTER"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is not in %v", says, err)
		}
	}
}

func TestNamesAreAllThatIsRead(t *testing.T) {
	t.Parallel()
	names := env.Names(env.LoadDispatch)
	for name := range dispatchEnv(t) {
		if name != "LAMBDA_TASK_ROOT" && !slices.Contains(names, name) {
			t.Errorf("%s is not in %v", name, names)
		}
	}
	if slices.Contains(names, "LAMBDA_TASK_ROOT") || len(names) != 14 {
		t.Errorf("dispatch reads %d: %v", len(names), names)
	}
	if names := env.Names(env.LoadWebhook); len(names) != 7 {
		t.Errorf("webhook reads %d: %v", len(names), names)
	}
	if names := env.Names(env.LoadSweep); len(names) != 9 || !slices.Contains(names, env.GiveUpAfter) {
		t.Errorf("sweep reads %d: %v", len(names), names)
	}
}

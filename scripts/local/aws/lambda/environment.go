package lambda

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What all local functions have: the one version there is, the name of the
// custom runtime's executable, and the form of their lines.
const (
	version   = "$LATEST"
	handler   = "bootstrap"
	logFormat = "JSON"
)

// runtimeAPI names the variable with the Runtime API's address, which every
// process has its own of.
const runtimeAPI = "AWS_LAMBDA_RUNTIME_API"

// LogGroup is Lambda's name for the log group of a function that names none.
func LogGroup(function string) string { return "/aws/lambda/" + function }

// environment is what every process of a function gets, and nothing of this
// process's own: what Lambda sets (AWS Lambda Developer Guide, "Defined runtime
// environment variables") and the function's configuration, which must not name
// any of these.
func environment(cfg Config) ([]string, error) {
	region := "us-east-1"
	if parts := strings.Split(cfg.ARN, ":"); len(parts) > 3 {
		region = cmp.Or(parts[3], region)
	}
	set := map[string]string{
		"AWS_DEFAULT_REGION":              region,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(cfg.MemoryMB),
		"AWS_LAMBDA_FUNCTION_NAME":        cfg.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     version,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_FORMAT":           logFormat,
		"AWS_LAMBDA_LOG_GROUP_NAME":       LogGroup(cfg.Name),
		"AWS_LAMBDA_LOG_STREAM_NAME":      "local",
		"AWS_REGION":                      region,
		"LAMBDA_TASK_ROOT":                cfg.Dir,
		"LANG":                            "en_US.UTF-8",
		"PATH":                            "/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"TZ":                              ":UTC",
		"_HANDLER":                        handler,
	}
	var env, taken []string
	for name, value := range cfg.Env {
		if _, ours := set[name]; ours || name == runtimeAPI {
			taken = append(taken, name)
		}
		env = append(env, name+"="+value)
	}
	if len(taken) > 0 {
		slices.Sort(taken)
		return nil, fmt.Errorf("its configuration sets %s, which Lambda sets itself: leave it out", strings.Join(taken, ", "))
	}
	for name, value := range set {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env, nil
}

package function

import (
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/telemetry"
)

// Options replace, for tests, what a function reaches outside of its process.
// The zero value is what it has on Lambda.
type Options struct {
	HTTP    *http.Client // for AWS and Ittybit; nil: clients of their own
	Log     *slog.Logger // nil: Lambda's
	Metrics io.Writer    // nil: standard output
}

// AWS returns the configuration of the AWS clients, see [awsclient.FromEnv].
func (o Options) AWS(getenv func(string) string) (aws.Config, error) {
	cfg, err := awsclient.FromEnv(getenv)
	if err == nil && o.HTTP != nil {
		cfg.HTTPClient = o.HTTP
	}
	return cfg, err
}

// Telemetry returns where a function logs, from that level on, and counts.
func (o Options) Telemetry(level slog.Level, namespace string) (*slog.Logger, *telemetry.Metrics) {
	log, out := o.Log, o.Metrics
	if log == nil {
		log = telemetry.NewLogger(level)
	}
	if out == nil {
		out = os.Stdout
	}
	return log, telemetry.NewMetrics(out, namespace)
}

package dispatcher

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/event"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

var denied = &endpoint.Fault{Type: "AccessDeniedException", Message: "no"}

func TestTheAPIKeyIsReadAgainWhenItIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.well(withKey(t, "1.mov"))
	w.ittybit.SetKeys("rotated")
	w.Secrets.Set("ittybit/key", `{"api_key":"rotated"}`)
	w.well(withKey(t, "2.mov"))
	w.wantJobs("2.mov", jobNames...)
}

func TestTheAPIKeyInParameterStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{env: []string{env.IttybitAPIKeySecret, "", env.IttybitAPIKeyParam, "/ittybit/key"}})
	w.Parameters.Set("/ittybit/key", apiKey)
	w.well(payload(t, nil))
	w.wantJobs(key, jobNames...)
}

func TestTheFirstUseSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{env: []string{env.IttybitAPIKeySecret, "not/yet"}})
	w.Secrets.SetEmpty("not/yet")
	if err := w.badly(payload(t, nil)); !strings.Contains(err.Error(), "not/yet") || !strings.Contains(err.Error(), "put-secret-value") {
		t.Errorf("got %v", err)
	}
	w.Secrets.Set("not/yet", apiKey)
	w.queue(messages(payload(t, nil)))
	w.wantJobs(key, jobNames...)
}

func TestWithoutTheTableOrTheCallbackKeysNothingIsMade(t *testing.T) {
	t.Parallel()
	for name, calls := range map[string]func(endpoint.Call) bool{
		"table":         handlertest.Operation("GetItem"),
		"callback keys": handlertest.Service(endpoint.ServiceSecrets),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			w.Fail(calls, denied)
			w.Handler = w.wire()
			w.badly(payload(t, nil))
			w.wantTotal(0)
		})
	}
}

func TestAnUnusableEnvironmentIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for name, value := range map[string]string{env.TableName: "", "AWS_REGION": "", env.IttybitAPIURL: "ftp://x"} {
		if _, err := Wire(w.env.With(name, value).Get, function.Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: fakeittybit.Options{Fault: func(r fakeittybit.Request) fakeittybit.Fault {
		if r.Kind == "audio" {
			return fakeittybit.Fault{Status: 400, Kind: "k", Message: "Bearer " + apiKey + " may not, " + webhookURL + "?token=eyJ"}
		}
		return fakeittybit.Fault{}
	}}})
	w.badly(payload(t, nil))
	w.log.Keeps(t, apiKey, "eyJ", callbackKey)
	for _, line := range w.log.With(t, "job") {
		if line["bucket"] == nil || line["key"] == nil || line["upload"] == nil {
			t.Errorf("log line without its upload: %v", line)
		}
	}
}

// A probe fails where Lambda is to put it into the queue, and is done with
// where it comes from there, as often as it comes.
func TestAProbeOnlyFailsOutsideTheQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	probe, err := event.EncodeProbe("4SGKL2M7QJ", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.badly(probe); !strings.Contains(err.Error(), "probe 4SGKL2M7QJ fails here on purpose") {
		t.Errorf("invoked with it: %v", err)
	}
	envelope := []byte(`{"version":"1.0","requestContext":{"condition":"RetriesExhausted"},"requestPayload":` + string(probe) + `}`)
	w.queue(messages(envelope, withKey(t, "a.mov"), probe, envelope))
	var fromQueue []any
	for _, line := range w.log.With(t, "probe") {
		if line["probe"] != "4SGKL2M7QJ" || line["level"] != "INFO" {
			t.Errorf("logged %v", line)
		}
		fromQueue = append(fromQueue, line["from_queue"])
	}
	if !slices.Equal(fromQueue, []any{false, true, true, true}) {
		t.Errorf("from_queue: %v", fromQueue)
	}
	w.wantJobs("a.mov", jobNames...)
	w.wantTotal(len(jobNames))
	w.log.WantCounted(t, telemetry.UploadsSkipped, map[string]float64{})
	w.log.WantCounted(t, telemetry.Rejected, map[string]float64{})

	// What looks like one and is none is not thrown away.
	w.queue(messages([]byte(`{"source":"ittybit-media","detail-type":"Probe","detail":{}}`)), "m0")
}

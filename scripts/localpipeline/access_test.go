package localpipeline_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"ittybit-media/scripts/localpipeline"
)

func TestTheScriptsGetWhatADeployedStackTells(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	a := r.Access()
	if a.PID != os.Getpid() || a.S3URL != r.S3URL || a.AccessKey != r.AccessKey || a.SecretKey != r.SecretKey {
		t.Errorf("access %+v", a)
	}
	if !strings.HasPrefix(a.AccessKey, localpipeline.AccessKey("operator")) {
		t.Errorf("access key %s", a.AccessKey)
	}
	// A field that is added to the outputs must be thought of here.
	outputs := reflect.ValueOf(a.Outputs)
	for i := range outputs.NumField() {
		name := outputs.Type().Field(i).Name
		if filled, empty := !outputs.Field(i).IsZero(), name == "APIKeyCommand"; filled == empty {
			t.Errorf("the output %s is %v", name, outputs.Field(i))
		}
	}
	for _, function := range []string{"dispatch", "webhook", "sweep"} {
		if a.Outputs.Functions[function] == "" || a.Outputs.LogGroups[function] == "" {
			t.Errorf("%s: function %q, log group %q", function, a.Outputs.Functions[function], a.Outputs.LogGroups[function])
		}
	}
	routes, err := a.Outputs.Settings.ParseRoutes()
	if err != nil || len(routes) != 1 || len(routes[0].Jobs) != 3 {
		t.Errorf("routes %+v, %v", routes, err)
	}
	if s := a.Outputs.Settings; !strings.HasPrefix(s.IttybitAPIURL, "http://127.0.0.1:") || s.APIKeySecret == "" || s.ConnectionID != "conn_abc123" {
		t.Errorf("settings %+v", s)
	}
}

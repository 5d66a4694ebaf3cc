package cloud_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/infra/cloud"
	"ittybit-media/infra/stack"
)

const kmsKey = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"

var handlers = []string{"dispatch", "webhook", "sweep"}

// stackFile reads a stack file of the project as the engine does: scalars as
// text, everything else as JSON.
func stackFile(t testing.TB, name string) values {
	t.Helper()
	native, err := stack.ReadFile(filepath.Join("..", "..", "Pulumi."+name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	v := values{}
	for key, value := range native {
		switch value := value.(type) {
		case map[string]any, []any:
			v[key] = toJSON(t, value)
		default:
			v[key] = fmt.Sprint(value)
		}
	}
	return v
}

// stacks are the environments of the project, and one with every key set.
func stacks(t testing.TB) map[string]values {
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

// watching are the values of a stack that has everything that watches it.
var watching = values{"alarms": "true", "alarmEmail": "media@example.com", "dashboard": "true"}

// run runs the whole program for a stack of that name.
func run(stackName string, v values, options ...pulumi.RunOption) (*deployment, error) {
	d := &deployment{stack: stackName}
	config := map[string]string{"aws:region": region}
	for key, value := range v {
		config[stack.Namespace+":"+key] = value
	}
	var p cloud.Program
	options = append([]pulumi.RunOption{
		pulumi.WithMocks("ittybit-media", stackName, d),
		func(info *pulumi.RunInfo) { info.Config = config },
	}, options...)
	return d, pulumi.RunErr(p.Run, append(options, p.Configure)...)
}

// deployWhole runs the whole program, which compiles the handlers.
func deployWhole(t testing.TB, stackName string, v values) *deployment {
	t.Helper()
	d, err := run(stackName, v)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deploy makes the pipeline with zips that are not there.
func deploy(t testing.TB, stackName string, v values) *deployment {
	t.Helper()
	d := &deployment{stack: stackName}
	args := cloud.Args{
		Config:   config(t, v),
		Archives: map[string]string{"dispatch": "dispatch.zip", "webhook": "webhook.zip", "sweep": "sweep.zip"},
	}
	if err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		p, err := cloud.NewPipeline(ctx, cloud.Prefix(stackName), args)
		if err != nil {
			return err
		}
		p.Outputs.ToMapOutput().ApplyT(func(outputs map[string]any) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.outputs = outputs
			return nil
		})
		return nil
	}, pulumi.WithMocks("ittybit-media", stackName, d)); err != nil {
		t.Fatal(err)
	}
	return d
}

// eachStack runs a test for every one of the stacks.
func eachStack(t *testing.T, test func(t *testing.T, name string, v values, d *deployment)) {
	t.Helper()
	t.Parallel()
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

// short returns a resource's kind without its module: "Queue".
func (m *made) short() string { return m.kind[strings.LastIndex(m.kind, ":")+1:] }

// all returns the resources of a kind, given without its module.
func (d *deployment) all(kind string) []*made {
	var found []*made
	for _, m := range d.resources {
		if m.short() == kind {
			found = append(found, m)
		}
	}
	return found
}

// count fails the test unless the kinds have as many resources.
func (d *deployment) count(t testing.TB, want map[string]int) {
	t.Helper()
	for kind, want := range want {
		if got := len(d.all(kind)); got != want {
			t.Errorf("%d of %s, want %d", got, kind, want)
		}
	}
}

// one returns the resource of a kind whose logical name has that ending.
func (d *deployment) one(t testing.TB, kind, ending string) *made {
	t.Helper()
	found := slices.DeleteFunc(d.all(kind), func(m *made) bool { return !strings.HasSuffix(m.name, ending) })
	if len(found) != 1 {
		t.Fatalf("%d resources of kind %s end in %q", len(found), kind, ending)
	}
	return found[0]
}

// function returns the function of a handler.
func (d *deployment) function(t testing.TB, handler string) *made {
	t.Helper()
	return d.one(t, "Function", "-"+handler)
}

// waits reports whether m is made after the other one, be it indirectly.
func (d *deployment) waits(m, other *made) bool {
	for _, need := range m.needs {
		urn := resource.URN(need)
		for _, n := range d.resources {
			if n.kind == string(urn.Type()) && n.name == urn.Name() && (n == other || d.waits(n, other)) {
				return true
			}
		}
	}
	return false
}

// after fails the test where m may be made before one of the others.
func (d *deployment) after(t testing.TB, m *made, others ...*made) {
	t.Helper()
	for _, first := range others {
		if !d.waits(m, first) {
			t.Errorf("%s %s may be made before %s %s", m.kind, m.name, first.kind, first.name)
		}
	}
}

// at reads an input by its path, such as "loggingConfig.logFormat"; nil when
// there is none.
func (m *made) at(path string) any {
	var v any = m.inputs
	for name := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// inputs are those that a resource must have, by path; nil: must not.
type inputs map[string]any

// has fails the test where an input of m is another.
func (m *made) has(t testing.TB, want inputs) {
	t.Helper()
	for path, want := range want {
		if got := m.at(path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s %s: %s is %v, want %v", m.kind, m.name, path, got, want)
		}
	}
}

// out returns an output.
func (m *made) out(t testing.TB, name string) string {
	t.Helper()
	s, ok := m.outputs[name].(string)
	if !ok {
		t.Fatalf("%s %s has no output %s", m.kind, m.name, name)
	}
	return s
}

// fromJSON reads an input or a file that is JSON.
func fromJSON(t testing.TB, text, into any) {
	t.Helper()
	s, ok := text.(string)
	if !ok {
		t.Fatalf("%v is not a string", text)
	}
	if err := json.Unmarshal([]byte(s), into); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
}

func toJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// list is how a property has strings.
func list(words []string) []any {
	var all []any
	for _, w := range words {
		all = append(all, w)
	}
	return all
}

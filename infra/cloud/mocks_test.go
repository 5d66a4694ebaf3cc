package cloud_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"go.yaml.in/yaml/v3"

	"ittybit-media/infra/cloud"
	"ittybit-media/infra/stack"
)

const (
	account = "123456789012"
	region  = "eu-west-1"
	random  = "-1a2b3c4" // what Pulumi puts behind a logical name

	// callbackKey is in every key that the random provider makes here, so that a
	// test can look for it.
	callbackKey = "Y2FsbGJhY2sta2V5LW9m"
)

// made is a resource that the program asked for.
type made struct {
	kind, name string
	inputs     map[string]any // secrets as secret
	outputs    map[string]any
	protected  bool
	retained   bool
	parent     string
	needs      []string // URNs
}

// secret is a value that Pulumi keeps encrypted.
type secret struct{ value any }

// deployment is all that one run of the program asked for.
type deployment struct {
	mu        sync.Mutex
	stack     string
	resources []*made
}

func (d *deployment) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, fmt.Errorf("the program asks AWS for %s: a preview must do without", args.Token)
}

// nameProperties are the ones that the provider fills in itself.
var nameProperties = map[string]string{
	"aws:apigatewayv2/api:Api":               "name",
	"aws:cloudwatch/eventRule:EventRule":     "name",
	"aws:cloudwatch/logGroup:LogGroup":       "name",
	"aws:dynamodb/table:Table":               "name",
	"aws:iam/role:Role":                      "name",
	"aws:iam/rolePolicy:RolePolicy":          "name",
	"aws:lambda/function:Function":           "name",
	"aws:pipes/pipe:Pipe":                    "name",
	"aws:s3/bucketV2:BucketV2":               "bucket",
	"aws:secretsmanager/secret:Secret":       "name",
	"aws:cloudwatch/metricAlarm:MetricAlarm": "name",
	"aws:sns/topic:Topic":                    "name",
	"aws:sqs/queue:Queue":                    "name",

	// These the program names itself.
	"aws:cloudwatch/dashboard:Dashboard":             "dashboardName",
	"aws:cloudwatch/queryDefinition:QueryDefinition": "name",
}

func (d *deployment) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	inputs := args.Inputs.Copy()
	state := args.Inputs.Copy()
	id := args.Name + "-id"
	set := func(key, value string) { state[resource.PropertyKey(key)] = resource.NewProperty(value) }
	if key, ok := nameProperties[args.TypeToken]; ok {
		if v, ok := state[resource.PropertyKey(key)]; ok {
			id = v.StringValue()
		} else {
			id = args.Name + random
			set(key, id)
		}
	}
	arn := func(service, resource string) string {
		return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, region, account, resource)
	}
	switch args.TypeToken {
	case "aws:sqs/queue:Queue":
		set("arn", arn("sqs", id))
		set("url", "https://sqs."+region+".amazonaws.com/"+account+"/"+id)
		id = state["url"].StringValue()
	case "aws:dynamodb/table:Table":
		set("arn", arn("dynamodb", "table/"+id))
		set("streamArn", arn("dynamodb", "table/"+id+"/stream/2026-04-03T10:00:00.000"))
	case "aws:secretsmanager/secret:Secret":
		id = arn("secretsmanager", "secret:"+id+"-AbCdEf")
		set("arn", id)
	case "aws:iam/role:Role":
		set("arn", "arn:aws:iam::"+account+":role/"+id)
	case "aws:lambda/function:Function":
		set("arn", arn("lambda", "function:"+id))
		set("invokeArn", "arn:aws:apigateway:"+region+":lambda:path/2015-03-31/functions/"+arn("lambda", "function:"+id)+"/invocations")
	case "aws:cloudwatch/logGroup:LogGroup":
		set("arn", arn("logs", "log-group:"+id))
	case "aws:cloudwatch/eventRule:EventRule":
		set("arn", arn("events", "rule/"+id))
	case "aws:pipes/pipe:Pipe":
		set("arn", arn("pipes", "pipe/"+id))
	case "aws:s3/bucketV2:BucketV2":
		set("arn", "arn:aws:s3:::"+id)
	case "aws:sns/topic:Topic":
		set("arn", arn("sns", id))
	case "aws:cloudwatch/metricAlarm:MetricAlarm":
		set("arn", arn("cloudwatch", "alarm:"+id))
	case "aws:apigatewayv2/api:Api":
		id = "a1b2c3"
		set("apiEndpoint", "https://a1b2c3.execute-api."+region+".amazonaws.com")
		set("executionArn", arn("execute-api", id))
	case "random:index/randomBytes:RandomBytes":
		// Not marked as secret: the program has to see to that itself.
		set("base64", callbackKey+strings.TrimLeft(args.Name[strings.LastIndex(args.Name, "-v"):], "-")+strings.Repeat("x", 30))
	}
	m := &made{
		kind:      args.TypeToken,
		name:      args.Name,
		inputs:    plain(resource.NewProperty(inputs)).(map[string]any),
		outputs:   plain(resource.NewProperty(state)).(map[string]any),
		protected: args.RegisterRPC.GetProtect(),
		retained:  args.RegisterRPC.GetRetainOnDelete(),
		parent:    args.RegisterRPC.GetParent(),
		needs:     args.RegisterRPC.GetDependencies(),
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resources = append(d.resources, m)
	return id, state, nil
}

// plain turns a property into what a test can read.
func plain(v resource.PropertyValue) any {
	switch {
	case v.IsSecret():
		return secret{plain(v.SecretValue().Element)}
	case v.IsOutput():
		return plain(v.OutputValue().Element)
	case v.IsObject():
		m := map[string]any{}
		for key, value := range v.ObjectValue() {
			m[string(key)] = plain(value)
		}
		return m
	case v.IsArray():
		var list []any
		for _, e := range v.ArrayValue() {
			list = append(list, plain(e))
		}
		return list
	case v.IsArchive():
		return v.ArchiveValue().Path
	}
	return v.V
}

// values are keys of the configuration as the engine hands them to the program.
type values map[string]string

// with is a copy with the other values put over it.
func (v values) with(others values) values {
	all := values{}
	for _, from := range []values{v, others} {
		for key, value := range from {
			all[key] = value
		}
	}
	return all
}

// stackFile reads a stack file of the project as the engine does: scalars as
// text, everything else as JSON.
func stackFile(t testing.TB, name string) values {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "Pulumi."+name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Config map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	v := values{}
	for name, value := range file.Config {
		key, ok := strings.CutPrefix(name, stack.Namespace+":")
		if !ok {
			continue
		}
		switch value := value.(type) {
		case map[string]any, []any:
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			v[key] = string(text)
		default:
			v[key] = fmt.Sprint(value)
		}
	}
	return v
}

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

// deploy is run for a configuration that must be right.
func deploy(t testing.TB, stackName string, v values) *deployment {
	t.Helper()
	d, err := run(stackName, v)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// all are the resources of a kind, given without its module: "Queue".
func (d *deployment) all(kind string) []*made {
	var found []*made
	for _, m := range d.resources {
		if strings.HasSuffix(m.kind, ":"+kind) {
			found = append(found, m)
		}
	}
	return found
}

// one is the resource of a kind whose logical name has that ending.
func (d *deployment) one(t testing.TB, kind, ending string) *made {
	t.Helper()
	found := slices.DeleteFunc(d.all(kind), func(m *made) bool { return !strings.HasSuffix(m.name, ending) })
	if len(found) != 1 {
		t.Fatalf("%d resources of kind %s end in %q", len(found), kind, ending)
	}
	return found[0]
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

func (m *made) out(t testing.TB, name string) string {
	t.Helper()
	s, ok := m.outputs[name].(string)
	if !ok {
		t.Fatalf("%s %s has no output %s", m.kind, m.name, name)
	}
	return s
}

// function is the function of a handler.
func (d *deployment) function(t testing.TB, handler string) *made {
	t.Helper()
	return d.one(t, "Function", "-"+handler)
}

// environment is what the function of a handler finds in its variables.
func (d *deployment) environment(t testing.TB, handler string) map[string]string {
	t.Helper()
	variables, ok := d.function(t, handler).at("environment.variables").(map[string]any)
	if !ok {
		t.Fatalf("%s has no environment", handler)
	}
	all := map[string]string{}
	for name, value := range variables {
		text, ok := value.(string)
		if !ok {
			t.Fatalf("%s of %s is no plain text: %v", name, handler, value)
		}
		all[name] = text
	}
	return all
}

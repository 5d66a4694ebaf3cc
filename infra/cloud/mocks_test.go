package cloud_test

import (
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
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

// deployment is all that was asked for in one run.
type deployment struct {
	mu        sync.Mutex
	stack     string
	resources []*made
	outputs   map[string]any // what it tells its users
}

func (d *deployment) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, fmt.Errorf("the program asks AWS for %s: a preview must do without", args.Token)
}

// nameProperties are the ones that the provider fills in itself, but for the
// last two, which the program does.
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

	"aws:cloudwatch/dashboard:Dashboard":             "dashboardName",
	"aws:cloudwatch/queryDefinition:QueryDefinition": "name",
}

const (
	home      = region + ":" + account + ":"
	functions = "arn:aws:lambda:" + home + "function:"
)

// computed are the other properties that the providers fill in, by kind; %s is
// the resource's name.
var computed = map[string]map[string]string{
	"aws:apigatewayv2/api:Api": {
		"id": "a1b2c3", "apiEndpoint": "https://a1b2c3.execute-api." + region + ".amazonaws.com",
		"executionArn": "arn:aws:execute-api:" + home + "a1b2c3",
	},
	"aws:cloudwatch/eventRule:EventRule":     {"arn": "arn:aws:events:" + home + "rule/%s"},
	"aws:cloudwatch/logGroup:LogGroup":       {"arn": "arn:aws:logs:" + home + "log-group:%s"},
	"aws:cloudwatch/metricAlarm:MetricAlarm": {"arn": "arn:aws:cloudwatch:" + home + "alarm:%s"},
	"aws:dynamodb/table:Table": {
		"arn": "arn:aws:dynamodb:" + home + "table/%s", "streamArn": "arn:aws:dynamodb:" + home + "table/%s/stream/2026-04-03T10:00:00.000",
	},
	"aws:iam/role:Role": {"arn": "arn:aws:iam::" + account + ":role/%s"},
	"aws:lambda/function:Function": {
		"arn": functions + "%s", "invokeArn": "arn:aws:apigateway:" + region + ":lambda:path/2015-03-31/functions/" + functions + "%s/invocations",
	},
	"aws:pipes/pipe:Pipe":              {"arn": "arn:aws:pipes:" + home + "pipe/%s"},
	"aws:s3/bucketV2:BucketV2":         {"arn": "arn:aws:s3:::%s"},
	"aws:secretsmanager/secret:Secret": {"arn": "arn:aws:secretsmanager:" + home + "secret:%s-AbCdEf", "id": "arn:aws:secretsmanager:" + home + "secret:%s-AbCdEf"},
	"aws:sns/topic:Topic":              {"arn": "arn:aws:sns:" + home + "%s"},
	"aws:sqs/queue:Queue":              {"arn": "arn:aws:sqs:" + home + "%s", "url": "https://sqs." + region + ".amazonaws.com/" + account + "/%s"},
}

func (d *deployment) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	state := args.Inputs.Copy()
	id := args.Name + "-id"
	if property, ok := nameProperties[args.TypeToken]; ok {
		key := resource.PropertyKey(property)
		if !state.HasValue(key) {
			state[key] = resource.NewProperty(args.Name + random)
		}
		id = state[key].StringValue()
	}
	for property, form := range computed[args.TypeToken] {
		state[resource.PropertyKey(property)] = resource.NewProperty(strings.ReplaceAll(form, "%s", id))
	}
	if own, ok := state["id"]; ok {
		id = own.StringValue()
	}
	if args.TypeToken == "random:index/randomBytes:RandomBytes" {
		// Not marked as secret: the program has to see to that itself.
		version := args.Name[strings.LastIndex(args.Name, "-v")+1:]
		state["base64"] = resource.NewProperty(callbackKey + version + strings.Repeat("x", 30))
	}
	m := &made{
		kind:      args.TypeToken,
		name:      args.Name,
		inputs:    plain(resource.NewProperty(args.Inputs)).(map[string]any),
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
	return v.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		switch {
		case v.IsSecret():
			return secret{plain(v.SecretValue().Element)}, true
		case v.IsOutput():
			return plain(v.OutputValue().Element), true
		case v.IsArchive():
			return v.ArchiveValue().Path, true
		}
		return nil, false
	})
}

// values are keys of the configuration as the engine hands them to the program.
type values map[string]string

// with returns a copy with the other values put over it.
func (v values) with(others values) values {
	all := values{}
	maps.Copy(all, v)
	maps.Copy(all, others)
	return all
}

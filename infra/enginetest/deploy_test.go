package enginetest_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The stack of dev, from the first preview until nothing is left of it.
func TestDev(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	p := e.clone(t)
	p.init(t, "dev")

	t.Run("a preview asks nobody", func(t *testing.T) {
		calls := p.calls(t, "preview", "--stack", "dev")
		asked := regexp.MustCompile(`/(Invoke|StreamInvoke|Call|Read|ReadResource)$`)
		checked := false
		for _, c := range calls {
			checked = checked || strings.HasSuffix(c.Method, "ResourceProvider/Check")
			if asked.MatchString(c.Method) {
				t.Errorf("%s %s%s", c.Method, c.Request.Tok, c.Request.URN)
			}
		}
		if !checked {
			t.Error("the log of the calls is not what it was: no provider checks an input")
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	p.up(t, "dev")

	t.Run("nothing changes", func(t *testing.T) { p.unchanged(t, "dev") })

	t.Run("nothing changes from another folder", func(t *testing.T) {
		other := e.clone(t)
		other.pulumi(t, "stack", "select", "dev")
		other.unchanged(t, "dev")
	})

	t.Run("outputs", func(t *testing.T) {
		var outputs map[string]any
		decode(t, p.pulumi(t, "stack", "output", "--stack", "dev", "--json"), &outputs)
		for _, name := range []string{
			"bucket", "webhookUrl", "table", "functions", "rule", "retryQueueUrl", "deadLetterQueueUrl",
			"logGroups", "console", "ittybitConnectionPolicy", "apiKeyCommand", "region", "settings",
		} {
			if v, ok := outputs[name]; !ok || v == "" || reflect.ValueOf(v).Len() == 0 {
				t.Errorf("%s: %v", name, v)
			}
		}
		for name, v := range outputs {
			if text, _ := json.Marshal(v); strings.Contains(string(text), "[secret]") {
				t.Errorf("%s is a secret", name)
			}
		}
	})

	t.Run("callback keys are nowhere in plain", func(t *testing.T) {
		keys := callbackKeys(t, p, "dev")
		if err := fs.WalkDir(os.DirFS(e.state), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(filepath.Join(e.state, path))
			for _, key := range keys {
				if strings.Contains(string(data), key) {
					t.Errorf("the backend's file %s has one", path)
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"stack", "export"}, {"stack", "output", "--json"}, {"preview", "--diff", "--show-sames"}} {
			text := p.pulumi(t, append(args, "--stack", "dev")...)
			for _, key := range keys {
				if strings.Contains(text, key) {
					t.Errorf("pulumi %s shows one", strings.Join(args, " "))
				}
			}
		}
	})

	t.Run("what watches it comes and goes alone", func(t *testing.T) {
		watch := func(on string) { p.set(t, "dev", "alarms", on, "dashboard", on, "alarmEmail", "media@example.com") }
		only := func(c changes, op string) {
			t.Helper()
			kinds := map[string]int{}
			for what, how := range c {
				kind, _, _ := strings.Cut(what, " ")
				kinds[kind[strings.LastIndex(kind, ":")+1:]]++
				if !slices.Equal(how, []string{op}) {
					t.Errorf("%s of %s, want only %s", how, what, op)
				}
			}
			for _, kind := range []string{"MetricAlarm", "Topic", "TopicSubscription", "Dashboard", "QueryDefinition"} {
				if kinds[kind] == 0 {
					t.Errorf("no %s of a %s", op, kind)
				}
				delete(kinds, kind)
			}
			if len(kinds) != 0 {
				t.Errorf("%s of %v, too", op, kinds)
			}
		}
		for _, step := range []struct{ on, op string }{{"true", "create"}, {"false", "delete"}} {
			watch(step.on)
			planned := p.preview(t, "dev")
			only(planned, step.op)
			if got := p.apply(t, "dev"); !reflect.DeepEqual(got, planned) {
				t.Errorf("up: got %v, want %v", got, planned)
			}
			p.unchanged(t, "dev")
		}
	})

	const (
		function = "aws:lambda/function:Function ittybit-dev-dispatch"
		rule     = "aws:cloudwatch/eventRule:EventRule ittybit-dev-uploads"
	)
	// The text of a JSON list, as pulumi config set leaves it in the stack file.
	routes := func(suffixes, width string) string {
		return `[{"suffixes":` + suffixes + `,"jobs":[{"name":"video","kind":"video","options":{"width":` + width + `}}]}]`
	}
	p.set(t, "dev", "routes", routes(`[".mov"]`, "1920"))
	p.up(t, "dev")
	for _, tt := range []struct {
		what, routes string
		want         changes
	}{
		{"a changed option", routes(`[".mov"]`, "1280"), changes{function: {"code"}}},
		{"a changed route", routes(`[".mov",".avi"]`, "640"), changes{function: {"code"}, rule: {"eventPattern"}}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			p.set(t, "dev", "routes", tt.routes)
			if got := p.preview(t, "dev"); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("preview: got %v, want %v", got, tt.want)
			}
			if got := p.apply(t, "dev"); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("up: got %v, want %v", got, tt.want)
			}
		})
	}

	t.Run("a comment changes nothing", func(t *testing.T) {
		// In infra every line moves. In a handler no code may: stack traces tell
		// lines. Nor is it a main package, whose build ID covers its very text.
		for _, name := range []string{"infra/main.go", "infra/cloud/rule.go"} {
			p.write(t, name, "// A comment.\n\n"+p.read(t, name))
		}
		p.write(t, "handlers/media/upload.go", p.read(t, "handlers/media/upload.go")+"\n// A comment.\n")
		p.unchanged(t, "dev")
	})

	t.Run("destroy leaves nothing", func(t *testing.T) {
		p.pulumi(t, "destroy", "--stack", "dev", "--yes")
		p.destroyed(t, "dev")
	})
}

// callbackKeys are the keys of the callback tokens, in every form in which the
// provider gives them.
func callbackKeys(t *testing.T, p project, stack string) []string {
	t.Helper()
	var keys []string
	for _, r := range p.resources(t, stack, true) {
		if r.Type != "random:index/randomBytes:RandomBytes" {
			continue
		}
		for _, form := range []string{"base64", "hex"} {
			secret, _ := r.Outputs[form].(map[string]any)
			text, _ := secret["plaintext"].(string)
			var key string
			if err := json.Unmarshal([]byte(text), &key); err != nil || len(key) < 32 {
				t.Fatalf("%s of %s is no secret of 32 characters or more", form, r.URN)
			}
			keys = append(keys, key)
		}
	}
	if keys == nil {
		t.Fatal("the stack has no callback key")
	}
	return keys
}

// A copy of a stack file makes another environment beside the first.
func TestCopiedStack(t *testing.T) {
	t.Parallel()
	p := newEngine(t).clone(t)
	p.init(t, "dev")
	p.up(t, "dev")
	p.write(t, "Pulumi.staging.yaml", p.read(t, "Pulumi.dev.yaml"))
	p.init(t, "staging")
	p.up(t, "staging")
	p.unchanged(t, "staging")
	p.unchanged(t, "dev")
	apart(t, p, "dev", "staging")
}

// Two stacks watch one bucket that was there before both; the first has its
// notifications.
func TestSharedBucket(t *testing.T) {
	t.Parallel()
	p := newEngine(t).clone(t)
	const bucket = "enginetest-shared-bucket"
	p.write(t, "Pulumi.staging.yaml", p.read(t, "Pulumi.dev.yaml"))
	for _, name := range []string{"dev", "staging"} {
		p.init(t, name)
		p.set(t, name, "bucketName", bucket, "manageNotifications", strconv.FormatBool(name == "dev"))
		p.up(t, name)
	}
	apart(t, p, "dev", "staging")
	for _, name := range []string{"dev", "staging"} {
		for _, r := range p.resources(t, name, false) {
			notifies := strings.HasPrefix(r.Type, "aws:s3/bucketNotification")
			if strings.HasPrefix(r.Type, "aws:s3/") && !(notifies && name == "dev") {
				t.Errorf("%s has %s on a bucket that is not its own", name, r.URN)
			}
		}
		if got := strings.TrimSpace(p.pulumi(t, "stack", "output", "bucket", "--stack", name)); got != bucket {
			t.Errorf("%s watches %q", name, got)
		}
	}

	deleted := map[string]bool{}
	for _, c := range p.calls(t, "destroy", "--stack", "dev", "--yes", "--skip-preview") {
		if strings.HasSuffix(c.Method, "ResourceProvider/Delete") {
			deleted[resource{URN: c.Request.URN}.name()] = true
			if strings.Contains(c.Request.URN, "$aws:s3/") {
				t.Errorf("destroy deletes %s: staging's uploads go unnoticed", c.Request.URN)
			}
		}
	}
	if !deleted["ittybit-dev-results"] {
		t.Errorf("destroy deletes only %v", deleted)
	}
	p.destroyed(t, "dev")
	p.unchanged(t, "staging")
}

// apart fails the test when two stacks have a physical name in common.
func apart(t *testing.T, p project, one, other string) {
	t.Helper()
	ids := map[string]string{}
	for _, r := range p.resources(t, one, false) {
		ids[r.Type+" "+r.ID] = r.URN
	}
	for _, r := range p.resources(t, other, false) {
		// A stage's name belongs to its API.
		if twin, ok := ids[r.Type+" "+r.ID]; ok && r.inCloud() && !strings.HasSuffix(r.Type, ":Stage") {
			t.Errorf("%s and %s are both %s", twin, r.URN, r.ID)
		}
		if r.inCloud() && !strings.Contains(r.name(), other) {
			t.Errorf("%s does not say whose it is", r.URN)
		}
	}
}

// What prod holds is given up in two steps.
func TestProd(t *testing.T) {
	t.Parallel()
	p := newEngine(t).clone(t)
	p.init(t, "prod")
	p.up(t, "prod")
	p.unchanged(t, "prod")

	before := p.resources(t, "prod", false)
	text := p.refused(t, "destroy", "--stack", "prod", "--yes")
	for _, name := range []string{"ittybit-prod-results", "ittybit-prod-uploads", "ittybit-prod-api", "ittybit-prod-callback-keys"} {
		i := slices.IndexFunc(before, func(r resource) bool { return r.Protect && r.name() == name })
		if i < 0 {
			t.Errorf("%s is not protected", name)
		} else if !strings.Contains(text, before[i].URN+`" cannot be deleted`) {
			t.Errorf("the refusal does not name %s:\n%s", before[i].URN, text)
		}
	}
	if after := p.resources(t, "prod", false); len(after) != len(before) {
		t.Errorf("the refused destroy took %d of %d resources", len(before)-len(after), len(before))
	}

	for _, version := range []string{"2", "3"} {
		p.set(t, "prod", "callbackKeyVersion", version)
		p.up(t, "prod")
	}
	p.set(t, "prod", "callbackKeyVersion", "5")
	if text := p.refused(t, "up", "--stack", "prod", "--yes"); !strings.Contains(text, "ittybit-prod-callback-key-v3") {
		t.Errorf("a version left out takes the key in use away:\n%s", text)
	}
	p.set(t, "prod", "callbackKeyVersion", "3")

	p.set(t, "prod", "protect", "false")
	p.up(t, "prod")
	p.pulumi(t, "destroy", "--stack", "prod", "--yes")
	p.destroyed(t, "prod")
}

// Result events come and go with their resources alone.
func TestResultEvents(t *testing.T) {
	t.Parallel()
	p := newEngine(t).clone(t)
	p.init(t, "dev")
	p.up(t, "dev")
	p.giveStream(t, "dev")
	parts := []string{
		"aws:cloudwatch/logGroup:LogGroup /aws/vendedlogs/ittybit-dev-pipe", "aws:iam/role:Role ittybit-dev-pipe", "aws:iam/rolePolicy:RolePolicy ittybit-dev-pipe",
		"aws:pipes/pipe:Pipe ittybit-dev-pipe", "aws:sqs/queue:Queue ittybit-dev-dead-events",
	}
	for _, step := range []struct{ on, op string }{{"true", "create"}, {"false", "delete"}} {
		want := changes{}
		for _, part := range parts {
			want[part] = []string{step.op}
		}
		p.set(t, "dev", "resultEvents", step.on)
		if got := p.preview(t, "dev"); !reflect.DeepEqual(got, want) {
			t.Errorf("resultEvents: %s: preview: got %v, want %v", step.on, got, want)
		}
		if got := p.apply(t, "dev"); !reflect.DeepEqual(got, want) {
			t.Errorf("resultEvents: %s: up: got %v, want %v", step.on, got, want)
		}
		p.unchanged(t, "dev")
		var outputs map[string]any
		decode(t, p.pulumi(t, "stack", "output", "--stack", "dev", "--json"), &outputs)
		for _, name := range []string{"resultEventBus", "resultEventsDeadLetterQueueUrl"} {
			if text, _ := outputs[name].(string); (text != "") != (step.on == "true") {
				t.Errorf("resultEvents: %s: %s is %v", step.on, name, outputs[name])
			}
		}
	}
}

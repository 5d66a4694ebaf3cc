package cloud_test

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
	"ittybit-media/infra/cloud"
)

func TestNamesFitWhateverTheStackIsCalled(t *testing.T) {
	t.Parallel()
	limits := map[string]struct {
		length int
		form   *regexp.Regexp
	}{ // each service's user guide, "quotas"
		"BucketV2":  {63, regexp.MustCompile(`^[a-z0-9][a-z0-9-]*[a-z0-9]$`)},
		"Role":      {64, regexp.MustCompile(`^[\w+=,.@-]+$`)},
		"Function":  {64, regexp.MustCompile(`^[\w-]+$`)},
		"EventRule": {64, regexp.MustCompile(`^[\w.-]+$`)},
		"Queue":     {80, regexp.MustCompile(`^[\w-]+$`)},
		"Table":     {255, regexp.MustCompile(`^[\w.-]{3,}$`)},
		"Pipe":      {64, regexp.MustCompile(`^[\w.-]+$`)},
		"Api":       {128, regexp.MustCompile(`^[\w. -]+$`)},
		"Secret":    {512, regexp.MustCompile(`^[\w/+=.@-]+$`)},
		"LogGroup":  {512, regexp.MustCompile(`^[\w/.#-]+$`)},

		"MetricAlarm":     {255, regexp.MustCompile(`^[\w-]+$`)},
		"Topic":           {256, regexp.MustCompile(`^[\w-]+$`)},
		"Dashboard":       {255, regexp.MustCompile(`^[\w-]+$`)},
		"QueryDefinition": {255, regexp.MustCompile(`^[\w-]+/[\w ]+$`)},
	}
	for _, name := range []string{"dev", strings.Repeat("a-very-long-name", 3)[:40], "Feature_Branch.42", strings.Repeat("X", 100), "___", "-", "é"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, name, watching.with(values{"callbackKeyVersion": "1000", "resultEvents": "true"}))
			for kind, limit := range limits {
				found := d.all(kind)
				if len(found) == 0 {
					t.Errorf("no %s", kind)
				}
				for _, m := range found {
					physical := m.out(t, nameProperties[m.kind])
					if len(physical) > limit.length || !limit.form.MatchString(physical) {
						t.Errorf("%s %q (%d characters)", kind, physical, len(physical))
					}
					if kind == "Secret" && regexp.MustCompile(`-\w{6}$`).MatchString(physical) {
						t.Errorf("%q ends as Secrets Manager's own endings do", physical)
					}
				}
			}
			for _, m := range d.resources {
				if len(m.name) > 55 { // and a hyphen and seven digits: 63
					t.Errorf("%s %s has %d characters", m.kind, m.name, len(m.name))
				}
			}
		})
	}
	one, other := cloud.Prefix(strings.Repeat("x", 39)+"1"), cloud.Prefix(strings.Repeat("x", 39)+"2")
	if one == other {
		t.Errorf("two stacks have the prefix %s", one)
	}
}

func TestEverythingIsTagged(t *testing.T) {
	untaggable := []string{ // AWS knows no tags for them
		"Pipeline", "RandomBytes", "TopicSubscription", "Dashboard", "QueryDefinition", "Integration", "Route", "EventTarget", "RolePolicy",
		"FunctionEventInvokeConfig", "Permission", "BucketLifecycleConfigurationV2", "BucketNotification", "BucketPolicy",
		"BucketPublicAccessBlock", "BucketServerSideEncryptionConfigurationV2", "SecretVersion", "QueuePolicy", "RedriveAllowPolicy",
	}
	eachStack(t, func(t *testing.T, name string, v values, d *deployment) {
		want := map[string]any{"project": "ittybit-media", "stack": name}
		for key, value := range config(t, v).Tags {
			want[key] = value
		}
		for _, m := range d.resources {
			if !slices.Contains(untaggable, m.short()) {
				m.has(t, inputs{"tags": want})
			}
		}
	})
}

func TestEverythingIsInTheComponent(t *testing.T) {
	t.Parallel()
	for _, m := range deploy(t, "dev", stackFile(t, "dev")).resources {
		if m.kind != "ittybit-media:index:Pipeline" && !strings.HasSuffix(m.parent, "::ittybit-media:index:Pipeline::ittybit-dev") {
			t.Errorf("%s %s has the parent %s", m.kind, m.name, m.parent)
		}
	}
}

func TestAPreviewNeedsNothingFromAWS(t *testing.T) {
	t.Parallel()
	for name, v := range stacks(t) {
		d, err := run(name, v, func(info *pulumi.RunInfo) { info.DryRun = true })
		if err != nil {
			t.Fatal(err)
		}
		d.count(t, map[string]int{"EventTarget": 2}) // the preview is whole
	}
}

func TestACopiedEnvironmentCollidesWithNothing(t *testing.T) {
	t.Parallel()
	dev := stackFile(t, "dev").with(values{"bucketName": "my-media-bucket", "manageNotifications": "true"})
	seen := map[string]bool{}
	for name, v := range map[string]values{"dev": dev, "staging": dev.with(values{"manageNotifications": "false"})} {
		d := deployWhole(t, name, v)
		for _, m := range d.resources {
			if key, ok := nameProperties[m.kind]; ok {
				id := m.kind + " " + strings.TrimSuffix(m.out(t, key), random)
				if seen[id] {
					t.Errorf("both stacks have %s", id)
				}
				seen[id] = true
			}
		}
		prefix := loaded(t, d, "dispatch", env.LoadDispatch).OutputPrefix
		if !(media.Folder{Bucket: "my-media-bucket", Prefix: prefix}).Holds("ittybit-output/uploads/film.mp3") {
			t.Errorf("%s would take the other's outputs for uploads", name)
		}
	}
}

func TestAMistakeStopsTheProgramBeforeItMakesAnything(t *testing.T) {
	t.Parallel()
	d, err := run("staging", values{"memoryMb": "lots", "webhookRate": "0", "bucketname": "b"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, says := range []string{"Pulumi.staging.yaml", "memoryMb: ", "webhookRate: ", "bucketname: is not known; did you mean bucketName?"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q is not in %v", says, err)
		}
	}
	if len(d.resources) > 0 {
		t.Errorf("%d resources", len(d.resources))
	}
	_, err = run("staging", values{"connectionId": "conn_1"}, func(info *pulumi.RunInfo) {
		info.ConfigSecretKeys = []string{"ittybit-media:connectionId"}
	})
	if err == nil || !strings.Contains(err.Error(), "connectionId: ") || strings.Contains(err.Error(), "conn_1") {
		t.Errorf("an encrypted value: %v", err)
	}
}

// TestTheReadmeKnowsEveryResource compares the kinds of resources that the
// README explains with those that stacks have.
func TestTheReadmeKnowsEveryResource(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "<!-- resources:begin -->\n")
	text, _, _ = strings.Cut(text, "<!-- resources:end -->")
	explained := map[string]bool{}
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, kind := range regexp.MustCompile(`[A-Z]\w+`).FindAllString(cells[2], -1) {
				explained[kind] = true
			}
		}
	}
	made := map[string]bool{}
	for name, v := range stacks(t) {
		for _, m := range deploy(t, name, v.with(watching)).resources {
			made[m.short()] = true
		}
	}
	delete(made, "Pipeline") // the component itself
	if !reflect.DeepEqual(explained, made) {
		t.Errorf("the README explains %v, the stacks have %v", slices.Sorted(maps.Keys(explained)), slices.Sorted(maps.Keys(made)))
	}
}

package cloud_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ittybit-media/scripts/local/aws/eventbridge"
)

func TestTheRuleTakesWhatTheRoutesWant(t *testing.T) {
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		pattern, err := eventbridge.Compile([]byte(d.one(t, "EventRule", "-uploads").at("eventPattern").(string)))
		if err != nil {
			t.Fatal(err)
		}
		bucket := "my-media-bucket"
		if made := d.all("BucketV2"); len(made) == 1 {
			bucket = made[0].out(t, "bucket")
		}
		for name, tt := range map[string]struct {
			bucket, key string         // "": the stack's, and a film
			change      map[string]any // of the event
			want        bool
		}{
			"a film":            {want: true},
			"a phone's":         {key: "uploads/IMG_1.MOV", want: true},
			"a suffix alone":    {key: ".mp4", want: true},
			"not a film":        {key: "uploads/film.txt"},
			"the suffix inside": {key: "uploads/film.mov.part"},
			"another bucket":    {bucket: "another-bucket"},
			"deleted":           {change: map[string]any{"detail-type": "Object Deleted"}},
			"somebody's own":    {change: map[string]any{"source": "custom"}},
		} {
			o := eventbridge.Object{Account: account, Region: region, Bucket: bucket, Key: "uploads/film.mov", Size: 1, Reason: "PutObject"}
			if tt.bucket != "" {
				o.Bucket = tt.bucket
			}
			if tt.key != "" {
				o.Key = tt.key
			}
			var event map[string]any
			fromJSON(t, string(eventbridge.ObjectCreated(o)), &event)
			maps.Copy(event, tt.change)
			if got, err := pattern.Matches([]byte(toJSON(t, event))); err != nil || got != tt.want {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
	})
}

func TestTheRuleDeliversToDispatchAlone(t *testing.T) {
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		target := d.one(t, "EventTarget", "-uploads")
		target.has(t, inputs{
			"rule":                                 d.one(t, "EventRule", "-uploads").out(t, "name"),
			"arn":                                  d.function(t, "dispatch").out(t, "arn"),
			"deadLetterConfig.arn":                 d.one(t, "Queue", "-retry").out(t, "arn"),
			"retryPolicy.maximumEventAgeInSeconds": 86400.0,
			"retryPolicy.maximumRetryAttempts":     185.0,
		})
		d.after(t, target, d.one(t, "Permission", "-uploads"), d.one(t, "QueuePolicy", "-retry"), d.one(t, "RolePolicy", "-dispatch"),
			d.one(t, "SecretVersion", ""), d.one(t, "FunctionEventInvokeConfig", "-dispatch"), d.one(t, "EventSourceMapping", ""))
	})
}

func TestEveryPermissionNamesItsSource(t *testing.T) {
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		got := map[string]string{}
		for _, p := range d.all("Permission") {
			p.has(t, inputs{"action": "lambda:InvokeFunction"})
			source, _ := p.at("sourceArn").(string)
			got[p.at("principal").(string)+" to "+p.at("function").(string)] = source
		}
		want := map[string]string{
			"events.amazonaws.com to " + d.function(t, "dispatch").out(t, "name"):    d.one(t, "EventRule", "-uploads").out(t, "arn"),
			"events.amazonaws.com to " + d.function(t, "sweep").out(t, "name"):       d.one(t, "EventRule", "-sweep").out(t, "arn"),
			"apigateway.amazonaws.com to " + d.function(t, "webhook").out(t, "name"): "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3/*/POST/webhook",
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

func TestTheBucketThatIsMade(t *testing.T) {
	t.Parallel()
	d := deploy(t, "dev", nil)
	bucket := d.one(t, "BucketV2", "")
	name, arn := bucket.out(t, "bucket"), bucket.out(t, "arn")
	for kind, want := range map[string]inputs{
		"BucketPublicAccessBlock":                   {"blockPublicAcls": true, "blockPublicPolicy": true, "ignorePublicAcls": true, "restrictPublicBuckets": true},
		"BucketServerSideEncryptionConfigurationV2": {"rules.0.applyServerSideEncryptionByDefault.sseAlgorithm": "AES256"},
		"BucketLifecycleConfigurationV2":            {"rules.0.abortIncompleteMultipartUpload.daysAfterInitiation": 7.0},
		"BucketNotification":                        {"eventbridge": true},
		"BucketPolicy":                              {},
	} {
		want["bucket"] = name
		d.one(t, kind, "").has(t, want)
	}
	tls := parsePolicy(t, d.one(t, "BucketPolicy", "").at("policy"))
	for _, resource := range []string{arn, arn + "/uploads/film.mov"} {
		denied := slices.ContainsFunc(tls.Statement, func(s iamStatement) bool {
			return s.Effect == "Deny" && s.Principal["AWS"] == "*" && matchesAny(s.Action, "s3:GetObject") && matchesAny(s.Resource, resource) &&
				s.holds(t, map[string]string{"aws:SecureTransport": "false"}) && !s.holds(t, map[string]string{"aws:SecureTransport": "true"})
		})
		if !denied {
			t.Errorf("%s answers without TLS", resource)
		}
	}
	if d.one(t, "BucketNotification", "").retained {
		t.Error("the notification outlives its bucket")
	}
}

func TestABucketThatThereIs(t *testing.T) {
	t.Parallel()
	for manage, want := range map[string]int{"true": 1, "false": 0} {
		t.Run(manage, func(t *testing.T) {
			d := deploy(t, "dev", values{"bucketName": "my-media-bucket", "manageNotifications": manage})
			for _, m := range d.resources {
				if strings.HasPrefix(m.kind, "aws:s3/") && m.short() != "BucketNotification" {
					t.Errorf("%s touches a bucket that is not the stack's", m.kind)
				}
			}
			d.count(t, map[string]int{"BucketNotification": want})
			for _, n := range d.all("BucketNotification") {
				n.has(t, inputs{"bucket": "my-media-bucket", "eventbridge": true})
				if !n.retained {
					t.Error("the notification's end would silence others")
				}
			}
			if pattern := d.one(t, "EventRule", "-uploads").at("eventPattern").(string); !strings.Contains(pattern, `"my-media-bucket"`) {
				t.Errorf("pattern %s", pattern)
			}
		})
	}
}

func TestTheConnectionMayReadUploadsAndWriteOutputsOnly(t *testing.T) {
	t.Parallel()
	const bucket = "arn:aws:s3:::my-media-bucket/"
	for name, tt := range map[string]struct {
		routes string
		may    map[string]bool // action and resource
	}{
		"outputs in buckets": {
			routes: `[{"prefix":"uploads/","suffixes":[".mov"],"jobs":[
				{"name":"a","kind":"video"},
				{"name":"b","kind":"audio","output":"s3://${bucket}/ittybit-output/${key}.mp3"},
				{"name":"c","kind":"audio","output":"s3://other-bucket/media/${key}.mp3"}]}]`,
			may: map[string]bool{
				"s3:GetObject " + bucket + "uploads/film.mov":                   true,
				"s3:GetObject " + bucket + "private/film.mov":                   false,
				"s3:GetObject " + bucket + "ittybit-output/film.mp3":            false,
				"s3:PutObject " + bucket + "ittybit-output/film.mp3":            true,
				"s3:PutObject " + bucket + "uploads/film.mov":                   false,
				"s3:AbortMultipartUpload " + bucket + "ittybit-output/film.mp3": true,
				"s3:PutObject arn:aws:s3:::other-bucket/media/film.mp3":         true,
				"s3:PutObject arn:aws:s3:::other-bucket/film.mp3":               false,
				"s3:DeleteObject " + bucket + "uploads/film.mov":                false,
			},
		},
		"outputs at Ittybit": {
			routes: `[{"prefix":"a*b/","suffixes":[".mov"],"jobs":[{"name":"a","kind":"video"}]}]`,
			may: map[string]bool{
				"s3:GetObject " + bucket + "a*b/film.mov":            true,
				"s3:GetObject " + bucket + "axb/film.mov":            false,
				"s3:PutObject " + bucket + "ittybit-output/film.mp3": false,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := deploy(t, "dev", values{"bucketName": "my-media-bucket", "manageNotifications": "false", "routes": tt.routes})
			parsePolicy(t, d.outputs["ittybitConnectionPolicy"]).grants(t, tt.may)
		})
	}
}

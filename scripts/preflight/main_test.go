package main

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/operator"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/pipelinetest"
)

// order is that of the checks.
var order = []string{
	"stack file", "go", "pulumi", "pulumi login", "credentials", "region", "deployed", "bucket",
	"notifications", "api key", "webhook secret", "ittybit", "connection", "event bus", "concurrency",
}

func TestNothingIsToBeFixed(t *testing.T) {
	w := newWorld(t)
	r := w.onAWS("-json")
	var checks []string
	for _, f := range r.findings(t) {
		checks = append(checks, f.Check)
		want := ok
		if f.Check == "deployed" {
			want = skip
		}
		if f.Status != want || f.How != "" {
			t.Errorf("%+v", f)
		}
	}
	if !slices.Equal(checks, order) {
		t.Errorf("checks %q", checks)
	}
	if r.code != operator.ExitOK || r.stderr != "Nothing is to be fixed.\n" {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	for _, write := range []string{"PUT ?notification", "PutSecretValue"} {
		if w.toS3.count(write)+w.toAWS.count(write) > 0 {
			t.Errorf("%s was called", write)
		}
	}
	people := w.onAWS()
	lines := strings.Split(people.stdout, "\n")
	if len(lines) != len(order)+2 || !strings.HasPrefix(lines[0], "ok    stack file      Pulumi.dev.yaml: 1 route with 3 jobs") || lines[len(order)] != "Nothing is to be fixed." {
		t.Errorf("%q", lines)
	}
}

func TestALocalRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// The file is as the one of a new checkout: it names no bucket and no key.
	w.set("bucketName", nil)
	w.set("manageNotifications", nil)
	w.set("ittybitApiKeySecret", nil)
	w.set("ittybitApiUrl", "https://api.ittybit.com")
	w.set("aws:region", "eu-west-1")
	w.set("webhookAuth", nil)
	w.set("ittybitWebhookSecret", nil)
	skips := []string{"pulumi", "pulumi login", "deployed", "webhook secret", "event bus"}
	r := w.local("-json")
	for _, f := range r.findings(t) {
		want := ok
		if slices.Contains(skips, f.Check) {
			want = skip
		}
		if f.Status != want {
			t.Errorf("%+v", f)
		}
	}
	if r.code != operator.ExitOK {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	w.foreign()
	if r := w.local(); r.code != operator.ExitFailed || !strings.Contains(r.stdout, "EventBridge is off") || !strings.Contains(r.stdout, "go run ./scripts/preflight -local=") || !strings.Contains(r.stdout, "local.json -enable-eventbridge") {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

// want is what one line must say.
type want struct {
	check  string
	status status
	detail string // part of it
	how    string
}

// TestFindings: each thing that can be wrong is found, and told from the others.
func TestFindings(t *testing.T) {
	run := pipelinetest.Start(t, nil)
	for name, tt := range map[string]struct {
		change func(*world)
		want   []want
	}{
		"no stack file": {
			func(w *world) { w.values = nil; w.write("Pulumi.prod.yaml", "config: {}") },
			[]want{
				{"stack file", fix, "there are Pulumi.prod.yaml", "README.md"},
				{"region", skip, "cannot be read", ""}, {"bucket", skip, "cannot be read", ""}, {"api key", skip, "cannot be read", ""}, {"concurrency", skip, "cannot be read", ""},
			},
		},
		"no YAML": {
			func(w *world) { w.values = nil; w.write("Pulumi.dev.yaml", "config: [") },
			[]want{{"stack file", fix, "is not a stack file", "README.md"}},
		},
		"no credentials, and none needed": {
			func(w *world) {
				w.access.AccessKey, w.access.SecretKey = "", ""
				w.set("bucketName", nil)
				w.set("manageNotifications", nil)
				w.set("ittybitApiKeySecret", nil)
				w.set("ittybitWebhookSecret", nil)
				w.set("webhookAuth", nil)
			},
			[]want{{"credentials", fix, "", ""}, {"bucket", skip, "up makes", ""}, {"api key", skip, "up makes", ""}, {"webhook secret", skip, "webhookAuth", ""}},
		},
		"several mistakes": {
			func(w *world) {
				w.set("outputPrefix", "out")
				w.set("memoryMb", 64)
				w.set("bucketname", "x")
				w.set("aws:secretKey", map[string]any{"secure": "v1:x"})
				w.set("connectionId", map[string]any{"secure": "v1:x"})
			},
			[]want{
				{"stack file", fix, "outputPrefix: ", "Pulumi.dev.yaml"}, {"stack file", fix, "memoryMb: ", "Pulumi.dev.yaml"}, {"stack file", fix, "did you mean bucketName?", "Pulumi.dev.yaml"},
				{"stack file", fix, "aws:secretKey: is encrypted", "Pulumi.dev.yaml"}, {"stack file", fix, "connectionId: is encrypted", "Pulumi.dev.yaml"},
				{"connection", skip, "connectionId, which is wrong", ""}, {"bucket", ok, "", ""}, {"ittybit", ok, "", ""},
			},
		},
		"a mistake in what the others go by": {
			func(w *world) { w.set("manageNotifications", "perhaps"); w.set("ittybitApiUrl", "ftp://x") },
			[]want{{"stack file", fix, "perhaps", ""}, {"bucket", skip, "manageNotifications, which is wrong", ""}, {"notifications", skip, "manageNotifications", ""}, {"ittybit", skip, "ittybitApiUrl", ""}, {"api key", ok, "", ""}},
		},
		"a warning": {
			func(w *world) { w.set("alarmEmail", "ann@example.com") },
			[]want{{"stack file", ok, "Pulumi.dev.yaml", ""}, {"stack file", warn, "alarmEmail: ", "Pulumi.dev.yaml"}},
		},

		"no Go of that version": {
			func(w *world) {
				w.t.Setenv("GOPROXY", "off")
				w.write("go.mod", "module m\n\ngo 1.26.0\n\ntoolchain go1.26.9999\n\nrequire github.com/pulumi/pulumi/sdk/v3 v3.259.0\n")
			},
			[]want{{"go", fix, "go.mod asks for go1.26.9999", "go.dev/dl"}, {"pulumi", ok, "v3.259.0", ""}},
		},
		"an old Pulumi": {
			func(w *world) { w.write("pulumi/version", "v3.43.1\n") },
			[]want{{"pulumi", fix, "v3.43.1 is too old", "install"}},
		},
		"the oldest Pulumi": {
			func(w *world) { w.write("pulumi/version", "v3.44.0\n") },
			[]want{{"pulumi", warn, "its SDK is v3.259.0", "install"}},
		},
		"a Pulumi to come": {
			func(w *world) { w.write("pulumi/version", "v4.0.0\n") },
			[]want{{"pulumi", warn, "its SDK is v3.259.0", "install"}},
		},
		"a newer Pulumi": {
			func(w *world) { w.write("pulumi/version", "v3.300.1-alpha.1+dirty\n") },
			[]want{{"pulumi", ok, "v3.300.1", ""}},
		},
		"a Pulumi of one's own": {
			func(w *world) { w.write("pulumi/version", "(dev)\n") },
			[]want{{"pulumi", warn, "(dev)", "install"}},
		},
		"a go.mod without the SDK": {
			func(w *world) { w.write("go.mod", "module m\n\ngo 1.26.0\n") },
			[]want{{"pulumi", fix, "does not require github.com/pulumi", "go.mod"}},
		},
		"no Pulumi": {
			func(w *world) { w.t.Setenv("PATH", w.t.TempDir()) },
			[]want{{"go", fix, "the go command is needed", "go.dev/dl"}, {"pulumi", fix, "not on PATH", "install"}, {"pulumi login", skip, "needs Pulumi", ""}, {"deployed", skip, "needs Pulumi", ""}},
		},
		"nobody is logged in": {
			func(w *world) {
				w.write("pulumi/whoami.err", "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions\n")
			},
			[]want{{"pulumi login", fix, "run pulumi login", "PULUMI_BACKEND_URL"}},
		},
		"a backend with a password": {
			func(w *world) {
				w.write("pulumi/whoami", `{"user":"ann","url":"https://ann:`+apiKey+`@state.example.com"}`)
			},
			[]want{{"pulumi login", ok, "ann at https://ann:xxxxx@state.example.com", ""}},
		},

		"no credentials": {
			func(w *world) { w.access.AccessKey, w.access.SecretKey = "", "" },
			[]want{
				{"credentials", fix, "no credentials", "AWS_PROFILE"}, {"region", skip, "credentials", ""}, {"bucket", skip, "credentials", ""},
				{"notifications", skip, "", ""}, {"api key", skip, "credentials", ""}, {"webhook secret", skip, "credentials", ""}, {"ittybit", skip, "", ""}, {"concurrency", skip, "credentials", ""},
			},
		},
		"credentials that have expired": {
			func(w *world) { w.toAWS.answer("POST /", stsFault("ExpiredToken")) },
			[]want{{"credentials", fix, "STS GetCallerIdentity: ExpiredToken", "aws sso login"}, {"bucket", skip, "", ""}},
		},
		"unknown credentials": {
			func(w *world) { w.toAWS.answer("POST /", stsFault("InvalidClientTokenId")) },
			[]want{{"credentials", fix, "InvalidClientTokenId", "AWS_ACCESS_KEY_ID"}, {"region", skip, "", ""}},
		},
		"a region that is not enabled": {
			func(w *world) {
				w.set("aws:region", "me-south-1")
				w.toAWS.answer("POST /", func(rw http.ResponseWriter, r *http.Request) {
					if signedFor(r, "me-south-1") {
						stsFault("InvalidClientTokenId")(rw, r)
						return
					}
					w.toAWS.next.ServeHTTP(rw, r)
				})
			},
			[]want{{"credentials", ok, "000000000000", ""}, {"region", fix, "in me-south-1 AWS refuses these credentials", "enable the region"}, {"bucket", skip, "region", ""}},
		},
		"a region that there is not": {
			func(w *world) {
				w.set("aws:region", "us-east-9")
				w.toAWS.answer("POST /", func(rw http.ResponseWriter, r *http.Request) {
					if signedFor(r, "us-east-9") {
						panic(http.ErrAbortHandler)
					}
					w.toAWS.next.ServeHTTP(rw, r)
				})
			},
			[]want{{"credentials", ok, "000000000000", ""}, {"region", fix, "AWS cannot be reached in us-east-9", "correct aws:region"}, {"bucket", skip, "region", ""}},
		},
		"no region": {
			func(w *world) { w.set("aws:region", nil) },
			[]want{{"credentials", ok, "", ""}, {"region", fix, "aws:region is not set", "pulumi config set aws:region REGION --stack dev"}, {"bucket", skip, "stack's region", ""}},
		},

		"deployed": {
			func(w *world) { w.deploy(nil) },
			[]want{{"deployed", ok, "stack dev is in this account and region", ""}},
		},
		"deployed elsewhere": {
			func(w *world) { w.deploy(func(o *stack.Outputs) { o.Region = "eu-west-1" }) },
			[]want{{"deployed", fix, "up would make everything anew in us-east-1", "set aws:region to eu-west-1"}},
		},
		"deployed with another output folder, which a route takes": {
			func(w *world) { w.deploy(func(o *stack.Outputs) { o.Settings.OutputPrefix = "old/" }) },
			[]want{{"deployed", warn, `outputPrefix changes from old/ to ittybit-output/, and routes[0] takes keys under old/`, `"Another output folder" in OPERATIONS.md`}},
		},
		"deployed with another output folder, which no route takes": {
			func(w *world) {
				job := map[string]any{"name": "v", "kind": "video"}
				w.set("routes", []any{map[string]any{"prefix": "uploads/", "jobs": []any{job}}})
				w.deploy(func(o *stack.Outputs) { o.Settings.OutputPrefix = "old/" })
			},
			[]want{{"deployed", ok, "stack dev is in this account and region", ""}},
		},
		"deployed by others": {
			func(w *world) {
				w.deploy(func(o *stack.Outputs) { o.RetryQueueURL = "https://sqs.us-east-1.amazonaws.com/111111111111/retry" })
			},
			[]want{{"deployed", fix, "account 111111111111; these credentials are for 000000000000", "AWS_PROFILE"}},
		},
		"deployed, and locked": {
			func(w *world) { w.write("pulumi/outputs.err", "error: passphrase must be set\n") },
			[]want{{"deployed", warn, "PULUMI_CONFIG_PASSPHRASE", "up"}},
		},
		"deployed, and nobody to ask": {
			func(w *world) { w.deploy(nil); w.toAWS.answer("POST /", stsFault("ExpiredToken")) },
			[]want{{"credentials", fix, "ExpiredToken", ""}, {"deployed", skip, "account 000000000000", ""}},
		},

		"no bucket": {
			func(w *world) { w.set("bucketName", "no-such-bucket") },
			[]want{{"bucket", fix, "there is no bucket no-such-bucket", "aws s3 mb s3://no-such-bucket --region us-east-1"}, {"notifications", skip, "when the bucket is right", ""}},
		},
		"a bucket elsewhere": {
			func(w *world) { w.bucketIn("eu-central-1", "elsewhere"); w.set("bucketName", "elsewhere") },
			[]want{{"bucket", fix, "bucket elsewhere is in eu-central-1, the stack in us-east-1", "set aws:region to eu-central-1"}},
		},
		"a bucket of others": {
			func(w *world) {
				w.toS3.answer("HEAD /"+w.Bucket, func(rw http.ResponseWriter, r *http.Request) {
					if r.Header.Get("X-Amz-Expected-Bucket-Owner") != "" {
						rw.WriteHeader(http.StatusForbidden)
						return
					}
					w.toS3.next.ServeHTTP(rw, r)
				})
			},
			[]want{{"bucket", fix, "is another account's", "credentials for the bucket's"}},
		},
		"a bucket that may not be seen": {
			func(w *world) { w.toS3.answer("HEAD /"+w.Bucket, s3Fault(http.StatusForbidden, "")) },
			[]want{{"bucket", fix, "may not see it", "s3:ListBucket"}},
		},
		"an alias": {
			func(w *world) {
				w.toS3.answer("HEAD /"+w.Bucket, func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("X-Amz-Access-Point-Alias", "true") })
			},
			[]want{{"bucket", fix, "alias", "own name"}},
		},
		"a bucket that S3 says nothing of": {
			func(w *world) { w.toS3.answer("HEAD /"+w.Bucket, s3Fault(http.StatusBadRequest, "")) },
			[]want{{"bucket", fix, "S3 HeadBucket: BadRequest", "try again"}},
		},
		"versions that may not be seen": {
			func(w *world) { w.toS3.answer("GET ?versioning", s3Fault(http.StatusForbidden, "AccessDenied")) },
			[]want{{"bucket", ok, "whether it keeps versions cannot be known: S3 GetBucketVersioning: AccessDenied", ""}},
		},
		"a bucket to be made": {
			func(w *world) { w.set("bucketName", nil); w.set("manageNotifications", nil) },
			[]want{{"bucket", skip, "up makes a bucket", ""}, {"notifications", skip, "up turns EventBridge on", ""}},
		},

		"up would delete": {
			func(w *world) { w.foreign(); w.set("manageNotifications", true) },
			[]want{
				{"notifications", fix, "topic arn:aws:sns:us-east-1:000000000000:images", "manageNotifications to false"},
				{"notifications", fix, "queue arn:aws:sqs:us-east-1:000000000000:audit", "manageNotifications to false"},
				{"notifications", fix, "function arn:aws:lambda:us-east-1:000000000000:function:scan", "manageNotifications to false"},
			},
		},
		"up would delete nothing": {
			func(w *world) { w.set("manageNotifications", true) },
			[]want{{"notifications", ok, "no other notifications", ""}},
		},
		"EventBridge is off": {
			func(w *world) { w.foreign() },
			[]want{{"notifications", fix, "EventBridge is off", "go run ./scripts/preflight -stack dev -enable-eventbridge"}},
		},
		"notifications that may not be seen": {
			func(w *world) { w.toS3.answer("GET ?notification", s3Fault(http.StatusForbidden, "AccessDenied")) },
			[]want{{"notifications", warn, "may not see whether EventBridge is on", "s3:GetBucketNotification"}},
		},
		"notifications that up may not see": {
			func(w *world) {
				w.set("manageNotifications", true)
				w.toS3.answer("GET ?notification", s3Fault(http.StatusForbidden, "AccessDenied"))
			},
			[]want{{"notifications", fix, "what up would delete", "s3:GetBucketNotification"}},
		},

		"a key to be put in": {
			func(w *world) { w.set("ittybitApiKeySecret", nil) },
			[]want{{"api key", skip, `eval "$(pulumi stack output apiKeyCommand --stack dev)"`, ""}, {"ittybit", skip, "when there is a key", ""}},
		},
		"the key that was put in": {
			func(w *world) { w.set("ittybitApiKeySecret", nil); w.deploy(nil) },
			[]want{{"api key", ok, "looks like a key (23 characters)", ""}, {"ittybit", ok, "takes the key", ""}},
		},
		"the key that was not put in": {
			func(w *world) {
				w.set("ittybitApiKeySecret", nil)
				w.deploy(nil)
				w.Secrets.SetEmpty(w.access.Outputs.Settings.APIKeySecret)
			},
			[]want{{"api key", fix, "has no value", `eval "$(pulumi stack output apiKeyCommand --stack dev)"`}, {"ittybit", skip, "", ""}},
		},
		"no secret": {
			func(w *world) { w.set("ittybitApiKeySecret", apiKey) }, // somebody has taken the name for the key
			[]want{{"api key", fix, "ittybitApiKeySecret names no secret that is in us-east-1", "create-secret"}},
		},
		"an empty secret": {
			func(w *world) { w.Secrets.SetEmpty(keyName) },
			[]want{{"api key", fix, "has no value", "put-secret-value"}, {"ittybit", skip, "", ""}},
		},
		"a secret that is no key": {
			func(w *world) { w.Secrets.Set(keyName, apiKey+"\n"+apiKey) },
			[]want{{"api key", fix, "holds a space, a line break", "put-secret-value"}, {"ittybit", skip, "", ""}},
		},
		"a secret of the console's": {
			func(w *world) { w.Secrets.Set(keyName, `{"api_key":"`+apiKey+`"}`) },
			[]want{{"api key", ok, "23 characters", ""}, {"ittybit", ok, "", ""}},
		},
		"a secret that is going": {
			func(w *world) { w.toAWS.answer("DescribeSecret", says(200, `{"Name":"media/x","DeletedDate":1}`)) },
			[]want{{"api key", fix, "about to be deleted", "restore-secret --region us-east-1 --secret-id media/x"}, {"webhook secret", fix, "about to be deleted", ""}},
		},
		"a secret that may not be read": {
			func(w *world) { w.toAWS.answer("GetSecretValue", fault("AccessDeniedException")) },
			[]want{{"api key", warn, "cannot be read with these credentials", "secretsmanager:GetSecretValue"}, {"webhook secret", warn, "", "secretsmanager:GetSecretValue"}, {"ittybit", skip, "", ""}},
		},
		"a secret that may not be described": {
			func(w *world) { w.toAWS.answer("DescribeSecret", fault("AccessDeniedException")) },
			[]want{{"api key", ok, "23 characters", ""}, {"api key", warn, "KMS key", "secretsmanager:DescribeSecret"}, {"webhook secret", warn, "KMS key", ""}, {"ittybit", ok, "", ""}},
		},
		"secrets out of order": {
			func(w *world) {
				w.toAWS.answer("DescribeSecret", fault("InternalServiceError"))
				w.toAWS.answer("GetSecretValue", fault("InternalServiceError"))
			},
			[]want{{"api key", fix, "the secret of ittybitApiKeySecret cannot be read: InternalServiceError", "try again"}, {"webhook secret", fix, "InternalServiceError", ""}},
		},
		"a KMS key that is not said": {
			func(w *world) { w.toAWS.answer("DescribeSecret", says(200, `{"Name":"x","KmsKeyId":%q}`, kmsARN)) },
			[]want{{"api key", fix, "and secretKmsKeyArn is not set", "set secretKmsKeyArn"}, {"webhook secret", fix, "ittybitWebhookSecret names is encrypted", ""}},
		},
		"another KMS key": {
			func(w *world) {
				w.set("secretKmsKeyArn", kmsARN)
				w.toAWS.answer("DescribeSecret", says(200, `{"Name":"x","KmsKeyId":"99999999-12ab-34cd-56ef-1234567890ab"}`))
			},
			[]want{{"api key", fix, "secretKmsKeyArn is another", "one such key"}, {"webhook secret", fix, "another", ""}},
		},
		"the KMS key": {
			func(w *world) {
				w.set("secretKmsKeyArn", kmsARN)
				w.toAWS.answer("DescribeSecret", says(200, `{"Name":"x","KmsKeyId":%q}`, strings.TrimPrefix(filepath.Base(kmsARN), "key/")))
			},
			[]want{{"api key", ok, "", ""}, {"webhook secret", ok, "", ""}},
		},
		"an alias of a KMS key": {
			func(w *world) { w.toAWS.answer("DescribeSecret", says(200, `{"Name":"x","KmsKeyId":"alias/media"}`)) },
			[]want{{"api key", ok, "", ""}, {"api key", warn, "alias/media", "describe-key --key-id alias/media"}, {"webhook secret", warn, "alias/media", ""}},
		},
		"AWS's own KMS key": {
			func(w *world) {
				w.toAWS.answer("DescribeSecret", says(200, `{"Name":"x","KmsKeyId":"alias/aws/secretsmanager"}`))
			},
			[]want{{"api key", ok, "", ""}, {"webhook secret", ok, "", ""}},
		},
		"a parameter": {
			func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("DescribeParameters", says(200, `{"Parameters":[{"Name":%q,"KeyId":"alias/aws/ssm"}]}`, parameterName))
			},
			[]want{{"api key", ok, "23 characters", ""}, {"ittybit", ok, "", ""}},
		},
		"a parameter with a KMS key": {
			func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("DescribeParameters", says(200, `{"Parameters":[{"Name":%q,"KeyId":%q}]}`, parameterName, kmsARN))
			},
			[]want{{"api key", fix, "and secretKmsKeyArn is not set", "set secretKmsKeyArn"}, {"ittybit", skip, "", ""}},
		},
		"a parameter that may not be described": {
			func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("DescribeParameters", fault("AccessDeniedException"))
			},
			[]want{{"api key", ok, "23 characters", ""}, {"api key", warn, "KMS key", "ssm:DescribeParameters"}},
		},
		"a parameter that may not be read": {
			func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("GetParameter", fault("AccessDeniedException"))
			},
			[]want{{"api key", warn, "cannot be read with these credentials", "ssm:GetParameter"}},
		},
		"parameters out of order": {
			func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("GetParameter", fault("InternalServiceError"))
			},
			[]want{{"api key", fix, "the parameter of ittybitApiKeyParameter cannot be read: InternalServiceError", "try again"}},
		},
		"no parameter": {
			func(w *world) { w.parameter(apiKey) },
			[]want{{"api key", fix, "ittybitApiKeyParameter names no parameter that is in us-east-1", "put-parameter"}},
		},
		"an open parameter": {
			func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("GetParameter", says(200, `{"Parameter":{"Name":"x","Type":"String","Value":%q}}`, apiKey))
			},
			[]want{{"api key", fix, "is a String", "SecureString"}},
		},
		"no webhook secret": {
			func(w *world) { w.Secrets.SetEmpty(hookName) },
			[]want{{"webhook secret", fix, "has no value", "put-secret-value"}},
		},
		"a wrong webhook secret": {
			func(w *world) { w.Secrets.Set(hookName, `["`+hook+`", ""]`) },
			[]want{{"webhook secret", fix, "entry 2", "put-secret-value"}},
		},
		"two webhook secrets": {
			func(w *world) { w.Secrets.Set(hookName, `["`+hook+`", "`+apiKey+`"]`) },
			[]want{{"webhook secret", ok, "2 webhook secrets", ""}},
		},

		"a wrong key": {
			func(w *world) { w.Ittybit.SetKeys("another") },
			[]want{{"api key", ok, "", ""}, {"ittybit", fix, "HTTP 401", "store the key"}},
		},
		"a bill":           {func(w *world) { w.ittybit(402, `{"kind":"payment_required","message":"pay"}`) }, []want{{"ittybit", fix, "HTTP 402", "bill"}}},
		"a key for less":   {func(w *world) { w.ittybit(403, `{"kind":"forbidden","message":"no"}`) }, []want{{"ittybit", fix, "HTTP 403", "may list"}}},
		"nobody at home":   {func(w *world) { w.ittybit(404, `<html>`) }, []want{{"ittybit", fix, "is not Ittybit's API", "correct ittybitApiUrl"}}},
		"somebody else":    {func(w *world) { w.ittybit(200, `<html>`) }, []want{{"ittybit", fix, "is not Ittybit's API", "correct ittybitApiUrl"}}},
		"another question": {func(w *world) { w.ittybit(400, `{"kind":"invalid_input","message":"no"}`) }, []want{{"ittybit", warn, "HTTP 400", "later"}}},
		"no Ittybit": {
			func(w *world) { w.set("ittybitApiUrl", "http://127.0.0.1:1") },
			[]want{{"ittybit", fix, "no_answer", "network"}},
		},
		"no connection":     {func(w *world) { w.set("connectionId", nil) }, []want{{"connection", warn, "default connection", "connectionId"}}},
		"the example's own": {func(w *world) { w.set("connectionId", exampleConnection) }, []want{{"connection", warn, "conn_abc123", "connectionId"}}},
		"the default bus": {
			func(w *world) { w.set("resultEventBus", nil) },
			[]want{{"event bus", ok, "default bus", ""}},
		},
		"no result events": {
			func(w *world) { w.set("resultEvents", false); w.set("resultEventBus", nil) },
			[]want{{"event bus", skip, "resultEvents", ""}},
		},
		"no such bus": {
			func(w *world) { w.toAWS.answer("DescribeEventBus", fault("ResourceNotFoundException")) },
			[]want{{"event bus", fix, "there is no event bus media-results in us-east-1", "create-event-bus --region us-east-1"}},
		},
		"a bus that may not be seen": {
			func(w *world) { w.toAWS.answer("DescribeEventBus", fault("AccessDeniedException")) },
			[]want{{"event bus", warn, "media-results", "events:DescribeEventBus"}},
		},
		"a bus elsewhere": {
			func(w *world) { w.set("resultEventBus", "arn:aws:events:eu-west-1:000000000000:event-bus/x") },
			[]want{{"event bus", fix, "000000000000 and eu-west-1", "account and region"}},
		},
		"a bus of others": {
			func(w *world) { w.set("resultEventBus", "arn:aws:events:us-east-1:111111111111:event-bus/x") },
			[]want{{"event bus", fix, "account 111111111111", "account and region"}},
		},
		"too much is reserved":   {func(w *world) { w.quota(1000, 149) }, []want{{"concurrency", fix, "149 of the account's 1000", "Service Quotas"}}},
		"just enough is left":    {func(w *world) { w.quota(1000, 150) }, []want{{"concurrency", ok, "1000", ""}}},
		"a young account":        {func(w *world) { w.quota(10, 10) }, []want{{"concurrency", fix, "keeps 10", "Service Quotas"}}},
		"a young account's ease": {func(w *world) { w.quota(10, 10); w.set("reservedConcurrency", 0) }, []want{{"concurrency", warn, "10 concurrent", "Service Quotas"}}},
		"reserved by the stack": {
			func(w *world) {
				w.deploy(nil)
				w.quota(1000, 110)
				w.toAWS.answer("GET /2019-09-30/functions/dispatch/concurrency", says(200, `{"ReservedConcurrentExecutions":50}`))
			},
			[]want{{"concurrency", ok, "160 of them", ""}},
		},
		"what others say": {
			func(w *world) {
				w.toAWS.answer("GET /2016-08-19/account-settings", says(400, `{"__type":"Strange","message":"no\ntoken=%s \u001b[31m"}`, apiKey))
			},
			[]want{{"concurrency", fix, "Lambda GetAccountSettings: Strange: no; token=[redacted] \uFFFD[31m", "try again"}},
		},
		"a quota that may not be seen": {
			func(w *world) { w.toAWS.answer("GET /2016-08-19/account-settings", fault("AccessDeniedException")) },
			[]want{{"concurrency", warn, "may not see", "lambda:GetAccountSettings"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := around(t, run)
			tt.change(w)
			r := w.onAWS("-json")
			all := r.findings(t)
			for _, want := range tt.want {
				if !slices.ContainsFunc(all, func(f finding) bool {
					return f.Check == want.check && f.Status == want.status && strings.Contains(f.Detail, want.detail) && strings.Contains(f.How, want.how)
				}) {
					t.Errorf("no %+v", want)
				}
			}
			toFix := 0
			for _, f := range all {
				// Nothing else is wrong, and all that is can be mended.
				expected := slices.ContainsFunc(tt.want, func(want want) bool { return want.check == f.Check && want.status == f.Status })
				if (f.Status == fix || f.Status == warn) && (!expected || f.How == "") || f.Status == ok && f.How != "" {
					t.Errorf("%+v", f)
				}
				if f.Status == fix {
					toFix++
				}
			}
			if (r.code == operator.ExitOK) != (toFix == 0) || r.code == operator.ExitUsage {
				t.Errorf("exit code %d with %d to fix", r.code, toFix)
			}
			if t.Failed() {
				t.Logf("%s%s", r.stdout, r.stderr)
			}
		})
	}
}

func TestWhatIsNotPreflights(t *testing.T) {
	t.Parallel()
	w := &world{t: t, root: t.TempDir()}
	for _, args := range [][]string{{"dev"}, {"-retry"}} {
		if r := w.run(t.Context(), args...); r.code != operator.ExitUsage || r.stdout != "" {
			t.Errorf("%q: exit code %d, %s%s", args, r.code, r.stdout, r.stderr)
		}
	}
	if r := w.run(t.Context(), "-h"); r.code != operator.ExitOK || !strings.Contains(r.stderr, "-enable-eventbridge") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	if r := w.run(t.Context(), "-local="+filepath.Join(w.root, "none.json")); r.code != operator.ExitFailed || !strings.Contains(r.stderr, "go run ./scripts/local") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
}

// What an interruption cuts short is not a finding.
func TestAnInterruptionFindsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.toAWS.answer("POST /", func(http.ResponseWriter, *http.Request) {
		cancel()
		panic(http.ErrAbortHandler)
	})
	r := w.run(ctx, w.localFlag(), "-json")
	if r.code != operator.ExitFailed || r.stderr != "preflight: interrupted\n" {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	for _, f := range r.findings(t) {
		if f.Status == fix {
			t.Errorf("%+v", f)
		}
	}
}

// A CLI that does not answer is not waited for.
func TestPatienceEnds(t *testing.T) {
	before := patience
	t.Cleanup(func() { patience = before })
	w := newWorld(t)
	w.write("pulumi/whoami.hangs", "")
	patience = 300 * time.Millisecond
	r := w.onAWS("-json")
	if r.code != operator.ExitFailed || !slices.ContainsFunc(r.findings(t), func(f finding) bool {
		return f.Check == "pulumi login" && f.Status == fix && f.Detail == "there was no answer in time"
	}) {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

func TestThrottlingIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey == w.AccessKey && c.Ordinal == 1 {
			return endpoint.Throttled(c)
		}
		return nil
	})
	if r := w.local(); r.code != operator.ExitOK || w.toAWS.count("POST /") < 2 {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

func TestTheExamplesConnectionIsTheStackFiles(t *testing.T) {
	t.Parallel()
	root, err := bundle.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Pulumi.dev.yaml", "Pulumi.prod.yaml"} {
		values, err := stack.ReadFile(filepath.Join(root, name))
		if err != nil || values["connectionId"] != exampleConnection {
			t.Errorf("%s: %v, %v", name, values["connectionId"], err)
		}
	}
}

package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestAPIKey(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"a key to be put in": {
			change: func(w *world) { w.set("ittybitApiKeySecret", nil) },
			want:   []string{`skip api key: eval "$(pulumi stack output apiKeyCommand --stack dev)"`, "skip ittybit: when there is a key"},
		},
		"the key that was put in": {
			change: func(w *world) { w.set("ittybitApiKeySecret", nil); w.deploy(nil) },
			want:   []string{"ok api key: looks like a key (23 characters)", "ok ittybit: takes the key"},
		},
		"the key that was not put in": {
			change: func(w *world) {
				w.set("ittybitApiKeySecret", nil)
				w.deploy(nil)
				w.Secrets.SetEmpty(w.access.Outputs.Settings.APIKeySecret)
			},
			want: []string{`fix api key: has no value → eval "$(pulumi stack output apiKeyCommand --stack dev)"`, "skip ittybit"},
		},
		"no secret": {
			change: func(w *world) { w.set("ittybitApiKeySecret", apiKey) }, // somebody has taken the name for the key
			want:   []string{"fix api key: ittybitApiKeySecret names no secret that is in us-east-1 → create-secret"},
		},
		"an empty secret": {
			change: func(w *world) { w.Secrets.SetEmpty(keyName) },
			want:   []string{"fix api key: has no value → put-secret-value", "skip ittybit"},
		},
		"a secret that is no key": {
			change: func(w *world) { w.Secrets.Set(keyName, apiKey+"\n"+apiKey) },
			want:   []string{"fix api key: holds a space, a line break → put-secret-value", "skip ittybit"},
		},
		"a secret of the console's": {
			change: func(w *world) { w.Secrets.Set(keyName, `{"api_key":"`+apiKey+`"}`) },
			want:   []string{"ok api key: 23 characters", "ok ittybit"},
		},
		"a secret that is going": {
			change: func(w *world) { w.toAWS.answer("DescribeSecret", says(200, `{"Name":"media/x","DeletedDate":1}`)) },
			want:   []string{"fix api key: about to be deleted → restore-secret --region us-east-1 --secret-id media/x", "fix webhook secret: about to be deleted"},
		},
		"a secret that may not be read": {
			change: func(w *world) { w.toAWS.answer("GetSecretValue", fault("AccessDeniedException")) },
			want:   []string{"warn api key: cannot be read with these credentials → secretsmanager:GetSecretValue", "warn webhook secret → secretsmanager:GetSecretValue", "skip ittybit"},
		},
		"a secret that may not be described": {
			change: func(w *world) { w.toAWS.answer("DescribeSecret", fault("AccessDeniedException")) },
			want:   []string{"ok api key: 23 characters", "warn api key: KMS key → secretsmanager:DescribeSecret", "warn webhook secret: KMS key", "ok ittybit"},
		},
		"secrets out of order": {
			change: func(w *world) {
				w.toAWS.answer("DescribeSecret", fault("InternalServiceError"))
				w.toAWS.answer("GetSecretValue", fault("InternalServiceError"))
			},
			want: []string{"fix api key: the secret of ittybitApiKeySecret cannot be read: InternalServiceError → try again", "fix webhook secret: InternalServiceError"},
		},
	})
}

func TestKMSKey(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"a KMS key that is not said": {
			change: func(w *world) { w.toAWS.answer("DescribeSecret", says(200, `{"Name":"x","KmsKeyId":%q}`, kmsARN)) },
			want:   []string{"fix api key: and secretKmsKeyArn is not set → set secretKmsKeyArn", "fix webhook secret: ittybitWebhookSecret names is encrypted"},
		},
		"another KMS key": {
			change: func(w *world) {
				w.set("secretKmsKeyArn", kmsARN)
				w.toAWS.answer("DescribeSecret", says(200, `{"Name":"x","KmsKeyId":"99999999-12ab-34cd-56ef-1234567890ab"}`))
			},
			want: []string{"fix api key: secretKmsKeyArn is another → one such key", "fix webhook secret: another"},
		},
		"the KMS key": {
			change: func(w *world) {
				w.set("secretKmsKeyArn", kmsARN)
				w.toAWS.answer("DescribeSecret", says(200, `{"Name":"x","KmsKeyId":%q}`, strings.TrimPrefix(filepath.Base(kmsARN), "key/")))
			},
			want: []string{"ok api key", "ok webhook secret"},
		},
		"an alias of a KMS key": {
			change: func(w *world) { w.toAWS.answer("DescribeSecret", says(200, `{"Name":"x","KmsKeyId":"alias/media"}`)) },
			want:   []string{"ok api key", "warn api key: alias/media → describe-key --key-id alias/media", "warn webhook secret: alias/media"},
		},
		"AWS's own KMS key": {
			change: func(w *world) {
				w.toAWS.answer("DescribeSecret", says(200, `{"Name":"x","KmsKeyId":"alias/aws/secretsmanager"}`))
			},
			want: []string{"ok api key", "ok webhook secret"},
		},
	})
}

func TestAPIKeyParameter(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"a parameter": {
			change: func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("DescribeParameters", says(200, `{"Parameters":[{"Name":%q,"KeyId":"alias/aws/ssm"}]}`, parameterName))
			},
			want: []string{"ok api key: 23 characters", "ok ittybit"},
		},
		"a parameter with a KMS key": {
			change: func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("DescribeParameters", says(200, `{"Parameters":[{"Name":%q,"KeyId":%q}]}`, parameterName, kmsARN))
			},
			want: []string{"fix api key: and secretKmsKeyArn is not set → set secretKmsKeyArn", "skip ittybit"},
		},
		"a parameter that may not be described": {
			change: func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("DescribeParameters", fault("AccessDeniedException"))
			},
			want: []string{"ok api key: 23 characters", "warn api key: KMS key → ssm:DescribeParameters"},
		},
		"a parameter that may not be read": {
			change: func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("GetParameter", fault("AccessDeniedException"))
			},
			want: []string{"warn api key: cannot be read with these credentials → ssm:GetParameter"},
		},
		"parameters out of order": {
			change: func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("GetParameter", fault("InternalServiceError"))
			},
			want: []string{"fix api key: the parameter of ittybitApiKeyParameter cannot be read: InternalServiceError → try again"},
		},
		"no parameter": {
			change: func(w *world) { w.parameter(apiKey) },
			want:   []string{"fix api key: ittybitApiKeyParameter names no parameter that is in us-east-1 → put-parameter"},
		},
		"an open parameter": {
			change: func(w *world) {
				w.parameter(parameterName)
				w.toAWS.answer("GetParameter", says(200, `{"Parameter":{"Name":"x","Type":"String","Value":%q}}`, apiKey))
			},
			want: []string{"fix api key: is a String → SecureString"},
		},
	})
}

func TestWebhookSecret(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"no webhook secret": {
			change: func(w *world) { w.Secrets.SetEmpty(hookName) },
			want:   []string{"fix webhook secret: has no value → put-secret-value"},
		},
		"a wrong webhook secret": {
			change: func(w *world) { w.Secrets.Set(hookName, `["`+hook+`", ""]`) },
			want:   []string{"fix webhook secret: entry 2 → put-secret-value"},
		},
		"two webhook secrets": {
			change: func(w *world) { w.Secrets.Set(hookName, `["`+hook+`", "`+apiKey+`"]`) },
			want:   []string{"ok webhook secret: 2 webhook secrets"},
		},
	})
}

package main

import (
	"testing"

	"ittybit-media/infra/stack"
)

func TestStackFile(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"no stack file": {
			change: func(w *world) { w.values = nil; w.write("Pulumi.prod.yaml", "config: {}") },
			want: []string{
				"fix stack file: there are Pulumi.prod.yaml → README.md",
				"skip region: cannot be read", "skip bucket: cannot be read", "skip api key: cannot be read", "skip concurrency: cannot be read",
			},
		},
		"no YAML": {
			change: func(w *world) { w.values = nil; w.write("Pulumi.dev.yaml", "config: [") },
			want:   []string{"fix stack file: is not a stack file → README.md"},
		},
		"no credentials, and none needed": {
			change: func(w *world) {
				w.access.AccessKey, w.access.SecretKey = "", ""
				w.set("bucketName", nil)
				w.set("manageNotifications", nil)
				w.set("ittybitApiKeySecret", nil)
				w.set("ittybitWebhookSecret", nil)
				w.set("webhookAuth", nil)
			},
			want: []string{"fix credentials", "skip bucket: up makes", "skip api key: up makes", "skip webhook secret: webhookAuth"},
		},
		"several mistakes": {
			change: func(w *world) {
				w.set("outputPrefix", "out")
				w.set("memoryMb", 64)
				w.set("bucketname", "x")
				w.set("aws:secretKey", map[string]any{"secure": "v1:x"})
				w.set("connectionId", map[string]any{"secure": "v1:x"})
			},
			want: []string{
				"fix stack file: outputPrefix:  → Pulumi.dev.yaml", "fix stack file: memoryMb:  → Pulumi.dev.yaml", "fix stack file: did you mean bucketName? → Pulumi.dev.yaml",
				"fix stack file: aws:secretKey: is encrypted → Pulumi.dev.yaml", "fix stack file: connectionId: is encrypted → Pulumi.dev.yaml",
				"skip connection: connectionId, which is wrong", "ok bucket", "ok ittybit",
			},
		},
		"a mistake in what the others go by": {
			change: func(w *world) { w.set("manageNotifications", "perhaps"); w.set("ittybitApiUrl", "ftp://x") },
			want:   []string{"fix stack file: perhaps", "skip bucket: manageNotifications, which is wrong", "skip notifications: manageNotifications", "skip ittybit: ittybitApiUrl", "ok api key"},
		},
		"a warning": {
			change: func(w *world) { w.set("alarmEmail", "ann@example.com") },
			want:   []string{"ok stack file: Pulumi.dev.yaml", "warn stack file: alarmEmail:  → Pulumi.dev.yaml"},
		},
	})
}

func TestDeployed(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"deployed": {
			change: func(w *world) { w.deploy(nil) },
			want:   []string{"ok deployed: stack dev is in this account and region"},
		},
		"deployed elsewhere": {
			change: func(w *world) { w.deploy(func(o *stack.Outputs) { o.Region = "eu-west-1" }) },
			want:   []string{"fix deployed: up would make everything anew in us-east-1 → set aws:region to eu-west-1"},
		},
		"deployed with another output folder, which a route takes": {
			change: func(w *world) { w.deploy(func(o *stack.Outputs) { o.Settings.OutputPrefix = "old/" }) },
			want:   []string{`warn deployed: outputPrefix changes from old/ to ittybit-output/, and routes[0] takes keys under old/ → "Another output folder" in OPERATIONS.md`},
		},
		"deployed with another output folder, which no route takes": {
			change: func(w *world) {
				job := map[string]any{"name": "v", "kind": "video"}
				w.set("routes", []any{map[string]any{"prefix": "uploads/", "jobs": []any{job}}})
				w.deploy(func(o *stack.Outputs) { o.Settings.OutputPrefix = "old/" })
			},
			want: []string{"ok deployed: stack dev is in this account and region"},
		},
		"deployed by others": {
			change: func(w *world) {
				w.deploy(func(o *stack.Outputs) { o.RetryQueueURL = "https://sqs.us-east-1.amazonaws.com/111111111111/retry" })
			},
			want: []string{"fix deployed: account 111111111111; these credentials are for 000000000000 → AWS_PROFILE"},
		},
		"deployed, and locked": {
			change: func(w *world) { w.write("pulumi/outputs.err", "error: passphrase must be set\n") },
			want:   []string{"warn deployed: PULUMI_CONFIG_PASSPHRASE → up"},
		},
		"deployed, and nobody to ask": {
			change: func(w *world) { w.deploy(nil); w.toAWS.answer("POST /", stsFault("ExpiredToken")) },
			want:   []string{"fix credentials: ExpiredToken", "skip deployed: account 000000000000"},
		},
	})
}

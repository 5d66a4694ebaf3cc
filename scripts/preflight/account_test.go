package main

import (
	"net/http"
	"testing"
)

func TestCredentialsAndRegion(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"no credentials": {
			change: func(w *world) { w.access.AccessKey, w.access.SecretKey = "", "" },
			want: []string{
				"fix credentials: no credentials → AWS_PROFILE", "skip region: credentials", "skip bucket: credentials",
				"skip notifications", "skip api key: credentials", "skip webhook secret: credentials", "skip ittybit", "skip concurrency: credentials",
			},
		},
		"credentials that have expired": {
			change: func(w *world) { w.toAWS.answer("POST /", stsFault("ExpiredToken")) },
			want:   []string{"fix credentials: STS GetCallerIdentity: ExpiredToken → aws sso login", "skip bucket"},
		},
		"unknown credentials": {
			change: func(w *world) { w.toAWS.answer("POST /", stsFault("InvalidClientTokenId")) },
			want:   []string{"fix credentials: InvalidClientTokenId → AWS_ACCESS_KEY_ID", "skip region"},
		},
		"a region that is not enabled": {
			change: func(w *world) {
				w.set("aws:region", "me-south-1")
				w.toAWS.answer("POST /", func(rw http.ResponseWriter, r *http.Request) {
					if signedFor(r, "me-south-1") {
						stsFault("InvalidClientTokenId")(rw, r)
						return
					}
					w.toAWS.next.ServeHTTP(rw, r)
				})
			},
			want: []string{"ok credentials: 000000000000", "fix region: in me-south-1 AWS refuses these credentials → enable the region", "skip bucket: region"},
		},
		"a region that there is not": {
			change: func(w *world) {
				w.set("aws:region", "us-east-9")
				w.toAWS.answer("POST /", func(rw http.ResponseWriter, r *http.Request) {
					if signedFor(r, "us-east-9") {
						panic(http.ErrAbortHandler)
					}
					w.toAWS.next.ServeHTTP(rw, r)
				})
			},
			want: []string{"ok credentials: 000000000000", "fix region: AWS cannot be reached in us-east-9 → correct aws:region", "skip bucket: region"},
		},
		"no region": {
			change: func(w *world) { w.set("aws:region", nil) },
			want:   []string{"ok credentials", "fix region: aws:region is not set → pulumi config set aws:region REGION --stack dev", "skip bucket: stack's region"},
		},
	})
}

func TestConcurrency(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"too much is reserved":   {change: func(w *world) { w.quota(1000, 149) }, want: []string{"fix concurrency: 149 of the account's 1000 → Service Quotas"}},
		"just enough is left":    {change: func(w *world) { w.quota(1000, 150) }, want: []string{"ok concurrency: 1000"}},
		"a young account":        {change: func(w *world) { w.quota(10, 10) }, want: []string{"fix concurrency: keeps 10 → Service Quotas"}},
		"a young account's ease": {change: func(w *world) { w.quota(10, 10); w.set("reservedConcurrency", 0) }, want: []string{"warn concurrency: 10 concurrent → Service Quotas"}},
		"reserved by the stack": {
			change: func(w *world) {
				w.deploy(nil)
				w.quota(1000, 110)
				w.toAWS.answer("GET /2019-09-30/functions/dispatch/concurrency", says(200, `{"ReservedConcurrentExecutions":50}`))
			},
			want: []string{"ok concurrency: 160 of them"},
		},
		"what others say": {
			change: func(w *world) {
				w.toAWS.answer("GET /2016-08-19/account-settings", says(400, `{"__type":"Strange","message":"no\ntoken=%s \u001b[31m"}`, apiKey))
			},
			want: []string{"fix concurrency: Lambda GetAccountSettings: Strange: no; token=[redacted] \uFFFD[31m → try again"},
		},
		"a quota that may not be seen": {
			change: func(w *world) { w.toAWS.answer("GET /2016-08-19/account-settings", fault("AccessDeniedException")) },
			want:   []string{"warn concurrency: may not see → lambda:GetAccountSettings"},
		},
	})
}

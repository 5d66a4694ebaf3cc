package main

import (
	"net/http"
	"testing"
)

func TestBucket(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"no bucket": {
			change: func(w *world) { w.set("bucketName", "no-such-bucket") },
			want:   []string{"fix bucket: there is no bucket no-such-bucket → aws s3 mb s3://no-such-bucket --region us-east-1", "skip notifications: when the bucket is right"},
		},
		"a bucket elsewhere": {
			change: func(w *world) { w.bucketIn("eu-central-1", "elsewhere"); w.set("bucketName", "elsewhere") },
			want:   []string{"fix bucket: bucket elsewhere is in eu-central-1, the stack in us-east-1 → set aws:region to eu-central-1"},
		},
		"a bucket of others": {
			change: func(w *world) {
				w.toS3.answer("HEAD /"+w.Bucket, func(rw http.ResponseWriter, r *http.Request) {
					if r.Header.Get("X-Amz-Expected-Bucket-Owner") != "" {
						rw.WriteHeader(http.StatusForbidden)
						return
					}
					w.toS3.next.ServeHTTP(rw, r)
				})
			},
			want: []string{"fix bucket: is another account's → credentials for the bucket's"},
		},
		"a bucket that may not be seen": {
			change: func(w *world) { w.toS3.answer("HEAD /"+w.Bucket, s3Fault(http.StatusForbidden, "")) },
			want:   []string{"fix bucket: may not see it → s3:ListBucket"},
		},
		"an alias": {
			change: func(w *world) {
				w.toS3.answer("HEAD /"+w.Bucket, func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("X-Amz-Access-Point-Alias", "true") })
			},
			want: []string{"fix bucket: alias → own name"},
		},
		"a bucket that S3 says nothing of": {
			change: func(w *world) { w.toS3.answer("HEAD /"+w.Bucket, s3Fault(http.StatusBadRequest, "")) },
			want:   []string{"fix bucket: S3 HeadBucket: BadRequest → try again"},
		},
		"versions that may not be seen": {
			change: func(w *world) { w.toS3.answer("GET ?versioning", s3Fault(http.StatusForbidden, "AccessDenied")) },
			want:   []string{"ok bucket: whether it keeps versions cannot be known: S3 GetBucketVersioning: AccessDenied"},
		},
		"a bucket to be made": {
			change: func(w *world) { w.set("bucketName", nil); w.set("manageNotifications", nil) },
			want:   []string{"skip bucket: up makes a bucket", "skip notifications: up turns EventBridge on"},
		},
	})
}

func TestNotifications(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"up would delete": {
			change: func(w *world) { w.foreign(); w.set("manageNotifications", true) },
			want: []string{
				"fix notifications: topic arn:aws:sns:us-east-1:000000000000:images → manageNotifications to false",
				"fix notifications: queue arn:aws:sqs:us-east-1:000000000000:audit → manageNotifications to false",
				"fix notifications: function arn:aws:lambda:us-east-1:000000000000:function:scan → manageNotifications to false",
			},
		},
		"up would delete nothing": {
			change: func(w *world) { w.set("manageNotifications", true) },
			want:   []string{"ok notifications: no other notifications"},
		},
		"EventBridge is off": {
			change: func(w *world) { w.foreign() },
			want:   []string{"fix notifications: EventBridge is off → go run ./scripts/preflight -stack dev -enable-eventbridge"},
		},
		"notifications that may not be seen": {
			change: func(w *world) { w.toS3.answer("GET ?notification", s3Fault(http.StatusForbidden, "AccessDenied")) },
			want:   []string{"warn notifications: may not see whether EventBridge is on → s3:GetBucketNotification"},
		},
		"notifications that up may not see": {
			change: func(w *world) {
				w.set("manageNotifications", true)
				w.toS3.answer("GET ?notification", s3Fault(http.StatusForbidden, "AccessDenied"))
			},
			want: []string{"fix notifications: what up would delete → s3:GetBucketNotification"},
		},
	})
}

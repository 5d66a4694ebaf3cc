package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/pipeline"
)

const (
	reading = "GET ?notification"
	writing = "PUT ?notification"
)

// did reads what -json printed of -enable-eventbridge.
func (r result) did(t *testing.T) (did enabled) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(r.Stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&did); err != nil || strings.Count(r.Stdout, "\n") != 1 {
		t.Fatalf("%v: %q", err, r.Stdout)
	}
	return did
}

// untouched checks that the bucket has the notifications of others and nothing
// else, and that nobody tried to change it.
func (w *world) untouched() {
	w.t.Helper()
	if has := w.has(); has.EventBridgeConfiguration != nil || !slices.Equal(describe(has), describe(foreign())) || w.toS3.count(writing) > 0 {
		w.t.Errorf("%d writes; the bucket has %s", w.toS3.count(writing), plain(has))
	}
}

// on checks that EventBridge is on, beside what others have.
func (w *world) on() {
	w.t.Helper()
	if has := w.has(); has.EventBridgeConfiguration == nil || !slices.Equal(describe(has), describe(foreign())) {
		w.t.Errorf("the bucket has %s", plain(has))
	}
}

func TestEventBridgeIsTurnedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.foreign()
	w.Put("before.mov", "x")
	if why, ok := w.Has(pipeline.Unmatched, "before.mov"); !ok {
		t.Fatalf("an upload was noticed: %q", why)
	}

	r := w.local("-enable-eventbridge", "-dry-run")
	if r.Code != cli.ExitOK || !strings.Contains(r.Stdout, `"EventBridgeConfiguration":{}`) || !strings.Contains(r.Stdout, "kept: the notification to queue arn:aws:sqs:us-east-1:000000000000:audit") {
		t.Errorf("-dry-run: exit code %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r := w.local("-enable-eventbridge"); r.Code != cli.ExitUsage || !strings.Contains(r.Stderr, "keep 3 other notifications?: there is no terminal") {
		t.Errorf("without a terminal: exit code %d, %s", r.Code, r.Stderr)
	}
	w.untouched()
	if files, _ := filepath.Glob(filepath.Join(w.root, ".build", "*")); len(files) > 0 {
		t.Errorf("nothing was done, and there are %q", files)
	}

	var skip atomic.Value
	w.toS3.answer(writing, func(rw http.ResponseWriter, r *http.Request) {
		skip.Store(r.Header.Get("X-Amz-Skip-Destination-Validation"))
		w.toS3.next.ServeHTTP(rw, r)
	})
	r = w.local("-enable-eventbridge", "-yes", "-json")
	did := r.did(t)
	if r.Code != cli.ExitOK || did.Bucket != w.Bucket || !did.Changed || !strings.Contains(r.Stderr, "about five minutes") {
		t.Errorf("exit code %d, %+v, %s", r.Code, did, r.Stderr)
	}
	if skip.Load() != "true" {
		t.Error("a destination that is broken would be in the way")
	}
	w.on()
	w.wantBackup(did.Backup)

	again := w.local("-enable-eventbridge", "-yes", "-json")
	if did := again.did(t); again.Code != cli.ExitOK || did.Changed || did.Backup != "" || w.toS3.count(writing) != 1 {
		t.Errorf("again: exit code %d, %+v, %d writes", again.Code, did, w.toS3.count(writing))
	}

	w.Put("after.mov", "x")
	w.Until("the upload's rows", func() bool { return w.Succeeded("after.mov") })
}

// wantBackup checks that a file puts back what the bucket had.
func (w *world) wantBackup(file string) {
	w.t.Helper()
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 || filepath.Dir(file) != filepath.Join(w.root, ".build") {
		w.t.Fatalf("%v, %v", info, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	var had types.NotificationConfiguration
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&had); err != nil || had.EventBridgeConfiguration != nil || !slices.Equal(describe(&had), describe(foreign())) || strings.Contains(string(text), "null") {
		w.t.Errorf("%v: %s", err, text)
	}
}

// TestNothingIsDone: what is in the way is said, and the bucket left as it is.
func TestNothingIsDone(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*world)
		code   int
		says   string
	}{
		"up manages the notifications": {func(w *world) { w.set("manageNotifications", true) }, cli.ExitUsage, "say false to keep them"},
		"up makes the bucket":          {func(w *world) { w.set("bucketName", nil); w.set("manageNotifications", nil) }, cli.ExitUsage, "up makes one"},
		"no stack file":                {func(w *world) { w.values = nil }, cli.ExitUsage, "there is no stack file"},
		"a wrong name":                 {func(w *world) { w.set("bucketName", "My_Bucket") }, cli.ExitUsage, `"My_Bucket" is no bucket's name`},
		"no bucket":                    {func(w *world) { w.set("bucketName", "no-such-bucket") }, cli.ExitFailed, "there is no bucket no-such-bucket: correct bucketName"},
		"no reading":                   {func(w *world) { w.toS3.answer(reading, s3Fault(403, "AccessDenied")) }, cli.ExitFailed, "have this action allowed"},
		"no writing": {
			func(w *world) { w.toS3.answer(writing, s3Fault(403, "AccessDenied")) },
			cli.ExitFailed, "nothing was changed: operation error S3: PutBucketNotificationConfiguration",
		},
		"no credentials": {func(w *world) { w.access.AccessKey, w.access.SecretKey = "", "" }, cli.ExitFailed, "there are no AWS credentials"},
		"no place for the backup": {
			func(w *world) { w.write(".build", "a file") },
			cli.ExitFailed, ".build",
		},
		"somebody else is at it": {
			func(w *world) {
				var reads atomic.Int32
				w.toS3.answer(reading, func(rw http.ResponseWriter, r *http.Request) {
					if reads.Add(1) > 1 {
						rw.Header().Set("Content-Type", "application/xml")
						_, _ = rw.Write([]byte(`<NotificationConfiguration><QueueConfiguration><Id>new</Id><Queue>arn:aws:sqs:us-east-1:1:new</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>`))
						return
					}
					w.toS3.next.ServeHTTP(rw, r)
				})
			},
			cli.ExitFailed, "somebody has just changed the notifications",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.foreign()
			tt.change(w)
			r := w.onAWS("-enable-eventbridge", "-yes")
			if r.Code != tt.code || !strings.Contains(r.Stderr, tt.says) {
				t.Errorf("exit code %d, %s%s", r.Code, r.Stdout, r.Stderr)
			}
			if has := w.has(); has.EventBridgeConfiguration != nil || !slices.Equal(describe(has), describe(foreign())) {
				t.Errorf("the bucket has %s", plain(has))
			}
		})
	}
}

// TestAnAnswerIsLost: what was done counts, and not what was heard of it.
func TestAnAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"none":             func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"an error of S3's": s3Fault(http.StatusInternalServerError, "InternalError"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.foreign()
			w.toS3.answer(writing, func(rw http.ResponseWriter, r *http.Request) {
				w.toS3.next.ServeHTTP(httptest.NewRecorder(), r)
				answer(rw, r)
			})
			r := w.local("-enable-eventbridge", "-yes", "-json")
			if did := r.did(t); r.Code != cli.ExitOK || !did.Changed {
				t.Errorf("exit code %d, %+v, %s", r.Code, did, r.Stderr)
			}
			w.on()
		})
	}
}

// TestARequestIsLost: nothing was done, and that is said.
func TestARequestIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.foreign()
	w.toS3.answer(writing, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if r := w.local("-enable-eventbridge", "-yes"); r.Code != cli.ExitFailed || !strings.Contains(r.Stderr, "EventBridge is still off") || !strings.Contains(r.Stderr, "PutBucketNotificationConfiguration") {
		t.Errorf("exit code %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// TestSomebodyElseWritesToo: S3 keeps what is written last, and preflight
// tells.
func TestSomebodyElseWritesToo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		theirs func() *types.NotificationConfiguration
		says   string
	}{
		"without EventBridge": {foreign, "EventBridge is still off"},
		"without the others": {
			func() *types.NotificationConfiguration {
				c := foreign()
				c.QueueConfigurations, c.EventBridgeConfiguration = nil, &types.EventBridgeConfiguration{}
				return c
			},
			"these are gone:\nqueue arn:aws:sqs:us-east-1:000000000000:audit",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.foreign()
			w.toS3.answer(writing, func(rw http.ResponseWriter, r *http.Request) {
				w.toS3.next.ServeHTTP(rw, r)
				w.put(tt.theirs())
			})
			r := w.local("-enable-eventbridge", "-yes")
			if r.Code != cli.ExitFailed || !strings.Contains(r.Stderr, tt.says) || !strings.Contains(r.Stderr, filepath.Join(w.root, ".build", "notifications-")) {
				t.Errorf("exit code %d, %s%s", r.Code, r.Stdout, r.Stderr)
			}
		})
	}
}

// TestS3IsConsistentInTheEnd: a reading after the write may still give what was
// there before it.
func TestS3IsConsistentInTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.foreign()
	old := httptest.NewRecorder()
	var written atomic.Bool
	var late atomic.Int32
	w.toS3.answer(writing, func(rw http.ResponseWriter, r *http.Request) {
		w.toS3.next.ServeHTTP(rw, r)
		written.Store(true)
	})
	w.toS3.answer(reading, func(rw http.ResponseWriter, r *http.Request) {
		if written.Load() && late.Add(1) <= 2 {
			rw.Header().Set("Content-Type", "application/xml")
			_, _ = rw.Write(old.Body.Bytes())
			return
		}
		if !written.Load() && old.Body.Len() == 0 {
			w.toS3.next.ServeHTTP(old, r)
			_, _ = rw.Write(old.Body.Bytes())
			return
		}
		w.toS3.next.ServeHTTP(rw, r)
	})
	if r := w.local("-enable-eventbridge", "-yes"); r.Code != cli.ExitOK || late.Load() != 3 {
		t.Errorf("exit code %d after %d readings, %s%s", r.Code, late.Load(), r.Stdout, r.Stderr)
	}
	w.on()
}

// TestInterruptions: before the write nothing is done, from then on everything.
func TestInterruptions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		interrupt func(w *world, cancel func())
		code      int
	}{
		"while it reads": {
			func(w *world, cancel func()) {
				w.toS3.answer(reading, func(http.ResponseWriter, *http.Request) {
					cancel()
					panic(http.ErrAbortHandler)
				})
			},
			cli.ExitFailed,
		},
		"before it writes": {
			func(w *world, cancel func()) {
				w.heard = func(text string) {
					if strings.Contains(text, "is kept in") {
						cancel()
					}
				}
			},
			cli.ExitFailed,
		},
		"while it writes": {
			func(w *world, cancel func()) {
				w.toS3.answer(writing, func(rw http.ResponseWriter, r *http.Request) {
					cancel()
					w.toS3.next.ServeHTTP(rw, r)
				})
			},
			cli.ExitOK,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.foreign()
			ctx, cancel := context.WithCancel(t.Context())
			tt.interrupt(w, cancel)
			r := w.run(ctx, w.localFlag(), "-enable-eventbridge", "-yes")
			if r.Code != tt.code {
				t.Errorf("exit code %d, %s%s", r.Code, r.Stdout, r.Stderr)
			}
			if tt.code == cli.ExitOK {
				w.on()
				return
			}
			w.untouched()
			w.toS3.answer(reading, nil)
			if r := w.local("-enable-eventbridge", "-yes"); r.Code != cli.ExitOK {
				t.Errorf("again: exit code %d, %s%s", r.Code, r.Stdout, r.Stderr)
			}
			w.on()
		})
	}
}

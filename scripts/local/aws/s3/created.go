package s3

import (
	"context"
	"net/http"
	"time"

	"github.com/rclone/gofakes3"
)

// The reasons of S3's "Object Created" event (Amazon S3 User Guide,
// "EventBridge event message structure").
const (
	ReasonPut       = "PutObject"
	ReasonPost      = "POST Object"
	ReasonCopy      = "CopyObject"
	ReasonMultipart = "CompleteMultipartUpload"
)

// Created describes an object that has come into being.
type Created struct {
	Bucket, Key string
	// Size is in bytes.
	Size int64
	// ETag has no quotes.
	ETag string
	// VersionID is empty unless the store is versioned.
	VersionID string
	// Sequencer is upper-case hex of constant length; it grows with every
	// creation.
	Sequencer string
	// Reason is one of the Reason constants.
	Reason string
	// Time is when the object became visible.
	Time time.Time
	// EventBridge says that the bucket's notification configuration sends the
	// event to EventBridge.
	EventBridge bool
}

// requestInfo is what the backend has to know of a request beyond the arguments
// that gofakes3 hands it.
type requestInfo struct {
	reason  string
	version gofakes3.VersionID
	deletes []gofakes3.ObjectID // of DeleteObjects, in the request's order
}

type requestInfoKey struct{}

func withRequestInfo(ctx context.Context, info requestInfo) context.Context {
	return context.WithValue(ctx, requestInfoKey{}, info)
}

func infoFrom(ctx context.Context) requestInfo {
	info, _ := ctx.Value(requestInfoKey{}).(requestInfo)
	return info
}

// reasonOf tells a browser's form upload from a plain one; gofakes3 calls the
// same backend method for both.
func reasonOf(r *http.Request) string {
	if r.Method == http.MethodPost {
		return ReasonPost
	}
	return ReasonPut
}

package eventbridge

import (
	"crypto/rand"
	"time"
)

// Object is what S3's event tells of a created object.
type Object struct {
	Account, Region string // of the bucket
	Bucket, Key     string // the key as it is: EventBridge events do not URL-encode it
	Size            int64  // bytes
	ETag            string // without quotes
	VersionID       string // empty in a bucket without versions
	Sequencer       string // hexadecimal; orders the events of one key
	Reason          string // why S3 made it: PutObject, CopyObject, …
	Time            time.Time
	SourceIP        string // of the uploader; empty: 127.0.0.1
}

// detail is that of the real event, which aws-lambda-go has no type for.
type detail struct {
	Version         string       `json:"version"`
	Bucket          bucketDetail `json:"bucket"`
	Object          objectDetail `json:"object"`
	RequestID       string       `json:"request-id"`
	Requester       string       `json:"requester"`
	SourceIPAddress string       `json:"source-ip-address"`
	Reason          string       `json:"reason"`
}

type bucketDetail struct {
	Name string `json:"name"`
}

type objectDetail struct {
	Key       string `json:"key"`
	Size      int64  `json:"size"`
	ETag      string `json:"etag"`
	VersionID string `json:"version-id,omitempty"`
	Sequencer string `json:"sequencer"`
}

// ObjectCreated returns the event that S3 sends to EventBridge for a created
// object. Each call makes an event of its own id.
func ObjectCreated(o Object) []byte {
	if o.SourceIP == "" {
		o.SourceIP = "127.0.0.1"
	}
	return envelope{
		DetailType: "Object Created",
		Source:     "aws.s3",
		Account:    o.Account,
		Region:     o.Region,
		Resources:  []string{"arn:aws:s3:::" + o.Bucket},
		Detail: detail{
			Version: "0",
			Bucket:  bucketDetail{o.Bucket},
			Object:  objectDetail{o.Key, o.Size, o.ETag, o.VersionID, o.Sequencer},
			// S3's request ids are 16 capital letters and digits.
			RequestID:       rand.Text()[:16],
			Requester:       o.Account,
			SourceIPAddress: o.SourceIP,
			Reason:          o.Reason,
		},
	}.event(o.Time)
}

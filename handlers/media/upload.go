package media

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"
)

// UnknownSize is the size of an upload whose event did not say it.
const UnknownSize = -1

// MaxKey is the longest object key, in bytes ("Naming Amazon S3 objects",
// Amazon S3 User Guide).
const MaxKey = 1024

// Upload is one version of one S3 object. Its key is never URL-encoded.
type Upload struct {
	Bucket    string
	Key       string
	Size      int64  // bytes, or [UnknownSize]
	ETag      string // without quotes
	VersionID string // "" in a bucket without versions
	Sequencer string
	Time      time.Time // when S3 made the object
}

// FromS3 takes off what S3 puts around the fields: the quotes of an ETag, and
// the word null for the version of an object that was made while the bucket
// kept no versions.
func (u Upload) FromS3() Upload {
	u.ETag = strings.Trim(u.ETag, `"`)
	if u.VersionID == "null" {
		u.VersionID = ""
	}
	return u
}

// ID identifies the upload among those that the given table knows. The live
// event, the retry queue, a redrive and a backfill of the same object version
// all agree on it, so the sequencer, which no list call returns, is no part of
// it. S3 always tells the ETag; events written by hand without it, as in the
// guide, are all for the same upload of their key.
func (u Upload) ID(table string) string {
	version := u.VersionID
	if version == "" {
		version = u.ETag
	}
	return digest([]byte(strings.Join([]string{table, u.Bucket, u.Key, version}, "\x00")))
}

// URL names the object as Ittybit wants it: the key as it is, without any
// encoding.
func (u Upload) URL() string { return "s3://" + u.Bucket + "/" + u.Key }

// digest is the first 128 bits of the SHA-256 of data as 32 hex digits.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// JobRef names one job of one upload. It is what the callback token carries and
// what Ittybit keeps for us in the job's metadata.
type JobRef struct {
	Bucket  string
	Key     string
	Upload  string // see [Upload.ID]
	Job     string // the job's name in its route
	Attempt int    // 0 unless a person asked for the job again
}

// Names of the metadata that a job carries; the first two are the guide's.
const (
	metaBucket  = "source_bucket"
	metaKey     = "source_key"
	metaJob     = "job"
	metaUpload  = "upload"
	metaAttempt = "attempt"
)

func (r JobRef) metadata() map[string]string {
	return map[string]string{
		metaBucket:  r.Bucket,
		metaKey:     r.Key,
		metaJob:     r.Job,
		metaUpload:  r.Upload,
		metaAttempt: strconv.Itoa(r.Attempt),
	}
}

// Contradicts reports whether some of a job's metadata is there and is not
// r's. Metadata that is missing contradicts nothing.
func (r JobRef) Contradicts(metadata map[string]string) bool {
	for name, want := range r.metadata() {
		if got, ok := metadata[name]; ok && got != want {
			return true
		}
	}
	return false
}

// Owns reports whether all of r's metadata is there: the job is r's.
func (r JobRef) Owns(metadata map[string]string) bool {
	ours := r.metadata()
	maps.DeleteFunc(ours, func(name, value string) bool { return metadata[name] == value })
	return len(ours) == 0
}

// RefFromMetadata reads back what a job's metadata says of it. It fails when
// anything is missing.
func RefFromMetadata(metadata map[string]string) (JobRef, error) {
	attempt, err := strconv.Atoi(metadata[metaAttempt])
	r := JobRef{
		Bucket:  metadata[metaBucket],
		Key:     metadata[metaKey],
		Upload:  metadata[metaUpload],
		Job:     metadata[metaJob],
		Attempt: attempt,
	}
	if err != nil || r.Bucket == "" || r.Key == "" || r.Upload == "" || r.Job == "" {
		return JobRef{}, errors.New("the job's metadata does not name the upload and the job it is for")
	}
	return r, nil
}

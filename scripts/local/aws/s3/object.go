package s3

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rclone/gofakes3"
)

// blob is a file of bytes that never change. Copies of an object share it;
// whoever reads it holds a reference.
type blob struct {
	path string
	refs int // guarded by Store.mu
}

// object is one version of an object, immutable once in the index.
type object struct {
	key  string
	blob *blob
	size int64
	// sum is the MD5 of the bytes, or for a multipart upload the MD5 of the parts'
	// MD5s.
	sum       [md5.Size]byte
	parts     []int64           // the parts' sizes; empty unless multipart
	meta      map[string]string // what the client gave; nil for nothing
	modified  time.Time
	sequencer sequencer
	version   gofakes3.VersionID
	deleted   bool // a delete marker: no blob
}

// sequencer numbers what happens to objects: every number is above every
// earlier one, so also for each key, as in S3.
type sequencer int64

// String is a sequencer as events have it: upper-case hex of constant length.
func (s sequencer) String() string { return fmt.Sprintf("%018X", int64(s)) }

// versionMark begins the ids of versions.
const versionMark = "v"

// version is the id of the version that was made with s.
func (s sequencer) version() gofakes3.VersionID {
	return gofakes3.VersionID(versionMark + strconv.FormatInt(int64(s), 36))
}

// etag is S3's, without quotes: the MD5, followed by the number of parts of a
// multipart upload.
func (o *object) etag() string {
	if len(o.parts) == 0 {
		return hex.EncodeToString(o.sum[:])
	}
	return fmt.Sprintf("%x-%d", o.sum, len(o.parts))
}

// hash is the etag as gofakes3 takes it: bytes that it prints in hex. It has no
// notation for "-N", so the number of parts rides along as two more bytes; the
// handler translates both ways.
func (o *object) hash() []byte {
	hash := slices.Clone(o.sum[:])
	if n := len(o.parts); n > 0 {
		hash = binary.BigEndian.AppendUint16(hash, uint16(n)) // S3 allows 10,000 parts
	}
	return hash
}

// metadata is what the client gave, completed: S3 has a default type, and one
// modification time in all its answers.
func (o *object) metadata() map[string]string {
	meta := map[string]string{"Content-Type": "binary/octet-stream"}
	maps.Copy(meta, o.meta)
	meta["Last-Modified"] = o.modified.UTC().Format(http.TimeFormat)
	return meta
}

// bucket holds the versions of each key, oldest first, and the keys in the
// order of their bytes. A key without versions is in neither.
type bucket struct {
	Bucket
	suspended     bool // no longer versioned
	created       time.Time
	notifications notifications
	keys          []string
	versions      map[string][]*object
}

func newBucket(b Bucket, created time.Time) *bucket {
	made := &bucket{Bucket: b, created: created, versions: map[string][]*object{}}
	made.notifications.setEventBridge(b.EventBridge)
	return made
}

// current is the newest version of a key, nil if there is none or the key was
// deleted.
func (b *bucket) current(key string) *object {
	versions := b.versions[key]
	if len(versions) == 0 || versions[len(versions)-1].deleted {
		return nil
	}
	return versions[len(versions)-1]
}

// set makes versions the versions of key.
func (b *bucket) set(key string, versions []*object) {
	at, known := slices.BinarySearch(b.keys, key)
	switch {
	case len(versions) == 0:
		delete(b.versions, key)
		if known {
			b.keys = slices.Delete(b.keys, at, at+1)
		}
		return
	case !known:
		b.keys = slices.Insert(b.keys, at, strings.Clone(key))
	}
	b.versions[key] = versions
}

package s3

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rclone/gofakes3"
)

// blob is a file of bytes that never change. Copies of an object share it; whoever reads it holds a reference.
type blob struct {
	path string
	refs int // guarded by Store.mu
}

// object is one version of an object, immutable once in the index.
type object struct {
	key  string
	blob *blob
	size int64
	// sum is the MD5 of the bytes, or for a multipart upload the MD5 of the parts' MD5s.
	sum       [md5.Size]byte
	parts     []int64 // the parts' sizes; empty unless multipart
	meta      map[string]string
	modified  time.Time
	sequencer string
	version   gofakes3.VersionID
	deleted   bool // a delete marker: no blob
}

// etag is S3's, without quotes: the MD5, followed by the number of parts of a multipart upload.
func (o *object) etag() string {
	if len(o.parts) == 0 {
		return hex.EncodeToString(o.sum[:])
	}
	return fmt.Sprintf("%x-%d", o.sum, len(o.parts))
}

// hash is the etag as gofakes3 takes it: bytes that it prints in hex. It has no notation for "-N", so the number of
// parts rides along as two more bytes; the handler translates both ways.
func (o *object) hash() []byte {
	hash := slices.Clone(o.sum[:])
	if n := len(o.parts); n > 0 {
		hash = binary.BigEndian.AppendUint16(hash, uint16(n)) // S3 allows 10,000 parts
	}
	return hash
}

// metadata completes what the client gave: S3 has a default type, and one modification time in all its answers.
func metadata(given map[string]string, modified time.Time) map[string]string {
	meta := map[string]string{"Content-Type": "binary/octet-stream"}
	maps.Copy(meta, given)
	meta["Last-Modified"] = modified.UTC().Format(http.TimeFormat)
	return meta
}

// bucket holds the versions of each key, oldest first, and the keys in the order of their bytes. A key without
// versions is in neither.
type bucket struct {
	name     string
	created  time.Time
	keys     []string
	versions map[string][]*object
}

func newBucket(name string, created time.Time) *bucket {
	return &bucket{name: name, created: created, versions: map[string][]*object{}}
}

// current is the newest version of a key, nil if there is none or the key was deleted.
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

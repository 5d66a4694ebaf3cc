package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/rclone/gofakes3"
)

// ErrNotFound is returned by [Store.Open] for an object or a bucket that is not
// there.
var ErrNotFound = errors.New("no such object")

// Options configure a [Store].
type Options struct {
	// Dir is an existing folder; the store works in a fresh folder inside it.
	// Empty: the system's temporary folder.
	Dir string
	// AccessKey and SecretKey are the one pair of credentials that requests
	// must be signed with. Both are required.
	AccessKey, SecretKey string
	// Buckets exist from the start. Others must be created explicitly: a
	// request to an unknown bucket is refused.
	Buckets []Bucket
	// Now is the time that objects and buckets are made at; nil is the wall
	// clock. Signatures are checked by the wall clock all the same.
	Now func() time.Time
	// OnCreated is called once for every object created, when a read already
	// finds it and before the client has its answer. Calls for different
	// requests are concurrent. Deletions are not reported.
	OnCreated func(Created)
}

// Bucket describes a bucket.
type Bucket struct {
	Name string
	// Region, if not empty, is the bucket's alone: a request that is signed for
	// another is redirected. The region of other buckets is us-east-1, and
	// requests may be signed for any.
	Region string
	// Versioned keeps every version of an object and gives each a version id.
	// Through the API it can be turned on and suspended.
	Versioned bool
	// EventBridge has the bucket send its events to EventBridge; see [Created].
	// Its notification configuration, which the API gives and takes, begins
	// with that.
	EventBridge bool
}

// Store is an S3 endpoint. Its methods may be called concurrently.
type Store struct {
	root      string
	onCreated func(Created)
	now       func() time.Time
	handler   http.Handler

	// mu guards everything below and every blob's reference count. It is never
	// held while bytes are read or written.
	mu      sync.Mutex
	buckets map[string]*bucket
	uploads map[gofakes3.UploadID]*upload
	latest  sequencer
	// intercept is nil for none.
	intercept func(*http.Request) *Fault
}

// New makes an empty store with the buckets of o. Close it to remove its files.
func New(o Options) (*Store, error) {
	if o.AccessKey == "" || o.SecretKey == "" {
		return nil, errors.New("s3: Options.AccessKey and Options.SecretKey are both required")
	}
	if o.OnCreated == nil {
		o.OnCreated = func(Created) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	root, err := os.MkdirTemp(o.Dir, "s3-")
	if err != nil {
		return nil, fmt.Errorf("s3: make a folder for object bytes: %w", err)
	}
	s := &Store{
		root:      root,
		onCreated: o.OnCreated,
		now:       o.Now,
		buckets:   map[string]*bucket{},
		uploads:   map[gofakes3.UploadID]*upload{},
	}
	for _, b := range o.Buckets {
		if err := s.CreateBucket(b); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	s.handler = newHandler(s, o)
	return s, nil
}

// Handler serves the S3 API, path-style. Mount it as a server's handler, not
// under an http.ServeMux: a mux redirects paths that contain `//` or `..`, and
// object keys may.
func (s *Store) Handler() http.Handler { return s.handler }

// Close removes every object's bytes. Requests that arrive later fail.
func (s *Store) Close() error {
	s.mu.Lock()
	clear(s.buckets)
	clear(s.uploads)
	s.mu.Unlock()
	return os.RemoveAll(s.root)
}

// CreateBucket makes an empty bucket. It fails if the name is not one S3 allows
// or is taken.
func (s *Store) CreateBucket(b Bucket) error {
	if err := gofakes3.ValidateBucketName(b.Name); err != nil {
		return fmt.Errorf("s3: bucket %q: %w", b.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[b.Name] != nil {
		return fmt.Errorf("s3: bucket %q: %w", b.Name, gofakes3.ResourceError(gofakes3.ErrBucketAlreadyExists, b.Name))
	}
	s.buckets[b.Name] = newBucket(b, s.now())
	return nil
}

// SetEventBridge turns a bucket's events to EventBridge on or off, and leaves
// the rest of its notification configuration. The error is of a bucket that is
// not there.
func (s *Store) SetEventBridge(bucketName string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	bkt, err := s.bucket(bucketName)
	if err != nil {
		return fmt.Errorf("s3: bucket %q: %w", bucketName, err)
	}
	bkt.notifications.setEventBridge(on)
	return nil
}

// PutFile stores a copy of the file at path as bucket/key, and reports it as a
// PutObject.
func (s *Store) PutFile(ctx context.Context, bucketName, key, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("s3: put %s: %w", path, err)
	}
	defer file.Close()
	return s.Put(ctx, bucketName, key, file)
}

// Put stores what it reads as bucket/key, and reports it as a PutObject.
func (s *Store) Put(ctx context.Context, bucketName, key string, body io.Reader) error {
	if _, err := s.put(ctx, bucketName, key, nil, body, -1, ReasonPut); err != nil {
		return fmt.Errorf("s3: put s3://%s/%s: %w", bucketName, key, err)
	}
	return nil
}

// Open gives the path of a file with the object's current bytes, for readers in
// this process; they must not change it. The file keeps its content, whatever
// happens to the object, until release is called (calling it again does
// nothing) or the store is closed. The error is [ErrNotFound] if there is no
// such object.
func (s *Store) Open(bucketName, key string) (path string, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	obj, err := s.current(bucketName, key)
	if err != nil {
		return "", nil, fmt.Errorf("s3: open s3://%s/%s: %w", bucketName, key, ErrNotFound)
	}
	obj.blob.refs++
	return obj.blob.path, sync.OnceFunc(func() { s.release(obj.blob) }), nil
}

// release gives up one reference to a blob and removes the file with the last
// one.
func (s *Store) release(b *blob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked(b)
}

func (s *Store) releaseLocked(b *blob) {
	if b == nil {
		return
	}
	if b.refs--; b.refs == 0 {
		discard(b.path)
	}
}

// discard removes a file that nobody can reach any more. One that stays behind
// goes with the folder.
func discard(path string) { _ = os.Remove(path) }

// newFile makes an empty file under a name that says nothing about the key.
func (s *Store) newFile() (*os.File, error) {
	return os.CreateTemp(s.root, "o-")
}

// nextSequencer gives the next number; the caller holds mu.
func (s *Store) nextSequencer(now time.Time) sequencer {
	s.latest = max(s.latest+1, sequencer(now.UnixNano()))
	return s.latest
}

package s3

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/rclone/gofakes3"
)

// backend is the store as gofakes3 sees it. It is a type of its own so that the
// store's methods stay few.
//
// Errors that are gofakes3's must reach it unwrapped: it looks at their type.
type backend struct{ *Store }

var (
	_ gofakes3.Backend          = backend{}
	_ gofakes3.MultipartBackend = backend{}
	_ gofakes3.VersionedBackend = backend{}
)

func (b backend) ListBuckets(context.Context) ([]gofakes3.BucketInfo, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	infos := make([]gofakes3.BucketInfo, 0, len(b.buckets))
	for _, bkt := range b.buckets {
		infos = append(infos, gofakes3.BucketInfo{Name: bkt.Name, CreationDate: gofakes3.NewContentTime(bkt.created)})
	}
	return infos, nil
}

func (b backend) BucketExists(_ context.Context, name string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buckets[name] != nil, nil
}

func (b backend) CreateBucket(_ context.Context, name string) error {
	err := b.Store.CreateBucket(Bucket{Name: name})
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func (b backend) DeleteBucket(_ context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	bkt, err := b.bucket(name)
	if err != nil {
		return err
	}
	if len(bkt.keys) > 0 {
		return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, name)
	}
	delete(b.buckets, name)
	return nil
}

func (b backend) HeadObject(ctx context.Context, bucketName, key string) (*gofakes3.Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// gofakes3 forgets the version that a HEAD request names.
	if v := infoFrom(ctx).version; v != "" {
		return b.headVersion(bucketName, key, v)
	}
	obj, err := b.current(bucketName, key)
	if err != nil {
		return nil, err
	}
	return describe(obj), nil
}

func (b backend) GetObject(_ context.Context, bucketName, key string, rng *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	b.mu.Lock()
	obj, err := b.current(bucketName, key)
	if err == nil {
		obj.blob.refs++
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return b.read(obj, rng)
}

func (b backend) PutObject(ctx context.Context, bucketName, key string, meta map[string]string, body io.Reader, size int64) (gofakes3.PutObjectResult, error) {
	obj, err := b.put(ctx, bucketName, key, meta, body, size, infoFrom(ctx).reason)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	return gofakes3.PutObjectResult{VersionID: obj.version}, nil
}

func (b backend) CopyObject(ctx context.Context, srcBucket, srcKey, dstBucket, dstKey string, meta map[string]string) (gofakes3.CopyObjectResult, error) {
	b.mu.Lock()
	src, err := b.current(srcBucket, srcKey)
	if err == nil {
		src.blob.refs++
	}
	b.mu.Unlock()
	if err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	staged := staged{blob: src.blob, size: src.size, sum: src.sum}
	if len(src.parts) > 0 {
		// A copy is one piece, whatever its source was, and its ETag says so.
		if staged.sum, err = sumFile(src.blob.path); err != nil {
			b.release(src.blob)
			return gofakes3.CopyObjectResult{}, err
		}
	}
	obj, err := b.commit(ctx, dstBucket, dstKey, staged, meta, ReasonCopy)
	if err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	return gofakes3.CopyObjectResult{ETag: `"` + obj.etag() + `"`, LastModified: gofakes3.NewContentTime(obj.modified)}, nil
}

func (b backend) DeleteObject(_ context.Context, bucketName, key string) (gofakes3.ObjectDeleteResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	bkt, err := b.bucket(bucketName)
	if err != nil {
		return gofakes3.ObjectDeleteResult{}, err
	}
	return b.delete(bkt, key), nil
}

func (b backend) DeleteMulti(ctx context.Context, bucketName string, keys ...string) (result gofakes3.MultiDeleteResult, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	bkt, err := b.bucket(bucketName)
	if err != nil {
		return result, err
	}
	named := infoFrom(ctx).deletes
	for _, key := range keys {
		// gofakes3 forgets the versions that the request names; some of its
		// keys may be left out here.
		id := gofakes3.ObjectID{Key: key}
		if at := slices.IndexFunc(named, func(o gofakes3.ObjectID) bool { return o.Key == key }); at >= 0 {
			id.VersionID, named = named[at].VersionID, named[at+1:]
		}
		if id.VersionID == "" || id.VersionID == nullVersion {
			b.delete(bkt, key)
		} else {
			b.deleteVersion(bkt, key, gofakes3.VersionID(id.VersionID))
		}
		result.Deleted = append(result.Deleted, id)
	}
	return result, nil
}

// delete removes the key, or hides it behind a marker if versions are kept. The
// caller holds mu.
func (b backend) delete(bkt *bucket, key string) gofakes3.ObjectDeleteResult {
	if !bkt.Versioned && !bkt.suspended {
		bkt.set(key, b.withoutNull(bkt, key))
		return gofakes3.ObjectDeleteResult{}
	}
	now := b.now()
	marker := &object{key: key, modified: now, sequencer: b.nextSequencer(now), deleted: true}
	b.add(bkt, marker)
	return gofakes3.ObjectDeleteResult{IsDeleteMarker: true, VersionID: marker.version}
}

// add makes obj the newest version of its key: a version with an id of its own,
// or while the bucket keeps none, the one without. The caller holds mu.
func (s *Store) add(bkt *bucket, obj *object) {
	versions := bkt.versions[obj.key]
	if bkt.Versioned {
		obj.version = obj.sequencer.version()
	} else {
		versions = s.withoutNull(bkt, obj.key)
	}
	bkt.set(obj.key, append(versions, obj))
}

// withoutNull gives up the version of a key that has no id, and returns the
// others. The caller holds mu.
func (s *Store) withoutNull(bkt *bucket, key string) []*object {
	var others []*object
	for _, obj := range bkt.versions[key] {
		if obj.version == "" {
			s.releaseLocked(obj.blob)
		} else {
			others = append(others, obj)
		}
	}
	return others
}

// bucket finds a bucket; the caller holds mu.
func (s *Store) bucket(name string) (*bucket, error) {
	bkt := s.buckets[name]
	if bkt == nil {
		return nil, gofakes3.BucketNotFound(name)
	}
	return bkt, nil
}

// current finds an object; the caller holds mu.
func (s *Store) current(bucketName, key string) (*object, error) {
	bkt, err := s.bucket(bucketName)
	if err != nil {
		return nil, err
	}
	obj := bkt.current(key)
	if obj == nil {
		return nil, gofakes3.KeyNotFound(key)
	}
	return obj, nil
}

// describe is an object without its bytes.
func describe(obj *object) *gofakes3.Object {
	return &gofakes3.Object{
		Name:           obj.key,
		Metadata:       obj.metadata(),
		Size:           obj.size,
		Hash:           obj.hash(),
		PartSizes:      obj.parts,
		VersionID:      obj.version,
		IsDeleteMarker: obj.deleted,
		Contents:       io.NopCloser(eof{}),
	}
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// read opens an object's bytes. It takes over the caller's reference to the
// blob.
func (s *Store) read(obj *object, request *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	rng, err := request.Range(obj.size)
	if err != nil {
		s.release(obj.blob)
		return nil, err
	}
	file, err := os.Open(obj.blob.path)
	if err != nil {
		s.release(obj.blob)
		return nil, err
	}
	content := &contents{Reader: file, file: file, done: func() { s.release(obj.blob) }}
	if rng != nil {
		content.Reader = io.NewSectionReader(file, rng.Start, rng.Length)
	}
	result := describe(obj)
	result.Range = rng
	result.Contents = content
	return result, nil
}

// contents reads a blob and gives up its reference when closed.
type contents struct {
	io.Reader
	file *os.File
	done func()
}

func (c *contents) Close() error {
	c.done()
	return c.file.Close()
}

// staged are bytes on disk that no key names yet. Who holds one owns one
// reference to its blob.
type staged struct {
	blob  *blob
	size  int64
	sum   [md5.Size]byte
	parts []int64
}

// put stores body as a new object. A negative size means that it is not known.
func (s *Store) put(ctx context.Context, bucketName, key string, meta map[string]string, body io.Reader, size int64, reason string) (*object, error) {
	staged, err := s.stage(body, size)
	if err != nil {
		return nil, err
	}
	return s.commit(ctx, bucketName, key, staged, meta, reason)
}

// stage writes body to a file of its own, a buffer at a time.
func (s *Store) stage(body io.Reader, size int64) (staged, error) {
	file, err := s.newFile()
	if err != nil {
		return staged{}, err
	}
	sum := md5.New()
	n, err := io.Copy(io.MultiWriter(file, sum), body)
	if closing := file.Close(); err == nil {
		err = closing
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || (err == nil && size >= 0 && n != size) {
		err = gofakes3.ErrIncompleteBody
	}
	if err != nil {
		discard(file.Name())
		return staged{}, err
	}
	return staged{blob: &blob{path: file.Name(), refs: 1}, size: n, sum: [md5.Size]byte(sum.Sum(nil))}, nil
}

// commit gives staged bytes their name and tells the listener. Changing the
// index is the atomic step: the file is complete by then, so there is nothing
// to rename, and readers of the old version hold its file. Without success the
// staged bytes are given up.
func (s *Store) commit(ctx context.Context, bucketName, key string, from staged, meta map[string]string, reason string) (*object, error) {
	now := s.now()
	obj := &object{
		key: key, blob: from.blob, size: from.size, sum: from.sum, parts: from.parts,
		meta: meta, modified: now,
	}
	eventBridge, err := s.index(ctx, bucketName, obj)
	if err != nil {
		s.release(from.blob)
		return nil, err
	}
	s.onCreated(Created{
		Bucket: bucketName, Key: key, Size: obj.size, ETag: obj.etag(), VersionID: string(obj.version),
		Sequencer: obj.sequencer.String(), Reason: reason, Time: now,
		EventBridge: eventBridge,
	})
	return obj, nil
}

// index makes obj the current version of its key. It tells whether the bucket
// sends events to EventBridge.
func (s *Store) index(ctx context.Context, bucketName string, obj *object) (eventBridge bool, err error) {
	if err := checkKey(obj.key); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	bkt, err := s.bucket(bucketName)
	if err != nil {
		return false, err
	}
	old := bkt.current(obj.key)
	etag := ""
	if old != nil {
		etag = hex.EncodeToString(old.hash())
	}
	// If-Match and If-None-Match, checked again where nothing can come between.
	if err := gofakes3.CheckWriteConditions(ctx, old != nil, etag); err != nil {
		return false, err
	}
	obj.sequencer = s.nextSequencer(obj.modified)
	s.add(bkt, obj)
	return bkt.notifications.EventBridge != nil, nil
}

// checkKey refuses what S3 refuses (Amazon S3 User Guide, "Naming Amazon S3
// objects"): keys are UTF-8, of at most 1,024 bytes.
func checkKey(key string) error {
	switch {
	case len(key) > gofakes3.KeySizeLimit:
		return gofakes3.ResourceError(gofakes3.ErrKeyTooLong, key)
	case key == "" || !utf8.ValidString(key):
		return gofakes3.ErrorMessage(gofakes3.ErrInvalidURI, "an object key is a sequence of UTF-8 characters")
	}
	return nil
}

// sumFile is the MD5 of a whole file.
func sumFile(path string) (sum [md5.Size]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	hash := md5.New()
	if _, err := io.Copy(hash, file); err != nil {
		return sum, err
	}
	return [md5.Size]byte(hash.Sum(nil)), nil
}

package s3

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/rclone/gofakes3"
)

// upload is a multipart upload in progress, each part a file. Once completed it
// remembers the result: gofakes3 may call CompleteMultipartUpload twice at the
// same moment, and the object must be created once.
type upload struct {
	bucket, key string
	meta        map[string]string

	mu      sync.Mutex
	parts   map[int]staged
	result  *object
	aborted bool
}

func (b backend) CreateMultipartUpload(_ context.Context, bucketName, key string, meta map[string]string) (gofakes3.UploadID, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	id := gofakes3.UploadID(rand.Text())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.uploads[id] = &upload{bucket: bucketName, key: key, meta: meta, parts: map[int]staged{}}
	return id, nil
}

func (b backend) UploadPart(_ context.Context, bucketName, key string, id gofakes3.UploadID, number int, size int64, body io.Reader) (string, error) {
	up, err := b.upload(bucketName, key, id)
	if err != nil {
		return "", err
	}
	part, err := b.stage(body, size)
	if err != nil {
		return "", err
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	if up.aborted || up.result != nil {
		b.release(part.blob)
		return "", gofakes3.ErrNoSuchUpload
	}
	if old, again := up.parts[number]; again {
		b.release(old.blob)
	}
	up.parts[number] = part
	return `"` + hex.EncodeToString(part.sum[:]) + `"`, nil
}

func (b backend) CompleteMultipartUpload(ctx context.Context, bucketName, key string, id gofakes3.UploadID, request *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	up, err := b.upload(bucketName, key, id)
	if err != nil {
		return "", "", err
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	if up.aborted {
		return "", "", gofakes3.ErrNoSuchUpload
	}
	if up.result == nil {
		parts, err := up.pick(request.Parts)
		if err != nil {
			return "", "", err
		}
		whole, err := b.join(parts)
		if err != nil {
			return "", "", err
		}
		if up.result, err = b.commit(ctx, bucketName, key, whole, up.meta, ReasonMultipart); err != nil {
			return "", "", err
		}
		b.drop(up)
	}
	return up.result.version, `"` + up.result.etag() + `"`, nil
}

func (b backend) AbortMultipartUpload(_ context.Context, bucketName, key string, id gofakes3.UploadID) error {
	up, err := b.upload(bucketName, key, id)
	if err != nil {
		return err
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	up.aborted = true
	b.drop(up)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.uploads, id)
	return nil
}

func (s *Store) upload(bucketName, key string, id gofakes3.UploadID) (*upload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	up := s.uploads[id]
	if up == nil || up.bucket != bucketName || up.key != key {
		return nil, gofakes3.ErrNoSuchUpload
	}
	return up, nil
}

// drop gives up the parts; the caller holds up.mu.
func (s *Store) drop(up *upload) {
	for _, part := range up.parts {
		s.release(part.blob)
	}
	up.parts = nil
}

// pick finds the parts that the client lists; the caller holds up.mu.
func (up *upload) pick(listed []gofakes3.CompletedPart) ([]staged, error) {
	if len(listed) == 0 {
		return nil, gofakes3.ErrorMessage(gofakes3.ErrMalformedXML, "the request lists no part")
	}
	ascending := slices.IsSortedFunc(listed, func(a, b gofakes3.CompletedPart) int { return a.PartNumber - b.PartNumber })
	parts := make([]staged, 0, len(listed))
	for i, want := range listed {
		if !ascending || (i > 0 && want.PartNumber == listed[i-1].PartNumber) {
			return nil, gofakes3.ErrInvalidPartOrder
		}
		part, uploaded := up.parts[want.PartNumber]
		if !uploaded || strings.Trim(want.ETag, `"`) != hex.EncodeToString(part.sum[:]) {
			return nil, gofakes3.ErrorMessagef(gofakes3.ErrInvalidPart, "part %d was not uploaded, or with another ETag", want.PartNumber)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// join makes one file of the parts. The parts stay as they are, so that a
// failure can be repeated.
func (s *Store) join(parts []staged) (whole staged, err error) {
	file, err := s.newFile()
	if err != nil {
		return staged{}, err
	}
	defer func() {
		if closing := file.Close(); err == nil {
			err = closing
		}
		if err != nil {
			discard(file.Name())
		}
	}()
	sums := md5.New()
	for _, part := range parts {
		if err := appendFile(file, part.blob.path); err != nil {
			return staged{}, err
		}
		sums.Write(part.sum[:])
		whole.size += part.size
		whole.parts = append(whole.parts, part.size)
	}
	whole.sum = [md5.Size]byte(sums.Sum(nil))
	whole.blob = &blob{path: file.Name(), refs: 1}
	return whole, nil
}

func appendFile(to *os.File, path string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = io.Copy(to, from)
	return err
}

package s3

import (
	"slices"

	"github.com/rclone/gofakes3"
)

func (b backend) VersioningConfiguration(bucketName string) (config gofakes3.VersioningConfiguration, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	bkt, err := b.bucket(bucketName)
	if err == nil && (bkt.Versioned || bkt.suspended) {
		config.SetEnabled(bkt.Versioned)
	}
	return config, err
}

// SetVersioningConfiguration turns versioning on, or suspends it: the versions
// that there are stay.
func (b backend) SetVersioningConfiguration(bucketName string, config gofakes3.VersioningConfiguration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	bkt, err := b.bucket(bucketName)
	if err != nil {
		return err
	}
	if config.MFADelete.Enabled() {
		return gofakes3.ErrNotImplemented
	}
	bkt.Versioned = config.Enabled()
	bkt.suspended = !bkt.Versioned
	return nil
}

func (b backend) GetObjectVersion(bucketName, key string, version gofakes3.VersionID, rng *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	b.mu.Lock()
	obj, err := b.version(bucketName, key, version)
	if err == nil && !obj.deleted {
		obj.blob.refs++
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if obj.deleted {
		return describe(obj), nil
	}
	return b.read(obj, rng)
}

func (b backend) HeadObjectVersion(bucketName, key string, version gofakes3.VersionID) (*gofakes3.Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.headVersion(bucketName, key, version)
}

func (b backend) DeleteObjectVersion(bucketName, key string, version gofakes3.VersionID) (result gofakes3.ObjectDeleteResult, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	bkt, err := b.bucket(bucketName)
	if err != nil {
		return result, err
	}
	return b.deleteVersion(bkt, key, version), nil
}

// deleteVersion removes a version for good; one that is not there is no error.
// The caller holds mu.
func (s *Store) deleteVersion(bkt *bucket, key string, version gofakes3.VersionID) (result gofakes3.ObjectDeleteResult) {
	versions := bkt.versions[key]
	at := slices.IndexFunc(versions, func(o *object) bool { return o.version == version })
	if at < 0 {
		return result
	}
	obj := versions[at]
	bkt.set(key, slices.Delete(slices.Clone(versions), at, at+1))
	s.releaseLocked(obj.blob)
	return gofakes3.ObjectDeleteResult{IsDeleteMarker: obj.deleted, VersionID: version}
}

// nullVersion is what the version is called that has no id.
const nullVersion = "null"

// ListBucketVersions is never asked: [handler.versions] answers.
func (b backend) ListBucketVersions(string, *gofakes3.Prefix, *gofakes3.ListBucketVersionsPage) (*gofakes3.ListBucketVersionsResult, error) {
	return nil, gofakes3.ErrNotImplemented
}

// version finds a version; the caller holds mu.
func (s *Store) version(bucketName, key string, version gofakes3.VersionID) (*object, error) {
	bkt, err := s.bucket(bucketName)
	if err != nil {
		return nil, err
	}
	for _, obj := range bkt.versions[key] {
		if obj.version == version {
			return obj, nil
		}
	}
	return nil, gofakes3.ErrNoSuchVersion
}

// headVersion describes a version; the caller holds mu.
func (s *Store) headVersion(bucketName, key string, version gofakes3.VersionID) (*gofakes3.Object, error) {
	obj, err := s.version(bucketName, key, version)
	if err != nil {
		return nil, err
	}
	return describe(obj), nil
}

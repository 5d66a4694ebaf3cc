package s3

import (
	"slices"

	"github.com/rclone/gofakes3"
)

func (b backend) VersioningConfiguration(bucketName string) (config gofakes3.VersioningConfiguration, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err = b.bucket(bucketName); err == nil && b.versioned {
		config.SetEnabled(true)
	}
	return config, err
}

// SetVersioningConfiguration accepts what already holds: whether versions are kept is decided by [Options].
func (b backend) SetVersioningConfiguration(bucketName string, config gofakes3.VersioningConfiguration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.bucket(bucketName); err != nil {
		return err
	}
	if config.Enabled() != b.versioned || config.MFADelete.Enabled() {
		return gofakes3.ErrNotImplemented
	}
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
	versions := bkt.versions[key]
	at := slices.IndexFunc(versions, func(o *object) bool { return o.version == version })
	if at < 0 {
		return result, nil
	}
	obj := versions[at]
	bkt.set(key, slices.Delete(slices.Clone(versions), at, at+1))
	b.releaseLocked(obj.blob)
	return gofakes3.ObjectDeleteResult{IsDeleteMarker: obj.deleted, VersionID: version}, nil
}

// ListBucketVersions lists every version in one page: the local run's buckets are small, and no tool of this project
// pages through versions.
func (b backend) ListBucketVersions(bucketName string, prefix *gofakes3.Prefix, page *gofakes3.ListBucketVersionsPage) (*gofakes3.ListBucketVersionsResult, error) {
	if prefix == nil {
		prefix = &gofakes3.Prefix{}
	}
	if page == nil {
		page = &gofakes3.ListBucketVersionsPage{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	bkt, err := b.bucket(bucketName)
	if err != nil {
		return nil, err
	}
	result := gofakes3.NewListBucketVersionsResult(bucketName, prefix, page)
	for key := range bkt.from(prefix.Prefix, page.KeyMarker) {
		if folder := commonPrefix(key, prefix); folder != "" {
			result.AddPrefix(folder)
			continue
		}
		for i, obj := range slices.Backward(bkt.versions[key]) {
			latest := i == len(bkt.versions[key])-1
			modified := gofakes3.NewContentTime(obj.modified)
			if obj.deleted {
				result.Versions = append(result.Versions, &gofakes3.DeleteMarker{Key: key, VersionID: obj.version, IsLatest: latest, LastModified: modified})
				continue
			}
			result.Versions = append(result.Versions, &gofakes3.Version{
				Key: key, VersionID: obj.version, IsLatest: latest, LastModified: modified,
				Size: obj.size, ETag: `"` + obj.etag() + `"`, StorageClass: gofakes3.StorageStandard,
			})
		}
	}
	return result, nil
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

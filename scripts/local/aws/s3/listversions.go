package s3

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	xml "github.com/minio/xxml"
	"github.com/rclone/gofakes3"
)

// maxVersions is how many entries a page of versions has at most, and has if
// nothing else is said (Amazon S3 API Reference, "ListObjectVersions").
const maxVersions = 1000

// versionsPage is what a listing of versions asks for.
type versionsPage struct {
	prefix        string
	keyMarker     string
	versionMarker string    // of keyMarker; empty: the listing goes on with the next key
	below         sequencer // what versionMarker stands for: older versions come next
	most          int
	encoding      string
}

func versionsPageOf(query url.Values) (p versionsPage, err error) {
	p = versionsPage{
		prefix: query.Get("prefix"), encoding: query.Get("encoding-type"),
		keyMarker: query.Get("key-marker"), versionMarker: query.Get("version-id-marker"), most: maxVersions,
	}
	if query.Get("delimiter") != "" {
		return p, gofakes3.ErrNotImplemented
	}
	if text := query.Get("max-keys"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return p, gofakes3.ErrorInvalidArgument("max-keys", text, "Argument max-keys must be an integer between 0 and 2147483647")
		}
		p.most = min(n, maxVersions)
	}
	if p.encoding != "" && p.encoding != "url" {
		return p, gofakes3.ErrorInvalidArgument("encoding-type", p.encoding, "Invalid Encoding Method specified in Request")
	}
	if !query.Has("version-id-marker") {
		return p, nil
	}
	known := true
	if p.versionMarker != nullVersion { // whose time only the bucket knows
		p.below, known = sequencerOf(p.versionMarker)
	}
	switch {
	case p.versionMarker == "":
		return p, gofakes3.ErrorInvalidArgument("version-id-marker", "", "A version-id marker cannot be empty.")
	case p.keyMarker == "":
		return p, gofakes3.ErrorInvalidArgument("version-id-marker", p.versionMarker, "A version-id marker cannot be specified without a key marker.")
	case !known:
		return p, gofakes3.ErrorInvalidArgument("version-id-marker", p.versionMarker, "Invalid version id specified")
	}
	return p, nil
}

// sequencerOf is what a version's id was made of, whether or not there still is
// such a version: a listing goes on behind one that has been deleted since.
func sequencerOf(version string) (sequencer, bool) {
	digits, ok := strings.CutPrefix(version, versionMark)
	n, err := strconv.ParseInt(digits, 36, 64)
	return sequencer(n), ok && err == nil
}

// versionsList is a page of versions (Amazon S3 API Reference,
// "ListObjectVersions").
type versionsList struct {
	XMLName             xml.Name `xml:"ListVersionsResult"`
	Xmlns               string   `xml:"xmlns,attr"`
	Name                string
	Prefix              string
	KeyMarker           string
	VersionIDMarker     string `xml:"VersionIdMarker"`
	NextKeyMarker       string `xml:",omitempty"`
	NextVersionIDMarker string `xml:"NextVersionIdMarker,omitempty"`
	MaxKeys             int
	EncodingType        string `xml:",omitempty"`
	IsTruncated         bool
	Entries             []any // *versionEntry and *markerEntry, in order
}

type versionEntry struct {
	XMLName      xml.Name `xml:"Version"`
	Key          string
	VersionID    string `xml:"VersionId"`
	IsLatest     bool
	LastModified gofakes3.ContentTime
	ETag         string
	Size         int64
	StorageClass gofakes3.StorageClass
}

type markerEntry struct {
	XMLName      xml.Name `xml:"DeleteMarker"`
	Key          string
	VersionID    string `xml:"VersionId"`
	IsLatest     bool
	LastModified gofakes3.ContentTime
}

// versions lists versions. gofakes3 would leave out the encoding of keys.
func (h handler) versions(w http.ResponseWriter, r *http.Request, bucketName string) error {
	page, err := versionsPageOf(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := h.store.listVersions(bucketName, page)
	if err != nil {
		return err
	}
	writeXML(w, http.StatusOK, list)
	return nil
}

// listVersions lists keys in the order of their bytes, and the versions of
// each, the newest first.
func (s *Store) listVersions(bucketName string, p versionsPage) (*versionsList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bkt, err := s.bucket(bucketName)
	if err != nil {
		return nil, err
	}
	if p.versionMarker == nullVersion {
		for _, obj := range bkt.versions[p.keyMarker] {
			if obj.version == "" {
				p.below = obj.sequencer
			}
		}
	}
	list := &versionsList{
		Xmlns: namespace, Name: bucketName, Prefix: p.encode(p.prefix), MaxKeys: p.most, EncodingType: p.encoding,
		KeyMarker: p.encode(p.keyMarker), VersionIDMarker: p.versionMarker,
	}
	if p.most > 0 {
		(&versionsListing{versionsPage: p, list: list}).fill(bkt)
	}
	return list, nil
}

// versionsListing is a page of versions in the making.
type versionsListing struct {
	versionsPage
	list                 *versionsList
	lastKey, lastVersion string // of the latest entry
}

func (l *versionsListing) fill(bkt *bucket) {
	first := after(l.keyMarker)
	if l.versionMarker != "" {
		first = l.keyMarker
	}
	for key := range bkt.from(l.prefix, first) {
		if !l.addVersions(key, bkt.versions[key]) {
			return
		}
	}
}

// full reports whether there is no room for another entry, and notes where the
// next page begins.
func (l *versionsListing) full() bool {
	l.list.IsTruncated = len(l.list.Entries) == l.most
	if l.list.IsTruncated {
		l.list.NextKeyMarker, l.list.NextVersionIDMarker = l.encode(l.lastKey), l.lastVersion
	}
	return l.list.IsTruncated
}

// addVersions adds those of a key; false if there is no room for all.
func (l *versionsListing) addVersions(key string, versions []*object) bool {
	for i, obj := range slices.Backward(versions) {
		if l.versionMarker != "" && key == l.keyMarker && obj.sequencer >= l.below {
			continue
		}
		if l.full() {
			return false
		}
		id, latest, modified := cmp.Or(string(obj.version), nullVersion), i == len(versions)-1, gofakes3.NewContentTime(obj.modified)
		if obj.deleted {
			l.list.Entries = append(l.list.Entries, &markerEntry{Key: l.encode(key), VersionID: id, IsLatest: latest, LastModified: modified})
		} else {
			l.list.Entries = append(l.list.Entries, &versionEntry{
				Key: l.encode(key), VersionID: id, IsLatest: latest, LastModified: modified,
				ETag: `"` + obj.etag() + `"`, Size: obj.size, StorageClass: gofakes3.StorageStandard,
			})
		}
		l.lastKey, l.lastVersion = key, id
	}
	return true
}

// encode is a key as the page shows it.
func (p versionsPage) encode(key string) string {
	if p.encoding != "" {
		return gofakes3.URLEncode(key)
	}
	return key
}

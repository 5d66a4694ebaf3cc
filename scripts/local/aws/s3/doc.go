// Package s3 is an emulator of S3: its REST API on loopback, object bytes on
// disk, and one notification for every object created.
//
// The protocol is github.com/rclone/gofakes3's. The backend is ours because
// that library's own backends hold every object in memory, and an upload can be
// larger than memory. What the library lacks or gets wrong is answered in front
// of it: notification configurations, listings of versions, where a bucket is,
// and which versions DeleteObjects names. What an object is called never
// reaches the file system: bytes live under names made here, and an index in
// memory maps keys to them, so any key S3 accepts is stored exactly.
//
// The store starts empty and keeps nothing after Close. Not imitated: checksums
// of multipart parts and trailing checksums are accepted unread, parts under 5
// MiB are accepted, a copy source's versionId is ignored, GetObjectAttributes
// shows a multipart ETag in the library's spelling, DeleteObjects does not say
// which delete markers it made, and a new notification configuration holds at
// once, not after minutes.
package s3

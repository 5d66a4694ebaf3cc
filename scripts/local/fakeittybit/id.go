package fakeittybit

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// newID is an id as Ittybit's are: a prefix and 128 bits, time first, in 26
// digits of Crockford's base 32. By hand because encoding/base32 aligns bits to
// the left, which would make another format.
func newID(prefix string, now time.Time) string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	high := uint64(now.UnixMilli())<<16 | uint64(binary.BigEndian.Uint16(random[:]))
	low := binary.BigEndian.Uint64(random[8:])
	var id [26]byte
	for i := len(id) - 1; i >= 0; i-- {
		id[i] = digits[low&31]
		low = low>>5 | high<<59
		high >>= 5
	}
	return prefix + "_" + string(id[:])
}

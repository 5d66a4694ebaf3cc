package chaos

import (
	"os"
	"strconv"
	"strings"
)

// memory is the resident memory of a process, in bytes.
type memory struct{ now, peak int64 }

// resident reads it from Linux's /proc; zeros elsewhere, and for a process that
// is gone.
func resident(process string) memory {
	status, err := os.ReadFile("/proc/" + process + "/status")
	if err != nil {
		return memory{}
	}
	value := func(name string) int64 {
		_, rest, _ := strings.Cut(string(status), name+":")
		kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, _ := strconv.ParseInt(kilobytes, 10, 64)
		return n << 10
	}
	return memory{value("VmRSS"), value("VmHWM")}
}

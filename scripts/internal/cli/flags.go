package cli

import (
	"math"
	"time"
)

// Ages is what -older and -newer say of how long ago something began; 0:
// whenever.
type Ages struct{ Older, Newer time.Duration }

// Check refuses what nothing can be.
func (a Ages) Check() error {
	switch {
	case a.Older < 0 || a.Newer < 0:
		return Usagef("-older and -newer are above 0")
	case a.Newer > 0 && a.Older >= a.Newer:
		return Usagef("nothing is older than %v and newer than %v", a.Older, a.Newer)
	}
	return nil
}

// Hold reports whether something of that age is wanted.
func (a Ages) Hold(age time.Duration) bool {
	return (a.Older == 0 || age >= a.Older) && (a.Newer == 0 || age <= a.Newer)
}

// CheckRate refuses a -rate that is none.
func CheckRate(perSecond float64) error {
	if !(perSecond > 0) || math.IsInf(perSecond, 1) { // NaN is neither
		return Usagef("-rate %v is no rate above 0", perSecond)
	}
	return nil
}

// CheckLimit refuses a -limit that is none.
func CheckLimit(n int) error {
	if n < 0 {
		return Usagef("-limit %d is under 0", n)
	}
	return nil
}

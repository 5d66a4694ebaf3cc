package cli

import (
	"math"
	"time"
)

// Ages holds -older and -newer, which bound how long ago something began; 0: no
// bound.
type Ages struct{ Older, Newer time.Duration }

// Check returns a usage error for bounds that nothing can meet.
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

// CheckRate returns a usage error for a -rate that is not a number above 0.
func CheckRate(perSecond float64) error {
	if !(perSecond > 0) || math.IsInf(perSecond, 1) { // NaN is neither
		return Usagef("-rate %v is no rate above 0", perSecond)
	}
	return nil
}

// CheckLimit returns a usage error for a -limit under 0.
func CheckLimit[N ~int | ~int64](n N) error {
	if n < 0 {
		return Usagef("-limit %d is under 0", n)
	}
	return nil
}

package stack

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is what a key's values are.
type kind interface {
	// values says in words which values there are; "must be …" and "is not …"
	// can stand before it.
	values() string
}

// scalar is a kind of single values.
type scalar interface {
	kind
	// set stores the value, unless it is wrong.
	set(c *Config, s string) error
}

// text is what its check takes.
type text struct {
	what  string
	check func(string) error // nil: takes everything
	put   func(*Config, string)
}

func (t text) values() string { return t.what }

func (t text) set(c *Config, s string) error {
	if s != "" && t.check != nil {
		if err := t.check(s); err != nil {
			return err
		}
	}
	t.put(c, s)
	return nil
}

// word is one of a few.
type word struct {
	of  []string
	put func(*Config, string)
}

func (w word) values() string { return "one of " + strings.Join(w.of, ", ") }

func (w word) set(c *Config, s string) error {
	if !slices.Contains(w.of, s) {
		return notOf(w, s)
	}
	w.put(c, s)
	return nil
}

// boolean is true or false; an empty one is false.
type boolean func(*Config, bool)

func (b boolean) values() string { return "true or false" }

func (b boolean) set(c *Config, s string) error {
	if s != "" && s != "true" && s != "false" {
		return notOf(b, s)
	}
	b(c, s == "true")
	return nil
}

// number is a whole number.
type number struct {
	only     []int64 // not nil: there are no others
	zero     bool    // 0 is right as well
	min, max int64   // a max of 2³¹−1 and above says: no bound that we know
	put      func(*Config, int64)
}

func (n number) values() string {
	if n.only != nil {
		return "one of " + strings.Trim(strings.ReplaceAll(fmt.Sprint(n.only), " ", ", "), "[]")
	}
	words := fmt.Sprintf("a whole number from %d to %d", n.min, n.max)
	if n.max >= math.MaxInt32 {
		words = fmt.Sprintf("a whole number of at least %d", n.min)
	}
	if n.zero {
		words = "0 or " + words
	}
	return words
}

func (n number) set(c *Config, s string) error {
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil || !n.takes(i) {
		return notOf(n, s)
	}
	n.put(c, i)
	return nil
}

func (n number) takes(i int64) bool {
	if n.only != nil {
		return slices.Contains(n.only, i)
	}
	return n.zero && i == 0 || n.min <= i && i <= n.max
}

// duration is a time as Go writes it.
type duration struct {
	min, max     time.Duration
	wholeMinutes bool
	put          func(*Config, time.Duration)
}

func (d duration) values() string {
	words := fmt.Sprintf("a time such as 30m or 2h, from %s to %s", short(d.min), short(d.max))
	if d.wholeMinutes {
		words += ", in whole minutes"
	}
	return words
}

func (d duration) set(c *Config, s string) error {
	t, err := time.ParseDuration(s)
	if err != nil || t < d.min || t > d.max || d.wholeMinutes && t%time.Minute != 0 {
		return notOf(d, s)
	}
	d.put(c, t)
	return nil
}

// short writes a duration without the units that are 0.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func notOf(k kind, s string) error { return fmt.Errorf("%q is not %s", s, k.values()) }

package media

import (
	"path"
	"strings"
)

// part is a piece of a template: one of our variables, one of Ittybit's, or
// text between them.
type part struct {
	literal  string
	variable string // "": none, or one of [ittybitDate] and [ittybitOther]
}

// What Ittybit fills in: the day, such as 2026-04-03, or something else.
const (
	ittybitDate  = "{date}"
	ittybitOther = "{}"
)

var templateParts = pattern(`\$?\{[^{}]*\}`)

// parts takes the key of an output apart. What is the same for all uploads of
// the job is text.
func parts(key, bucket, job string) []part {
	key = strings.NewReplacer("${dir}${stem}${ext}", "${key}", "${job}", job, bucketVariable, bucket).Replace(key)
	var all []part
	end := 0
	text := func(to int) {
		if end < to {
			all = append(all, part{literal: key[end:to]})
		}
	}
	for _, m := range templateParts().FindAllStringIndex(key, -1) {
		text(m[0])
		name := key[m[0]:m[1]]
		if own, ok := strings.CutPrefix(name, "$"); ok {
			name = strings.Trim(own, "{}")
		} else if name != ittybitDate {
			name = ittybitOther
		}
		all = append(all, part{variable: name})
		end = m[1]
	}
	text(len(key))
	return all
}

// byteSet is a set of bytes, one bit each.
type byteSet [4]uint64

func bytesOf(s string) (set byteSet) {
	for i := range len(s) {
		set[s[i]/64] |= 1 << (s[i] % 64)
	}
	return set
}

func (s byteSet) not() byteSet { return byteSet{^s[0], ^s[1], ^s[2], ^s[3]} }

func (s byteSet) meets(o byteSet) bool {
	return s[0]&o[0]|s[1]&o[1]|s[2]&o[2]|s[3]&o[3] != 0
}

var (
	anyByte  = byteSet{}.not()
	fileByte = bytesOf("/").not()
	hexByte  = bytesOf("0123456789abcdef")
	dateByte = bytesOf("0123456789-")
)

// item is one byte of a pattern, any number of them, or none.
type item struct {
	set  byteSet
	many bool
	fork int // not 0: takes no byte, and leads to the next item or so many further
	part int // of the template
}

// outputPattern are the outputs of the uploads whose keys begin with prefix and
// end with suffix, each variable taken for itself.
func outputPattern(parts []part, prefix, suffix string) []item {
	var items []item
	add := func(part int, sets ...byteSet) {
		for _, set := range sets {
			items = append(items, item{set: set, part: part})
		}
	}
	many := func(part int, set byteSet) { items = append(items, item{set: set, many: true, part: part}) }
	for i, p := range parts {
		switch p.variable {
		case "":
			add(i, each(p.literal)...)
		case "key":
			add(i, each(apart(prefix, suffix))...)
			many(i, anyByte)
			add(i, folded(suffix)...)
		case "dir":
			add(i, each(prefix[:strings.LastIndexByte(prefix, '/')+1])...)
			items = append(items, item{fork: 3, part: i}) // past the two that follow
			many(i, anyByte)
			add(i, bytesOf("/"))
		case "ext":
			add(i, folded(path.Ext(suffix))...) // every suffix has a dot
		case "upload":
			for range shownUpload {
				add(i, hexByte)
			}
		case ittybitDate:
			many(i, dateByte)
		default: // a stem; Ittybit's {filename} has no slash either
			many(i, fileByte)
		}
	}
	return items
}

// apart is the beginning of prefix that no suffix overlaps: a key may be shorter
// than the two together.
func apart(prefix, suffix string) string {
	for n := min(len(prefix), len(suffix)); n > 0; n-- {
		if hasSuffixFold(prefix, suffix[:n]) {
			return prefix[:len(prefix)-n]
		}
	}
	return prefix
}

func each(text string) []byteSet {
	sets := make([]byteSet, len(text))
	for i := range sets {
		sets[i] = bytesOf(text[i : i+1])
	}
	return sets
}

func folded(text string) []byteSet {
	sets := make([]byteSet, len(text))
	for i := range sets {
		sets[i] = bytesOf(strings.ToLower(text[i:i+1]) + strings.ToUpper(text[i:i+1]))
	}
	return sets
}

// meet reports whether a text fits both patterns; when they are of one template,
// whether it does in two ways, so that a variable has another value in each.
func meet(a, b []item, oneTemplate bool) bool {
	if !alike(a, b) {
		return false
	}
	type state struct {
		i, j    int
		differs bool
	}
	next := []state{{differs: !oneTemplate}}
	seen := map[bool][]bool{true: make([]bool, (len(a)+1)*(len(b)+1)), false: make([]bool, (len(a)+1)*(len(b)+1))}
	for len(next) > 0 {
		s := next[len(next)-1]
		next = next[:len(next)-1]
		if s.differs && s.i == len(a) && s.j == len(b) {
			return true
		}
		at := &seen[s.differs][s.i*(len(b)+1)+s.j]
		if *at {
			continue
		}
		*at = true
		for _, i := range without(a, s.i) {
			next = append(next, state{i, s.j, s.differs})
		}
		for _, j := range without(b, s.j) {
			next = append(next, state{s.i, j, s.differs})
		}
		if s.i < len(a) && s.j < len(b) && a[s.i].set.meets(b[s.j].set) {
			next = append(next, state{after(a, s.i), after(b, s.j), s.differs || a[s.i].part != b[s.j].part})
		}
	}
	return false
}

// alike tells most patterns apart at little cost, by their ends.
func alike(a, b []item) bool {
	for n := range min(len(a), len(b)) {
		if !a[n].single() || !b[n].single() {
			break
		}
		if !a[n].set.meets(b[n].set) {
			return false
		}
	}
	for n := range min(len(a), len(b)) {
		x, y := a[len(a)-1-n], b[len(b)-1-n]
		if !x.single() || !y.single() {
			break
		}
		if !x.set.meets(y.set) {
			return false
		}
	}
	return true
}

func (i item) single() bool { return !i.many && i.fork == 0 }

// least is the length of the shortest text that fits.
func least(items []item) int {
	n := 0
	for i := 0; i < len(items); i++ {
		if items[i].single() {
			n++
		} else {
			i += max(0, items[i].fork-1)
		}
	}
	return n
}

// without is where item i leads when it takes no byte.
func without(items []item, i int) []int {
	switch {
	case i == len(items):
		return nil
	case items[i].fork > 0:
		return []int{i + 1, i + items[i].fork}
	case items[i].many:
		return []int{i + 1}
	default:
		return nil
	}
}

// after is where item i leads when it takes a byte.
func after(items []item, i int) int {
	if items[i].many {
		return i
	}
	return i + 1
}

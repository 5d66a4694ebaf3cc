package media

import (
	"fmt"
	"slices"
	"strings"
)

// outputCollisionsAllow is the one value of a job's outputCollisions.
const outputCollisionsAllow = "allow"

// written is where the outputs of one job go.
type written struct {
	at       string // the path of the output in the configuration
	route    int
	bucket   string
	object   places
	folder   places // for an adaptive_video: its segments go there, under names that are the same for every upload
	segments bool   // it is one
	accepted bool   // whatever it overwrites
	mistaken bool
}

// places are the keys that a template has for the uploads of its route.
type places struct {
	parts    []part
	patterns [][]item // one for each suffix
}

func placesOf(parts []part, r Route) places {
	p := places{parts: parts}
	for _, suffix := range r.Suffixes {
		if pattern := outputPattern(parts, r.Prefix, suffix); least(pattern) <= MaxKey {
			p.patterns = append(p.patterns, pattern) // else no output is made
		}
	}
	return p
}

// collisions reports the outputs with which one upload's result can overwrite
// another's. Jobs of which another mistake is reported are left out.
//
// A template is right when an output can be taken apart in one way only, and
// its parts name the upload; two templates are right when no text is an output
// of both. Both are decided over patterns that take at least what the route
// takes, so a template that passes is right for every key.
func (p *routesParser) collisions(routes Routes) {
	all := p.written(routes)
	for i := range all {
		w := &all[i]
		if err := w.check(); err != nil && !w.accepted {
			w.mistaken = true
			p.mistakes.Addf(w.at, "%v; if the later one may overwrite the earlier one, set outputCollisions: %s", err, outputCollisionsAllow)
		}
	}
	for i, later := range all {
		for _, earlier := range all[:i] {
			if later.mistaken || earlier.mistaken || later.accepted && earlier.accepted || !later.meets(earlier) {
				continue
			}
			p.mistakes.Addf(later.at, "can be the same as %s, so that one result would overwrite the other: begin each with a folder of its own, such as ${job}/; if one may overwrite the other, set outputCollisions: %s in both jobs", earlier.at, outputCollisionsAllow)
			break
		}
	}
}

func (p *routesParser) written(routes Routes) []written {
	var all []written
	for i, r := range routes {
		for j, job := range r.Jobs {
			if job.Output == "" || job.Output.check() != nil {
				continue
			}
			bucket, key, _ := job.Output.split()
			if bucket == bucketVariable && p.outputs.Bucket != "" {
				bucket = p.outputs.Bucket
			}
			parts := parts(key, bucket, job.Name)
			all = append(all, written{
				at:       fmt.Sprintf("routes[%d].jobs[%d].output", i, j),
				route:    i,
				bucket:   bucket,
				object:   placesOf(parts, r),
				folder:   placesOf(folder(parts), r),
				segments: job.Kind == "adaptive_video",
				accepted: job.OutputCollisions == outputCollisionsAllow,
			})
		}
	}
	return all
}

// folder is what stands before the template's last slash, and that.
func folder(parts []part) []part {
	for i, p := range slices.Backward(parts) {
		if slash := strings.LastIndexByte(p.literal, '/'); slash >= 0 {
			return append(slices.Clone(parts[:i]), part{literal: p.literal[:slash+1]})
		}
	}
	return nil
}

// check reports whether two uploads of the route can have the same output.
func (w written) check() error {
	what, where := "this output", w.object
	if w.segments {
		what, where = "the folder of this output, where the segments go", w.folder
	}
	if missing := where.missing(); len(missing) > 0 {
		return fmt.Errorf("two uploads can have %s: it lacks ${%s}; add ${key}, or all of ${dir}, ${stem} and ${ext}, or ${upload}", what, strings.Join(missing, "}, ${"))
	}
	if w.meets(w) {
		return fmt.Errorf("two uploads can have %s, since its variables run into each other; put a slash between them, or use ${key} or ${upload}", what)
	}
	return nil
}

func (p places) has(variable string) bool {
	return slices.ContainsFunc(p.parts, func(p part) bool { return p.variable == variable })
}

// missing returns the variables without which the output does not name the
// upload, none when it does.
func (p places) missing() []string {
	if p.has("upload") || p.has("key") {
		return nil
	}
	return slices.DeleteFunc([]string{"dir", "stem", "ext"}, p.has)
}

// meets reports whether uploads of the two can have the same output. Of one
// template, in one job or in two routes, these are different uploads.
func (w written) meets(other written) bool {
	if w.bucket != other.bucket {
		return false
	}
	a, b := w.object, other.object
	if w.segments && other.segments {
		a, b = w.folder, other.folder
	}
	oneTemplate := slices.Equal(a.parts, b.parts) && (w.at == other.at || w.route != other.route)
	if oneTemplate && a.has("upload") {
		return false // it differs, whatever is beside it
	}
	for _, one := range a.patterns {
		for _, two := range b.patterns {
			if meet(one, two, oneTemplate) {
				return true
			}
		}
	}
	return false
}

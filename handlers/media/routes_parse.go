package media

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Bounds of the routes.
const (
	MaxRoutes = 50
	MaxJobs   = 20
)

// DefaultSuffixes are the guide's: the uploads that a route without suffixes
// takes.
var DefaultSuffixes = []string{".mov", ".mp4", ".mkv", ".webm"}

// DefaultRoutes is the guide's: its suffixes and its video job, for every key.
func DefaultRoutes() Routes {
	return Routes{{
		Suffixes: slices.Clone(DefaultSuffixes),
		Jobs: []Job{{
			Name: "video",
			Kind: "video",
			Options: map[string]any{
				"width":   json.Number("1920"),
				"format":  "mp4",
				"quality": "high",
			},
		}},
	}}
}

// Folder is where outputs go that are written into the watched bucket, and
// from where nothing is dispatched.
type Folder struct {
	Bucket string // "" when its name is not known yet
	Prefix string
}

// Check reports what is wrong with the folder's prefix.
func (f Folder) Check() error {
	switch {
	case f.Prefix == "" || f.Prefix == "/":
		return errors.New("must name a folder: outputs written there must not be dispatched again")
	case !strings.HasSuffix(f.Prefix, "/"):
		return fmt.Errorf("%q must end with a slash: %q", f.Prefix, f.Prefix+"/")
	case strings.HasPrefix(f.Prefix, "/"):
		return fmt.Errorf("%q must not begin with a slash: %q", f.Prefix, strings.TrimLeft(f.Prefix, "/"))
	case strings.ContainsAny(f.Prefix, "${}"):
		return fmt.Errorf("%q must be a fixed name, without $, { and }", f.Prefix)
	}
	return nil
}

// Holds reports whether the key lies in the folder.
func (f Folder) Holds(key string) bool { return strings.HasPrefix(key, f.Prefix) }

// Loops reports whether an output of that URL would be an upload of the watched
// bucket, to be dispatched in its turn.
func (f Folder) Loops(url string) bool {
	rest, ok := strings.CutPrefix(url, "s3://"+f.Bucket+"/")
	return ok && !f.Holds(rest)
}

// ParseRoutesFile reads a [RoutesFile].
func ParseRoutesFile(data []byte, outputs Folder) (Routes, error) {
	value, err := decodeJSON(data)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok || object["routes"] == nil {
		return nil, errors.New(`it must be a JSON object with "routes"`)
	}
	routes, _, err := parseRoutes(object["routes"], outputs)
	return routes, err
}

// CheckRoutes reads the JSON list of routes of a stack's configuration, which is
// to be deployed: beside what [ParseRoutes] reports, outputs that can overwrite
// each other are a mistake. With an error too, it returns the routes as far as
// they are right.
func CheckRoutes(data []byte, outputs Folder) (Routes, Problems, error) {
	value, err := decodeJSON(data)
	if err != nil {
		return nil, nil, Problems{{"routes", err.Error()}}
	}
	p := routesParser{outputs: outputs}
	routes := p.routes("routes", value)
	p.collisions(routes)
	return routes, p.warnings, p.mistakes.Err()
}

// ParseRoutes reads a JSON list of routes that may be deployed already. The
// error is a [Problems] that has every mistake; the warnings are what may be a
// mistake.
func ParseRoutes(data []byte, outputs Folder) (Routes, Problems, error) {
	value, err := decodeJSON(data)
	if err != nil {
		return nil, nil, Problems{{"routes", err.Error()}}
	}
	return parseRoutes(value, outputs)
}

func decodeJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // options reach Ittybit as they were written
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", JSONError(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON value")
	}
	return value, nil
}

func parseRoutes(value any, outputs Folder) (Routes, Problems, error) {
	p := routesParser{outputs: outputs}
	routes := p.routes("routes", value)
	if err := p.mistakes.Err(); err != nil {
		return nil, p.warnings, err
	}
	return routes, p.warnings, nil
}

// routesParser goes on after a mistake, so that one run reports all of them.
type routesParser struct {
	outputs  Folder
	mistakes Problems
	warnings Problems
}

func (p *routesParser) routes(path string, value any) Routes {
	list := p.list(path, value, "routes", MaxRoutes)
	routes := make(Routes, 0, len(list))
	for i, v := range list {
		r := p.route(fmt.Sprintf("%s[%d]", path, i), v)
		for j, earlier := range routes {
			if r.hiddenBy(earlier) {
				p.warnings.Addf(fmt.Sprintf("%s[%d]", path, i), "never gets an upload: %s[%d] comes first and takes all of them", path, j)
				break
			}
		}
		routes = append(routes, r)
	}
	return routes
}

func (r Route) hiddenBy(earlier Route) bool {
	if len(r.Suffixes) == 0 || !strings.HasPrefix(r.Prefix, earlier.Prefix) {
		return false
	}
	for _, suffix := range r.Suffixes {
		if !slices.ContainsFunc(earlier.Suffixes, func(s string) bool { return hasSuffixFold(suffix, s) }) {
			return false
		}
	}
	return true
}

func (p *routesParser) route(path string, value any) Route {
	fields := p.object(path, value, "prefix", "suffixes", "maxBytes", "jobs")
	if fields == nil {
		return Route{}
	}
	r := Route{
		Prefix:   p.string(path+".prefix", fields["prefix"]),
		Suffixes: p.suffixes(path+".suffixes", fields["suffixes"]),
		MaxBytes: p.bytes(path+".maxBytes", fields["maxBytes"]),
	}
	switch {
	case len(r.Prefix) > MaxKey:
		p.mistakes.Addf(path+".prefix", "has %d bytes; a key has at most %d", len(r.Prefix), MaxKey)
	case p.outputs.Prefix != "" && p.outputs.Holds(r.Prefix):
		p.mistakes.Addf(path+".prefix", "%q lies inside outputPrefix %q, from where nothing is dispatched; choose another prefix", r.Prefix, p.outputs.Prefix)
	}
	jobs := p.list(path+".jobs", fields["jobs"], "jobs", MaxJobs)
	names := map[string]int{}
	for i, v := range jobs {
		at := fmt.Sprintf("%s.jobs[%d]", path, i)
		j := p.job(at, v)
		if first, ok := names[j.Name]; ok && j.Name != "" {
			p.mistakes.Addf(at+".name", "%q is the name of jobs[%d] too; names are unique in a route", j.Name, first)
		} else {
			names[j.Name] = i
		}
		r.Jobs = append(r.Jobs, j)
	}
	return r
}

func (p *routesParser) suffixes(path string, value any) []string {
	if value == nil {
		return slices.Clone(DefaultSuffixes)
	}
	list, ok := value.([]any)
	if !ok || len(list) == 0 {
		p.mistakes.Addf(path, "must be a list of at least one suffix, such as [.mov, .mp4]; without it they are %s", strings.Join(DefaultSuffixes, ", "))
		return nil
	}
	suffixes := make([]string, 0, len(list))
	for i, v := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		s, ok := v.(string)
		switch {
		case !ok || s == "":
			p.mistakes.Addf(at, "%s is not a suffix such as .mov", show(v))
		case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 127 }):
			p.mistakes.Addf(at, "%q must be of printable ASCII characters: only their case can be ignored everywhere alike", s)
		case !strings.Contains(s, "."):
			p.mistakes.Addf(at, "%q has no dot; it would also take a name that just ends so: write %q", s, "."+s)
		case strings.HasSuffix(s, "/"):
			p.mistakes.Addf(at, "%q ends with a slash: folders are never dispatched", s)
		case slices.ContainsFunc(suffixes, func(t string) bool { return strings.EqualFold(s, t) }):
			p.mistakes.Addf(at, "%q is there twice; the case makes no difference", s)
		default:
			suffixes = append(suffixes, s)
		}
	}
	return suffixes
}

// isJobName reports whether a name fits into a sort key, a metric and a
// person's mouth. Without a regular expression: every start of dispatch would
// compile it.
func isJobName(name string) bool {
	const letters, digits, marks = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "0123456789", "-_"
	return name != "" && len(name) <= 64 && !strings.ContainsAny(name[:1], marks) && strings.Trim(name, letters+digits+marks) == ""
}

func (p *routesParser) job(path string, value any) Job {
	fields := p.object(path, value, "name", "kind", "options", "output", "outputCollisions")
	if fields == nil {
		return Job{}
	}
	j := Job{
		Name:   p.string(path+".name", fields["name"]),
		Kind:   p.string(path+".kind", fields["kind"]),
		Output: Template(p.string(path+".output", fields["output"])),
	}
	if _, isText := fields["name"].(string); (isText || fields["name"] == nil) && !isJobName(j.Name) {
		p.mistakes.Addf(path+".name", "%q must be 1 to 64 letters, digits, - and _, beginning with a letter or digit", j.Name)
	}
	table, known := Kinds[j.Kind]
	if _, isText := fields["kind"].(string); (isText || fields["kind"] == nil) && !known {
		names := slices.Sorted(maps.Keys(Kinds))
		p.mistakes.Addf(path+".kind", "%q is not one of %s%s", j.Kind, strings.Join(names, ", "), didYouMean(j.Kind, names))
	}
	j.Options = p.options(path+".options", fields["options"], table)
	p.output(path+".output", j.Output)
	j.OutputCollisions = p.string(path+".outputCollisions", fields["outputCollisions"])
	if j.OutputCollisions != "" && j.OutputCollisions != outputCollisionsAllow {
		p.mistakes.Addf(path+".outputCollisions", "%q must be %s, which lets outputs overwrite each other, or be left out", j.OutputCollisions, outputCollisionsAllow)
	}
	return j
}

// options checks against the table of the kind, or not at all when the kind is
// unknown.
func (p *routesParser) options(path string, value any, table map[string]Option) map[string]any {
	if value == nil {
		return nil
	}
	options, ok := value.(map[string]any)
	if !ok {
		p.mistakes.Addf(path, "%s is not an object of options", show(value))
		return nil
	}
	if table == nil {
		return options
	}
	right := true
	for _, name := range slices.Sorted(maps.Keys(options)) {
		check, known := table[name]
		if !known {
			p.warnings.Addf(path+"."+name, "is not an option that is known here; it is sent as it is%s", didYouMean(name, slices.Sorted(maps.Keys(table))))
		} else if err := check(options[name]); err != nil {
			p.mistakes.Addf(path+"."+name, "%v", err)
			right = false
		}
	}
	if right {
		if name, err := checkTogether(options); err != nil {
			p.mistakes.Addf(path+"."+name, "%v", err)
		}
	}
	return options
}

func (p *routesParser) output(path string, t Template) {
	if t == "" {
		return
	}
	if err := t.check(); err != nil {
		p.mistakes.Addf(path, "%v", err)
		return
	}
	bucket, key, _ := t.split()
	if (bucket == bucketVariable || bucket == p.outputs.Bucket) && p.outputs.Prefix != "" && !p.outputs.Holds(key) {
		p.mistakes.Addf(path, "writes into the watched bucket, where it must lie under outputPrefix: s3://%s/%s…; outside it, it would be an upload again", bucket, p.outputs.Prefix)
	}
}

func (p *routesParser) object(path string, value any, keys ...string) map[string]any {
	fields, ok := value.(map[string]any)
	if !ok {
		p.mistakes.Addf(path, "%s is not an object with %s", show(value), strings.Join(keys, ", "))
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(keys, name) {
			p.mistakes.Addf(path+"."+name, "is not known%s; there are %s", didYouMean(name, keys), strings.Join(keys, ", "))
		}
	}
	return fields
}

func (p *routesParser) list(path string, value any, what string, most int) []any {
	list, ok := value.([]any)
	switch {
	case !ok && value == nil:
		p.mistakes.Addf(path, "is missing: a list of 1 to %d %s", most, what)
	case !ok:
		p.mistakes.Addf(path, "%s is not a list of %s", show(value), what)
	case len(list) == 0 || len(list) > most:
		p.mistakes.Addf(path, "has %d %s; there must be 1 to %d", len(list), what, most)
	}
	return list
}

func (p *routesParser) string(path string, value any) string {
	s, ok := value.(string)
	if !ok && value != nil {
		p.mistakes.Addf(path, "%s is not a text", show(value))
	}
	return s
}

func (p *routesParser) bytes(path string, value any) int64 {
	if value == nil {
		return 0
	}
	if number, ok := value.(json.Number); ok {
		if n, err := strconv.ParseInt(string(number), 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	p.mistakes.Addf(path, "%s is not a whole number of bytes, 0 (no limit) or more", show(value))
	return 0
}

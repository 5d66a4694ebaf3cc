package media

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Template says where a job's output goes, with ${…} for parts of the upload:
//
//	${bucket}  the upload's bucket
//	${key}     its key: always ${dir}${stem}${ext}
//	${dir}     the key up to and with its last slash
//	${stem}    its file name without the extension
//	${ext}     the extension with its dot
//	${job}     the job's name
//	${upload}  the first 12 hex digits of the upload's ID, its own for every version
//
// Anything else in braces is Ittybit's, such as {date}, and passes through.
type Template string

// bucketVariable is the only variable that may stand for a bucket.
const bucketVariable = "${bucket}"

var templateVariable = pattern(`\$\{([^{}]*)\}`)

// What a key can put into an output URL. Ittybit would read a brace from it as
// a template of its own.
var fromKey = []string{"dir", "ext", "key", "stem"}

// shownUpload is how many digits of an upload's ID ${upload} has: with 48 bits,
// two of a million uploads share them once in 500 such buckets.
const shownUpload = 12

func variables(r JobRef) map[string]string {
	dir, file := path.Split(r.Key)
	ext := path.Ext(file)
	return map[string]string{
		"bucket": r.Bucket,
		"key":    r.Key,
		"dir":    dir,
		"stem":   strings.TrimSuffix(file, ext),
		"ext":    ext,
		"job":    r.Job,
		"upload": r.Upload[:min(len(r.Upload), shownUpload)],
	}
}

// check reports what is wrong with the template on its own.
func (t Template) check() error {
	known := variables(JobRef{})
	for _, m := range templateVariable().FindAllStringSubmatch(string(t), -1) {
		if _, ok := known[m[1]]; !ok {
			names := slices.Sorted(maps.Keys(known))
			return fmt.Errorf("${%s} is not known%s; there are ${%s}", m[1], didYouMean(m[1], names), strings.Join(names, "}, ${"))
		}
	}
	if rest := templateVariable().ReplaceAllString(string(t), ""); strings.Contains(rest, "${") {
		return fmt.Errorf("a ${ is never closed")
	}
	bucket, key, ok := t.split()
	if !ok || key == "" {
		return fmt.Errorf("%q is no s3:// URL of the form s3://BUCKET/KEY", t)
	}
	if bucket != bucketVariable && strings.ContainsAny(bucket, "${}") {
		return fmt.Errorf("the bucket in %q must be %s or a fixed name", t, bucketVariable)
	}
	return nil
}

func (t Template) split() (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(string(t), "s3://")
	if !ok {
		return "", "", false
	}
	bucket, key, ok = strings.Cut(rest, "/")
	return bucket, key, ok && bucket != ""
}

// Destination is where the outputs go whatever the upload: the bucket, "" for
// the upload's own, and what their keys have in common at the beginning.
func (t Template) Destination() (bucket, prefix string) {
	bucket, key, _ := t.split()
	if bucket == bucketVariable {
		bucket = ""
	}
	if i := strings.IndexAny(key, "${"); i >= 0 {
		key = key[:i]
	}
	return bucket, key
}

// Render returns the URL of the job's output. It fails when the key would put a
// brace into the URL.
func (t Template) Render(r JobRef) (string, error) {
	values := variables(r)
	var broken string
	url := templateVariable().ReplaceAllStringFunc(string(t), func(m string) string {
		name := m[2 : len(m)-1]
		if slices.Contains(fromKey, name) && strings.ContainsAny(values[name], "{}") {
			broken = name
		}
		return values[name]
	})
	if broken != "" {
		return "", fmt.Errorf("the key has a brace and the output of job %q uses ${%s}: Ittybit would take the brace for a template; rename the object or use an output without it", r.Job, broken)
	}
	return url, nil
}

package pipeline

import "ittybit-media/handlers/media"

// DefaultKey is the file's name under the prefix of the first route that takes
// it there.
func DefaultKey(routes media.Routes, name string) string {
	for _, r := range routes {
		if _, ok := routes.Match(r.Prefix + name); ok {
			return r.Prefix + name
		}
	}
	return routes[0].Prefix + name
}

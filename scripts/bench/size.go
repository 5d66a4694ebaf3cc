package main

import (
	"context"
	"maps"
	"slices"

	"ittybit-media/infra/bundle"
)

// maxZip is how large a handler's zip may be, in MB.
const maxZip = 4

// size reports the zips for each architecture.
func (b *bench) size(ctx context.Context) (figures, error) {
	var out figures
	for _, architecture := range []string{"arm64", "x86_64"} {
		zips, err := bundle.Build(ctx, bundle.Options{Root: b.root, Target: bundle.Lambda(architecture)})
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(zips)) {
			out.add(name+", "+architecture+": zip", "MB", sample{float64(zips[name].Size) / 1e6}, atMost(maxZip))
		}
	}
	return out, nil
}

package cloud

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
)

// Program is the Pulumi program of one stack: it reads the configuration,
// compiles the handlers and makes the [Pipeline].
type Program struct {
	// Bundle says where the handlers come from and where their zips go; the zero
	// value is this module and its .build.
	Bundle bundle.Options

	config map[string]string
	secret []string
}

// Configure is a [pulumi.RunOption]. Pulumi's configuration API only answers
// for keys that one asks for; to find those that nobody knows, all are taken
// from here.
func (p *Program) Configure(info *pulumi.RunInfo) {
	p.config, p.secret = info.Config, info.ConfigSecretKeys
}

// Run is a [pulumi.RunFunc]. Its error names every mistake of the
// configuration, or what keeps the handlers from being compiled.
func (p *Program) Run(ctx *pulumi.Context) error {
	config, err := p.parse(ctx)
	if err != nil {
		return err
	}
	archives, err := p.build(ctx, config)
	if err != nil {
		return err
	}
	pipeline, err := NewPipeline(ctx, Prefix(ctx.Stack()), Args{Config: config, Archives: archives})
	if err != nil {
		return err
	}
	for name, value := range pipeline.Outputs {
		ctx.Export(name, value)
	}
	return nil
}

func (p *Program) parse(ctx *pulumi.Context) (stack.Config, error) {
	values := map[string]any{}
	for name, value := range p.config {
		if key, ok := strings.CutPrefix(name, stack.Namespace+":"); ok {
			values[key] = value
		}
	}
	for _, name := range p.secret {
		if key, ok := strings.CutPrefix(name, stack.Namespace+":"); ok {
			values[key] = stack.Encrypted
		}
	}
	config, warnings, err := stack.Parse(values)
	for _, w := range warnings {
		if err := ctx.Log.Warn(w.String(), nil); err != nil {
			return stack.Config{}, err
		}
	}
	if err != nil {
		return stack.Config{}, fmt.Errorf("the configuration in Pulumi.%s.yaml cannot be used:\n%w", ctx.Stack(), err)
	}
	return config, nil
}

// build makes the zips: the same bytes from the same sources on any machine, so
// that an update of unchanged code changes no function.
func (p *Program) build(ctx *pulumi.Context, config stack.Config) (map[string]string, error) {
	routes, err := config.Routes.JSON()
	if err != nil {
		return nil, err
	}
	options := p.Bundle
	options.Target = bundle.Lambda(config.Architecture)
	options.Files = map[string]map[string][]byte{dispatchHandler: {media.RoutesFile: routes}}
	archives, err := bundle.Build(ctx.Context(), options)
	if err != nil {
		return nil, err
	}
	paths := make(map[string]string, len(archives))
	for handler, archive := range archives {
		paths[handler] = archive.Path
	}
	return paths, nil
}

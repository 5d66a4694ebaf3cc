package function

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/secrets"
)

// OpenAccount returns a client of the Ittybit account that the environment
// names, and its API key, which it begins to read. It fails when the API's URL
// is not usable; a key that cannot be read fails its first use instead.
func OpenAccount(cfg aws.Config, apiURL string, key env.APIKey, log *slog.Logger) (*ittybit.Client, *secrets.Value[string], error) {
	read := secrets.FromSecretsManager(cfg, key.Secret)
	if key.Parameter != "" {
		read = secrets.FromParameterStore(cfg, key.Parameter)
	}
	apiKey := secrets.NewValue(log, fmt.Sprintf("Ittybit's API key (%s)", cmp.Or(key.Secret, key.Parameter)), read, secrets.APIKey)
	apiKey.Prefetch()
	client, err := ittybit.New(ittybit.Options{
		BaseURL:    apiURL,
		Key:        apiKey.Get,
		RefreshKey: func(ctx context.Context) (string, error) { return apiKey.Refresh(ctx, 0) },
	})
	return client, apiKey, err
}

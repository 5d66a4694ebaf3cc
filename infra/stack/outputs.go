package stack

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
)

// Outputs are what a deployed stack tells those who use it; the scripts need no
// more than these. No secret is among them. The program fills in every one, and
// the local run does the same.
type Outputs struct {
	Region             string            `json:"region"`
	Bucket             string            `json:"bucket"`
	Table              string            `json:"table"`
	WebhookURL         string            `json:"webhookUrl"` // without the token
	Rule               string            `json:"rule"`
	RetryQueueURL      string            `json:"retryQueueUrl"`
	DeadLetterQueueURL string            `json:"deadLetterQueueUrl"`
	Functions          map[string]string `json:"functions"` // handler → name
	LogGroups          map[string]string `json:"logGroups"` // handler, "api" or "pipe" → name
	Settings           Settings          `json:"settings"`

	// ConnectionPolicy is the least policy for the IAM user whose keys Ittybit's
	// connection has.
	ConnectionPolicy string `json:"ittybitConnectionPolicy"`

	// APIKeyCommand fills the secret that was made for Ittybit's API key; "" when
	// the key is in one of the user's own.
	APIKeyCommand string `json:"apiKeyCommand,omitempty"`

	// Where the result events go, by ARN, and what becomes of those that cannot be
	// sent; "" when the stack sends none, and in the local run, which has no bus.
	ResultEventBus                 string `json:"resultEventBus,omitempty"`
	ResultEventsDeadLetterQueueURL string `json:"resultEventsDeadLetterQueueUrl,omitempty"`

	Console map[string]string `json:"console"` // part → its page in the AWS console
}

// Settings are the part of the configuration that the scripts go by: as it was
// deployed, which the stack file may no longer be.
type Settings struct {
	Routes              json.RawMessage `json:"routes"` // as in the stack file
	OutputPrefix        string          `json:"outputPrefix"`
	DailyJobLimit       int64           `json:"dailyJobLimit"` // 0: none
	IttybitAPIURL       string          `json:"ittybitApiUrl"`
	ConnectionID        string          `json:"connectionId"`
	ConnectionPlacement media.Placement `json:"connectionPlacement"`
	WebhookAuth         env.Auth        `json:"webhookAuth"`
	OverdueAfter        string          `json:"overdueAfter"` // a Go duration
	ResultEvents        bool            `json:"resultEvents"`

	// Where Ittybit's API key is, by name or ARN: one of the two. It depends on
	// what was made, so [Config.Settings] leaves it out.
	APIKeySecret    string `json:"apiKeySecret,omitempty"`
	APIKeyParameter string `json:"apiKeyParameter,omitempty"`
}

// Settings are those of the configuration, without the place of the API key.
func (c Config) Settings() (Settings, error) {
	routes, err := json.Marshal(c.Routes)
	if err != nil {
		return Settings{}, err
	}
	return Settings{
		Routes:              routes,
		OutputPrefix:        c.OutputPrefix,
		DailyJobLimit:       c.DailyJobLimit,
		IttybitAPIURL:       c.IttybitAPIURL,
		ConnectionID:        c.ConnectionID,
		ConnectionPlacement: c.ConnectionPlacement,
		WebhookAuth:         c.WebhookAuth,
		OverdueAfter:        short(c.OverdueAfter),
		ResultEvents:        c.ResultEvents,
	}, nil
}

// ParseRoutes reads the routes of the settings.
func (s Settings) ParseRoutes() (media.Routes, error) {
	routes, _, err := media.ParseRoutes(s.Routes, media.Folder{Prefix: s.OutputPrefix})
	if err != nil {
		return nil, fmt.Errorf("the stack's output settings.routes: %w", err)
	}
	return routes, nil
}

// Missing are the names of the outputs that a stack of this version would have.
func (o Outputs) Missing() []string {
	var missing []string
	v := reflect.ValueOf(o)
	for i := range v.NumField() {
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if option != "omitempty" && v.Field(i).IsZero() {
			missing = append(missing, name)
		}
	}
	return missing
}

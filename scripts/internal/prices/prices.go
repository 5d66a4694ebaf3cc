// Package prices is what AWS charges for what the pipeline uses, in one place
// and with its date: prices change.
package prices

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed prices.json
var text []byte

// List is a list of prices, in dollars, without free tiers.
type List struct {
	Date          string             `json:"date"`
	Region        string             `json:"region"`
	Source        string             `json:"source"`
	Unknown       []string           `json:"unknown"`        // what is not in the price of an upload
	PlatformBytes float64            `json:"platform_bytes"` // Lambda's own log lines of an invocation
	PerMillion    PerMillion         `json:"per_million"`
	GBSecond      map[string]float64 `json:"lambda_gb_second"` // by architecture
	LogsGB        float64            `json:"logs_gb"`
	TransferGB    float64            `json:"transfer_gb"` // out of AWS
}

// PerMillion are the prices of a million requests.
type PerMillion struct {
	Event         float64 `json:"eventbridge_event"`
	LambdaRequest float64 `json:"lambda_request"`
	APIRequest    float64 `json:"http_api_request"`
	Write         float64 `json:"dynamodb_write"`
	Read          float64 `json:"dynamodb_read"`
	S3List        float64 `json:"s3_list"`
}

// Known are the prices that are known.
func Known() (List, error) {
	var l List
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return List{}, fmt.Errorf("prices.json: %w", err)
	}
	return l, nil
}

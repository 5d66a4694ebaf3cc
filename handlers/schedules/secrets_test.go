package schedules_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"

	"ittybit-media/handlers/schedules"
)

// vault is Secrets Manager with the values of secrets by name, as a store.
// PutSecretValue changes the one that may rotate.
type vault struct {
	values map[string]string
	rotate string // "": none
}

func (v vault) Key() string { return fmt.Sprint(v) }

func (v vault) Serve(c schedules.Call) []schedules.Outcome {
	var in struct{ SecretId, SecretString string }
	if err := json.Unmarshal([]byte(c.Body), &in); err != nil {
		return []schedules.Outcome{{Response: schedules.Response{Status: http.StatusBadRequest}, Constant: true}}
	}
	value, known := v.values[in.SecretId]
	switch {
	case !known:
		return []schedules.Outcome{{Response: jsonResponse(http.StatusBadRequest, map[string]string{"__type": "ResourceNotFoundException"}), Constant: true}}
	case c.Operation() == "PutSecretValue":
		after := vault{maps.Clone(v.values), v.rotate}
		after.values[in.SecretId] = in.SecretString
		return []schedules.Outcome{{Response: jsonResponse(http.StatusOK, map[string]string{}), Store: after}}
	}
	return []schedules.Outcome{{
		Response: jsonResponse(http.StatusOK, map[string]string{"Name": in.SecretId, "SecretString": value}),
		Constant: in.SecretId != v.rotate,
	}}
}

func (v vault) Describe(c schedules.Call) string {
	var in struct{ SecretId string }
	_ = json.Unmarshal([]byte(c.Body), &in)
	return c.Operation() + " " + in.SecretId
}

func jsonResponse(status int, v any) schedules.Response {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return schedules.Response{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: string(body)}
}

package cloud_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ittybit-media/handlers/results"
)

func TestTheTableIsTheHandlersOne(t *testing.T) {
	eachStack(t, func(t *testing.T, _ string, v values, d *deployment) {
		table := d.one(t, "Table", "")
		protect := config(t, v).Protect
		table.has(t, inputs{
			"billingMode": "PAY_PER_REQUEST",
			"hashKey":     "pk",
			"rangeKey":    "sk",
			"globalSecondaryIndexes": []any{map[string]any{
				"name": "open", "hashKey": "open", "rangeKey": "check_at", "projectionType": "INCLUDE", "nonKeyAttributes": list(results.OpenIndexAttributes()),
			}},
			"ttl":                         map[string]any{"attributeName": "expires_at", "enabled": true},
			"streamEnabled":               true,
			"streamViewType":              "NEW_AND_OLD_IMAGES",
			"pointInTimeRecovery.enabled": protect,
			"deletionProtectionEnabled":   protect,
		})
		types := map[any]any{}
		for _, a := range table.at("attributes").([]any) {
			a := a.(map[string]any)
			types[a["name"]] = a["type"]
		}
		if want := (map[any]any{"pk": "S", "sk": "S", "open": "S", "check_at": "N"}); !reflect.DeepEqual(types, want) {
			t.Errorf("attributes %v, want %v", types, want)
		}
	})
}

func TestProtect(t *testing.T) {
	eachStack(t, func(t *testing.T, name string, v values, d *deployment) {
		c := config(t, v)
		if name == "prod" && !c.Protect || name == "dev" && c.Protect {
			t.Fatalf("protect is %v in %s", c.Protect, name)
		}
		kept := regexp.MustCompile(fmt.Sprintf(`:(Table|Api|BucketV2|Secret .*-callback-keys|RandomBytes .*-v%d)( |$)`, c.CallbackKeyVersion))
		for _, m := range d.resources {
			if want := c.Protect && kept.MatchString(m.kind+" "+m.name); m.protected != want {
				t.Errorf("%s %s: protect is %v", m.kind, m.name, m.protected)
			}
		}
		for _, secret := range d.all("Secret") {
			secret.has(t, inputs{"recoveryWindowInDays": map[bool]float64{false: 0, true: 30}[c.Protect]})
		}
		for _, bucket := range d.all("BucketV2") {
			bucket.has(t, inputs{"forceDestroy": !c.Protect})
		}
	})
}

func TestCallbackKeys(t *testing.T) {
	t.Parallel()
	for version, want := range map[int][]string{1: {"v1"}, 2: {"v2", "v1"}, 3: {"v3", "v2"}, 12: {"v12", "v11"}} {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			d := deploy(t, "dev", values{"callbackKeyVersion": strconv.Itoa(version)})
			value := d.one(t, "SecretVersion", "-callback-keys")
			value.has(t, inputs{"secretId": d.one(t, "Secret", "-callback-keys").out(t, "arn")})
			text, ok := value.at("secretString").(secret)
			if !ok {
				t.Fatal("the keys are not secret to Pulumi")
			}
			var keys, versions []string
			fromJSON(t, text.value, &keys)
			for _, key := range keys {
				versions = append(versions, regexp.MustCompile(`v\d+`).FindString(key[len(callbackKey):]))
			}
			if !slices.Equal(versions, want) {
				t.Errorf("keys %v, want %v", versions, want)
			}
			for _, key := range d.all("RandomBytes") {
				key.has(t, inputs{"length": 32.0})
			}
		})
	}
}

func TestNoSecretInPlain(t *testing.T) {
	eachStack(t, func(t *testing.T, _ string, _ values, d *deployment) {
		for _, m := range d.resources {
			if reveals(m.inputs) {
				t.Errorf("%s %s shows a callback key: %v", m.kind, m.name, m.inputs)
			}
		}
		for _, key := range d.all("RandomBytes") {
			if !reveals(key.outputs) {
				t.Error("this test would see nothing")
			}
		}
	})
}

// reveals reports whether the value has a callback key outside a secret.
func reveals(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, value := range v {
			if reveals(value) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, reveals)
	case string:
		return strings.Contains(v, callbackKey)
	}
	return false
}

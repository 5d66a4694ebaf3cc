package eventbridge_test

import (
	"strings"
	"testing"

	"ittybit-media/handlers/event"
	"ittybit-media/scripts/local/aws/eventbridge"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		pattern, event string
		why            string // empty: matches
	}{
		{"exact string", `{"source":["aws.s3"]}`, `{"source":"aws.s3"}`, ""},
		{"another string", `{"source":["aws.s3"]}`, `{"source":"aws.ec2"}`, `source "aws.ec2" matches none of "aws.s3"`},
		{"one of several", `{"source":["a","b"]}`, `{"source":"b"}`, ""},
		{"missing", `{"source":["a"]}`, `{}`, `source is missing; wanted "a"`},
		{"fields are a conjunction", `{"a":["1"],"b":["2"]}`, `{"a":"1","b":"3"}`, `b "3" matches none of "2"`},
		{"nested", `{"d":{"o":{"k":["x"]}}}`, `{"d":{"o":{"k":"x","size":1},"z":0}}`, ""},
		{"nested, differs", `{"d":{"o":{"k":["x"]}}}`, `{"d":{"o":{"k":"y"}}}`, `d.o.k "y" matches none of "x"`},
		{"nested, parent missing", `{"d":{"o":{"k":["x"]}}}`, `{"d":{}}`, `d.o.k is missing; wanted "x"`},
		{"nested, parent a leaf", `{"d":{"o":["x"]}}`, `{"d":"x"}`, `d.o is missing; wanted "x"`},

		{"empty string", `{"b":[""]}`, `{"b":""}`, ""},
		{"case counts", `{"s":["a"]}`, `{"s":"A"}`, `s "A" matches none of "a"`},
		{"number is no string", `{"n":["300"]}`, `{"n":300}`, `n 300 matches none of "300"`},
		{"null is no string", `{"n":[""]}`, `{"n":null}`, `n null matches none of ""`},
		{"the shallow field first", `{"d":{"k":["x"]},"source":["a"]}`, `{}`, `source is missing; wanted "a"`},

		{"suffix in any case", `{"s":[{"suffix":{"equals-ignore-case":".mov"}}]}`, `{"s":"a.MoV"}`, ""},
		{"no suffix", `{"s":[{"suffix":{"equals-ignore-case":".mov"}},"x.mp4"]}`, `{"s":"a.txt"}`,
			`s "a.txt" matches none of suffix ".mov" in any case, "x.mp4"`},
		{"suffix OR string", `{"s":[{"suffix":{"equals-ignore-case":".mov"}},"x.mp4"]}`, `{"s":"x.mp4"}`, ""},
		{"suffix of a number", `{"s":[{"suffix":{"equals-ignore-case":"2"}}]}`, `{"s":12}`, `s 12 matches none of suffix "2" in any case`},

		{"absent", `{"d":{"s":[{"exists":false}]}}`, `{"d":{"t":1}}`, ""},
		{"absent with its parent", `{"d":{"s":[{"exists":false}]}}`, `{}`, ""},
		{"not absent", `{"d":{"s":[{"exists":false}]}}`, `{"d":{"s":1}}`, `d.s 1 matches none of exists false`},
		{"null is not absent", `{"s":[{"exists":false}]}`, `{"s":null}`, `s null matches none of exists false`},
		{"absent or a value", `{"s":[{"exists":false},"a"]}`, `{"s":"a"}`, ""},

		{"anything but", `{"s":[{"anything-but":["a","b"]}]}`, `{"s":"c"}`, ""},
		{"anything but this", `{"s":[{"anything-but":["a","b"]}]}`, `{"s":"b"}`, `s "b" matches none of anything but ["a","b"]`},
		{"anything but needs a value", `{"s":[{"anything-but":["a"]}]}`, `{}`, `s is missing; wanted anything but ["a"]`},
		{"anything but takes a number", `{"s":[{"anything-but":["1"]}]}`, `{"s":1}`, ""},

		{"not escaped in reasons", `{"s":["<&>"]}`, `{"s":"é&"}`, `s "é&" matches none of "<&>"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pattern, err := eventbridge.Compile([]byte(test.pattern))
			if err != nil {
				t.Fatalf("Compile: %v", err)
			}
			got, err := pattern.Matches([]byte(test.event))
			if err != nil {
				t.Fatalf("Matches: %v", err)
			}
			if got != (test.why == "") {
				t.Errorf("Matches = %t", got)
			}
			if why := pattern.Explain([]byte(test.event)); why != test.why {
				t.Errorf("Explain = %q\nwant      %q", why, test.why)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, pattern, want string }{
		{"not JSON", `{"a":`, "not a JSON object"},
		{"two values", `{"a":["b"]} {}`, "not a JSON object"},
		{"no object", `["a"]`, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"nothing", `{}`, `"" is an empty object`},
		{"an empty object", `{"a":{"b":{}}}`, `"a.b" is an empty object`},
		{"an empty array", `{"a":{"b":[]}}`, "a.b takes an array that is not empty"},
		{"a bare string", `{"a":{"b":"c"}}`, `a.b: a field takes an array`},
		{"a bare null", `{"a":null}`, `a takes an array`},
		{"an array in an array", `{"a":[["b"]]}`, "a: a field takes an array of strings"},
		{"a number", `{"a":[1]}`, "a: a field takes an array of strings"},
		{"a null", `{"a":[null]}`, "null is not one filter"},
		{"an unknown filter", `{"a":{"b":["x",{"wildcard":"*"}]}}`, `unknown field "wildcard"`},
		{"a prefix", `{"a":[{"prefix":"x"}]}`, `unknown field "prefix"`},
		{"numeric", `{"a":[{"numeric":[">",1]}]}`, `unknown field "numeric"`},
		{"$or", `{"$or":[{"a":["1"]},{"b":["1"]}]}`, `unknown field "a"`},
		{"two filters in one", `{"a":[{"exists":false,"anything-but":["2"]}]}`, "is not one filter"},
		{"an empty filter", `{"a":[{}]}`, "is not one filter"},
		{"a suffix in this case", `{"a":[{"suffix":"x"}]}`, "suffix"},
		{"an empty suffix", `{"a":[{"suffix":{"equals-ignore-case":""}}]}`, "is not one filter"},
		{"a suffix of something else", `{"a":[{"suffix":{"prefix":"x"}}]}`, `unknown field "prefix"`},
		{"exists true", `{"a":[{"exists":true}]}`, "exists takes false"},
		{"exists of a word", `{"a":[{"exists":"yes"}]}`, "exists"},
		{"anything but nothing", `{"a":[{"anything-but":[]}]}`, "is not one filter"},
		{"anything but no list", `{"a":[{"anything-but":"x"}]}`, "anything-but"},
		{"anything but a boolean", `{"a":[{"anything-but":[true]}]}`, "anything-but"},
		{"too long", `{"a":["` + strings.Repeat("é", event.MaxPattern-9) + `"]}`, "2049 characters"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := eventbridge.Compile([]byte(test.pattern))
			if err == nil {
				t.Fatal("compiled")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

func TestCompileTakesTheLongestPattern(t *testing.T) {
	t.Parallel()
	// Characters count, not bytes.
	pattern := `{"a":["` + strings.Repeat("é", event.MaxPattern-10) + `"]}`
	if _, err := eventbridge.Compile([]byte(pattern)); err != nil {
		t.Errorf("Compile of %d characters: %v", event.MaxPattern, err)
	}
}

func TestMatchesRefusesWhatItCannotCompare(t *testing.T) {
	t.Parallel()
	pattern, err := eventbridge.Compile([]byte(`{"a":{"b":[{"exists":false}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{``, `null`, `[]`, `"a"`, `{"b":1`, `{} {}`, `{"a":{"b":["x"]}}`, `{"a":{"b":{}}}`, `{"a":[{"b":"x"}]}`} {
		if got, err := pattern.Matches([]byte(event)); err == nil || got {
			t.Errorf("Matches(%q) = %t, %v; want an error", event, got, err)
		}
		if pattern.Explain([]byte(event)) == "" {
			t.Errorf("Explain(%q) says that it matches", event)
		}
	}
}

func FuzzMatches(f *testing.F) {
	f.Add(`{"source":["aws.s3"],"detail":{"object":{"key":[{"suffix":{"equals-ignore-case":".mov"}}]}}}`, `{"source":"aws.s3","detail":{"object":{"key":"a.MOV"}}}`)
	f.Add(`{"a":[{"anything-but":["x","1"]},{"exists":false}]}`, `{"a":[[],{"b":1},"y"]}`)
	f.Add(`{"a":{"b":["true",{"exists":false}]}}`, `{"a":{"b":"true"}}`)
	f.Fuzz(func(t *testing.T, text, event string) {
		pattern, err := eventbridge.Compile([]byte(text))
		if err != nil {
			return
		}
		matches, err := pattern.Matches([]byte(event))
		if why := pattern.Explain([]byte(event)); (why == "") != (matches && err == nil) {
			t.Errorf("Matches = %t, %v, but Explain = %q", matches, err, why)
		}
	})
}

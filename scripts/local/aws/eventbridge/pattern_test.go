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
		{"object where a leaf is wanted", `{"d":["x"]}`, `{"d":{"x":"x"}}`, `d is no single value; wanted "x"`},

		{"number", `{"n":[300]}`, `{"n":300}`, ""},
		{"number written otherwise", `{"n":[300]}`, `{"n":300.0}`, `n 300.0 matches none of 300`},
		{"number is no string", `{"n":["300"]}`, `{"n":300}`, `n 300 matches none of "300"`},
		{"boolean", `{"b":[true]}`, `{"b":true}`, ""},
		{"boolean differs", `{"b":[true]}`, `{"b":false}`, `b false matches none of true`},
		{"null", `{"b":[null]}`, `{"b":null}`, ""},
		{"null is not absence", `{"b":[null]}`, `{}`, `b is missing; wanted null`},
		{"empty string", `{"b":[""]}`, `{"b":""}`, ""},
		{"case counts", `{"s":["a"]}`, `{"s":"A"}`, `s "A" matches none of "a"`},

		{"prefix", `{"s":[{"prefix":"up/"}]}`, `{"s":"up/a"}`, ""},
		{"prefix differs", `{"s":[{"prefix":"up/"}]}`, `{"s":"Up/a"}`, `s "Up/a" matches none of prefix "up/"`},
		{"prefix of a number", `{"s":[{"prefix":"1"}]}`, `{"s":12}`, `s 12 matches none of prefix "1"`},
		{"prefix in any case", `{"s":[{"prefix":{"equals-ignore-case":"up/"}}]}`, `{"s":"UP/a"}`, ""},
		{"suffix", `{"s":[{"suffix":".mov"}]}`, `{"s":"a.mov"}`, ""},
		{"suffix differs in case", `{"s":[{"suffix":".mov"}]}`, `{"s":"a.MOV"}`, `s "a.MOV" matches none of suffix ".mov"`},
		{"suffix in any case", `{"s":[{"suffix":{"equals-ignore-case":".mov"}}]}`, `{"s":"a.MoV"}`, ""},
		{"no suffix", `{"s":[{"suffix":{"equals-ignore-case":".mov"}},{"suffix":".mp4"}]}`, `{"s":"a.txt"}`,
			`s "a.txt" matches none of suffix ".mov" in any case, suffix ".mp4"`},
		{"equals in any case", `{"s":[{"equals-ignore-case":"AWS"}]}`, `{"s":"aws"}`, ""},
		{"equals in any case, longer", `{"s":[{"equals-ignore-case":"AWS"}]}`, `{"s":"aws3"}`, `s "aws3" matches none of equals-ignore-case "AWS"`},
		{"prefix OR suffix", `{"s":[{"prefix":"up/"},{"suffix":".mov"}]}`, `{"s":"x.mov"}`, ""},

		{"exists", `{"s":[{"exists":true}]}`, `{"s":0}`, ""},
		{"exists with null", `{"s":[{"exists":true}]}`, `{"s":null}`, ""},
		{"exists not", `{"s":[{"exists":true}]}`, `{}`, `s is missing; wanted exists true`},
		{"exists sees leaves only", `{"s":[{"exists":true}]}`, `{"s":{"a":1}}`, `s is no single value; wanted exists true`},
		{"absent", `{"d":{"s":[{"exists":false}]}}`, `{"d":{"t":1}}`, ""},
		{"absent with its parent", `{"d":{"s":[{"exists":false}]}}`, `{}`, ""},
		{"not absent", `{"d":{"s":[{"exists":false}]}}`, `{"d":{"s":1}}`, `d.s 1 matches none of exists false`},
		{"absent or a value", `{"s":[{"exists":false},"a"]}`, `{"s":"a"}`, ""},
		{"absent although an object is there", `{"s":[{"exists":false}]}`, `{"s":{"a":1}}`, ""},
		{"absent in every element", `{"a":{"s":[{"exists":false}]}}`, `{"a":[{"t":1},{"t":2}]}`, ""},
		{"absent in one element only", `{"a":{"s":[{"exists":false}]}}`, `{"a":[{"t":1},{"s":2}]}`, `a.s is missing; wanted exists false`},

		{"anything but", `{"s":[{"anything-but":"a"}]}`, `{"s":"b"}`, ""},
		{"anything but this", `{"s":[{"anything-but":"a"}]}`, `{"s":"a"}`, `s "a" matches none of anything but "a"`},
		{"anything but needs a value", `{"s":[{"anything-but":"a"}]}`, `{}`, `s is missing; wanted anything but "a"`},
		{"anything but a list", `{"s":[{"anything-but":["a",1]}]}`, `{"s":1}`, `s 1 matches none of anything but "a", 1`},
		{"anything but a number", `{"s":[{"anything-but":1}]}`, `{"s":2}`, ""},
		{"anything but a prefix", `{"s":[{"anything-but":{"prefix":"out/"}}]}`, `{"s":"out/a"}`, `s "out/a" matches none of anything but prefix "out/"`},
		{"anything but a suffix", `{"s":[{"anything-but":{"suffix":".tmp"}}]}`, `{"s":"a.mov"}`, ""},

		{"event array, one fits", `{"r":["b"]}`, `{"r":["a","b"]}`, ""},
		{"event array, none fits", `{"r":["c"]}`, `{"r":["a","b"]}`, `r ["a","b"] matches none of "c"`},
		{"event array, nested", `{"r":["c"]}`, `{"r":[["a"],["c"]]}`, ""},
		{"event array, empty", `{"r":["c"]}`, `{"r":[]}`, `r is no single value; wanted "c"`},
		{"objects in an array", `{"r":{"a":["1"]}}`, `{"r":[{"a":"0"},{"a":"1"}]}`, ""},
		{"fields of one element", `{"r":{"a":["1"],"b":["1"]}}`, `{"r":[{"a":"1","b":"0"},{"a":"0","b":"1"}]}`, `r.b "0" matches none of "1"`},

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
		{"not JSON", `{"a":`, "not JSON"},
		{"two values", `{"a":["b"]} {}`, "something follows"},
		{"no object", `["a"]`, "must be a JSON object"},
		{"nothing", `{}`, "the pattern is empty"},
		{"an empty object", `{"a":{"b":{}}}`, "a.b is empty"},
		{"an empty array", `{"a":{"b":[]}}`, "a.b is an empty array"},
		{"a bare string", `{"a":{"b":"c"}}`, `a.b: a value must stand in an array, as in ["c"]`},
		{"a bare number", `{"a":1}`, `as in [1]`},
		{"a bare null", `{"a":null}`, `as in [null]`},
		{"an array in an array", `{"a":[["b"]]}`, "a[0]: an array in an array"},
		{"a key said twice", `{"a":{"b":["1"],"b":["2"]}}`, "a.b is said twice"},
		{"a filter's key said twice", `{"a":[{"prefix":"1","prefix":"2"}]}`, "a.prefix is said twice"},
		{"an unknown filter", `{"a":{"b":["x",{"wildcard":"*"}]}}`, `a.b[1]: unknown filter "wildcard"`},
		{"numeric", `{"a":[{"numeric":[">",1]}]}`, `unknown filter "numeric"`},
		{"$or", `{"$or":[{"a":["1"]},{"b":["1"]}]}`, "$or: operators over fields"},
		{"two filters in one", `{"a":[{"prefix":"1","suffix":"2"}]}`, "one key, not 2"},
		{"an empty filter", `{"a":[{}]}`, "one key, not 0"},
		{"a prefix that is no string", `{"a":[{"prefix":1}]}`, "prefix takes a string"},
		{"a suffix of something else", `{"a":[{"suffix":{"prefix":"x"}}]}`, "suffix takes a string"},
		{"a suffix in any case of a list", `{"a":[{"suffix":{"equals-ignore-case":["x"]}}]}`, "equals-ignore-case takes a string"},
		{"exists of a word", `{"a":[{"exists":"yes"}]}`, "exists takes true or false"},
		{"anything but nothing", `{"a":[{"anything-but":[]}]}`, "anything-but takes"},
		{"anything but null", `{"a":[{"anything-but":null}]}`, "anything-but takes"},
		{"anything but a boolean", `{"a":[{"anything-but":[true]}]}`, "strings and numbers only"},
		{"anything but an empty prefix", `{"a":[{"anything-but":{"prefix":""}}]}`, "not empty"},
		{"anything but any case", `{"a":[{"anything-but":{"equals-ignore-case":"x"}}]}`, "anything-but takes"},
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

func TestMatchesRefusesWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	pattern, err := eventbridge.Compile([]byte(`{"a":[{"exists":false}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{``, `null`, `[]`, `"a"`, `{"b":1`, `{} {}`} {
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
	f.Add(`{"a":[{"anything-but":["x",1]},{"exists":false},null]}`, `{"a":[[],{"b":1},"y"]}`)
	f.Add(`{"a":{"b":[true,{"prefix":"p"}]}}`, `{"a":[{"b":true},1,{"b":"pq"}]}`)
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

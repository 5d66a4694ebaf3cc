package dynamodb_test

import (
	"net/http/httptest"
	"testing"

	localdynamodb "ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
)

func TestACloneGoesItsOwnWay(t *testing.T) {
	t.Parallel()
	s, db := withTable(t)
	put(t, db, row{"pk": "a", "sk": "1", "n": 1}, row{"pk": "a", "sk": "3"})

	e := endpoint.New()
	e.Mount(s.Clone().API())
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	clone := localdynamodb.Client(server.URL)

	put(t, db, row{"pk": "a", "sk": "1", "n": 2}, row{"pk": "b", "sk": "1"})
	put(t, clone, row{"pk": "a", "sk": "2", "m": 1})
	for name, c := range map[string]struct{ got, want string }{
		"changed in the original": {get(t, clone, "a", "1"), "n=1 pk=a sk=1"},
		"added to the original":   {get(t, clone, "b", "1"), ""},
		"added to the clone":      {get(t, db, "a", "2"), ""},
		"as it was":               {get(t, clone, "a", "3"), "pk=a sk=3"},
		"its own":                 {get(t, clone, "a", "2"), "m=1 pk=a sk=2"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

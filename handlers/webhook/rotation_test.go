package main

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/scripts/local/aws/endpoint"
)

// Keys are cached for 5 minutes, and read again for an unknown one once a
// minute at most.
const (
	afterAMinute = time.Minute + time.Second
	afterTheTTL  = 5*time.Minute + time.Second
)

// reads fails unless the secret was read that many times.
func (c *cloud) reads(t *testing.T, want int) {
	t.Helper()
	if n := c.CallsTo("SecretsManager"); n != want {
		t.Errorf("Secrets Manager was asked %d times, want %d", n, want)
	}
}

func TestANewerKeyThanTheCachedOnes(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.setKeys(t, olderKey)
	synctest.Test(t, func(t *testing.T) {
		f := c.deploy(t)
		older, newest := request(t, "callback.json", f.token(t, ref, olderKey)), request(t, "callback.json", f.token(t, ref, newestKey))
		f.want(t, older, stored)
		c.reads(t, 1)

		c.setKeys(t, newestKey, olderKey)
		time.Sleep(30 * time.Second)
		f.want(t, newest, forbidden) // the keys were read less than a minute ago
		c.reads(t, 1)

		time.Sleep(31 * time.Second)
		f.want(t, newest, duplicate)
		f.want(t, older, duplicate) // still listed
		f.want(t, newest, duplicate)
		c.reads(t, 2)
	})
}

func TestForgedKeyIDsDoNotReadTheKeysAgainAndAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		good := request(t, "callback.json", f.token(t, ref, newestKey))
		f.want(t, good, stored)
		forgeries := func() {
			t.Helper()
			for i := range 100 {
				token := f.forge(t, jwt.SigningMethodHS256, fmt.Sprintf("%08x", i), []byte(foreignKey), claims())
				f.want(t, request(t, "callback.json", token), forbidden)
			}
		}
		forgeries()
		f.reads(t, 1)
		time.Sleep(afterAMinute)
		forgeries()
		f.reads(t, 2)
		time.Sleep(afterAMinute)
		forgeries()
		f.reads(t, 3)
		f.want(t, good, duplicate)
		f.reads(t, 3)
	})
}

func TestARemovedKeyIsRevoked(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		older, newest := f.token(t, ref, olderKey), f.token(t, ref, newestKey)
		f.want(t, request(t, "callback.json", older), stored)

		f.setKeys(t, newestKey)
		time.Sleep(4 * time.Minute)
		f.want(t, request(t, "callback.json", older), duplicate) // until the cache is over

		time.Sleep(afterTheTTL - 4*time.Minute)
		before := f.only(t)
		f.want(t, request(t, "callback.json", older), forbidden)
		f.want(t, callback(t, older, about(t, ref, "", "job_new", "succeeded")), forbidden)
		wantRow(t, f.only(t), before)
		f.want(t, request(t, "callback.json", newest), duplicate)
		f.reads(t, 2)
	})
}

// While the keys cannot be read again, those in use stay in use; who comes with
// another one is told to come again.
func TestTheKeysCannotBeReadAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), stored)
		f.setKeys(t, foreignKey, newestKey)
		f.Fail(handlertest.Service(endpoint.ServiceSecrets), down)
		time.Sleep(afterTheTTL)
		f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), duplicate)
		time.Sleep(afterAMinute)
		f.want(t, request(t, "callback.json", f.token(t, ref, foreignKey)), notStored)

		f.Intercept(nil)
		time.Sleep(afterAMinute)
		f.want(t, request(t, "callback.json", f.token(t, ref, foreignKey)), duplicate)
	})
}

package receiver

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/scripts/local/aws/endpoint"
)

// Keys are cached for 5 minutes, and read again for an unknown one every 5
// seconds at most.
const (
	afterRereads = 5*time.Second + time.Millisecond
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
		f.noted(t, ref, "task_abc123")
		older, newest := request(t, "callback.json", f.token(t, ref, olderKey)), request(t, "callback.json", f.token(t, ref, newestKey))
		f.want(t, older, stored)
		c.reads(t, 1)

		c.setKeys(t, newestKey, olderKey)
		time.Sleep(4 * time.Second)
		f.want(t, newest, forbidden) // the keys were read less than 5 seconds ago
		c.reads(t, 1)

		time.Sleep(time.Second)
		f.want(t, newest, duplicate)
		f.want(t, older, duplicate) // still listed
		f.want(t, newest, duplicate)
		c.reads(t, 2)
	})
}

func TestForgedKeyIDsDoNotReadTheKeysAgainAndAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		f.noted(t, ref, "task_abc123")
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
		time.Sleep(afterRereads)
		forgeries()
		f.reads(t, 2)
		time.Sleep(afterRereads)
		forgeries()
		f.reads(t, 3)
		f.want(t, good, duplicate)
		f.reads(t, 3)
	})
}

// A token that somebody made up just before a rotation keeps the new key out
// for seconds, even while more of them come.
func TestForgedKeyIDsDoNotHideARotation(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		f.noted(t, ref, "task_abc123")
		forge := func() {
			t.Helper()
			token := f.forge(t, jwt.SigningMethodHS256, "00000000", []byte(foreignKey), claims())
			f.want(t, request(t, "callback.json", token), forbidden)
		}
		forge()
		time.Sleep(time.Minute)
		forge()
		f.setKeys(t, foreignKey, newestKey)
		for range 5 {
			forge()
			time.Sleep(time.Second)
		}
		f.want(t, request(t, "callback.json", f.token(t, ref, foreignKey)), stored)
		f.reads(t, 3)
	})
}

func TestARemovedKeyIsRevoked(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		f.noted(t, ref, "task_abc123")
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
		f.noted(t, ref, "task_abc123")
		f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), stored)
		f.setKeys(t, foreignKey, newestKey)
		f.Fail(handlertest.Service(endpoint.ServiceSecrets), down)
		time.Sleep(afterTheTTL)
		f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), duplicate)
		time.Sleep(afterRereads)
		f.want(t, request(t, "callback.json", f.token(t, ref, foreignKey)), notStored)

		f.Intercept(nil)
		time.Sleep(afterRereads)
		f.want(t, request(t, "callback.json", f.token(t, ref, foreignKey)), duplicate)
	})
}

package secrets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/handlers/secrets"
)

const hidden = "hunter2-never-shown"

var errDown = errors.New("service is down")

// store is a secret whose reads a test can slow down and break. Each read
// returns what was stored when it began.
type store struct {
	mu    sync.Mutex
	text  string
	err   error
	delay time.Duration
	reads int
}

func (s *store) set(text string, err error, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text, s.err, s.delay = text, err, delay
}

func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

func (s *store) fetch(ctx context.Context) (string, error) {
	s.mu.Lock()
	text, err, delay := s.text, s.err, s.delay
	s.reads++
	s.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if err != nil {
		return "", err
	}
	return text, nil
}

// fixture is a store, its Value and the log of the Value, in a bubble of its
// own.
type fixture struct {
	*testing.T
	*store
	*secrets.Value[string]
	log *bytes.Buffer
}

func inBubble(t *testing.T, body func(f fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, log := &store{text: "one"}, &bytes.Buffer{}
		v := secrets.NewValue(slog.New(slog.NewJSONHandler(log, nil)), "the key", s.fetch, func(text string) (string, error) { return text, nil })
		body(fixture{t, s, v, log})
	})
}

func (f fixture) get() (string, error) { return f.Get(f.Context()) }

func (f fixture) refresh(minAge time.Duration) func() (string, error) {
	return func() (string, error) { return f.Refresh(f.Context(), minAge) }
}

// expect calls read and compares its value or error, the time it took, and the
// number of reads so far.
func (f fixture) expect(read func() (string, error), want string, wantErr error, took time.Duration, reads int) {
	f.Helper()
	began := time.Now()
	got, err := read()
	if got != want || !errors.Is(err, wantErr) {
		f.Errorf("got %q, %v; want %q, %v", got, err, want, wantErr)
	}
	if d := time.Since(began); d != took {
		f.Errorf("took %v, want %v", d, took)
	}
	if n := f.count(); n != reads {
		f.Errorf("%d reads so far, want %d", n, reads)
	}
}

// together calls read n times at once and returns the values, sorted by
// nothing; any error fails the test.
func (f fixture) together(n int, read func() (string, error)) []string {
	f.Helper()
	got := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var err error
			if got[i], err = read(); err != nil {
				f.Error(err)
			}
		})
	}
	wg.Wait()
	return got
}

func TestGetReadsOnceAndKeepsForFiveMinutes(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.set("one", nil, time.Second)
		for _, got := range f.together(20, f.get) {
			if got != "one" {
				f.Errorf("got %q", got)
			}
		}
		f.expect(f.get, "one", nil, 0, 1)

		// The value is as old as the beginning of its read, a second ago.
		f.set("two", nil, 0)
		time.Sleep(5*time.Minute - time.Second - time.Nanosecond)
		f.expect(f.get, "one", nil, 0, 1)
		time.Sleep(time.Nanosecond)
		f.expect(f.get, "two", nil, 0, 2)
	})
}

func TestGetDoesNotKeepFailures(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.set("", errDown, 0)
		f.expect(f.get, "", errDown, 0, 1)
		f.expect(f.get, "", errDown, 0, 2)
		f.set("one", nil, 0)
		f.expect(f.get, "one", nil, 0, 3)
		if f.log.Len() > 0 {
			f.Errorf("the callers had the errors, yet there is a log: %s", f.log)
		}
	})
}

func TestCallerThatLeavesDoesNotEndTheRead(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.set("one", nil, 3*time.Second)
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.expect(f.get, "one", nil, 3*time.Second, 1)
		}()
		f.expect(func() (string, error) {
			ctx, cancel := context.WithTimeout(f.Context(), time.Second)
			defer cancel()
			return f.Get(ctx)
		}, "", context.DeadlineExceeded, time.Second, 1)
		<-done

		// A value that is there does not need a living context.
		ctx, cancel := context.WithCancel(f.Context())
		cancel()
		f.expect(func() (string, error) { return f.Get(ctx) }, "one", nil, 0, 1)
	})
}

func TestReadEndsAfterFiveSeconds(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.set("one", nil, time.Hour)
		f.expect(f.get, "", context.DeadlineExceeded, 5*time.Second, 1)
	})
}

func TestOldValueStaysWhenReadingFails(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.set(hidden, nil, 0)
		f.expect(f.get, hidden, nil, 0, 1)

		f.set("", errDown, 0)
		time.Sleep(5 * time.Minute)
		f.expect(f.get, hidden, nil, 0, 2)
		synctest.Wait()
		line := f.log.String()
		for _, want := range []string{`"level":"WARN"`, `"secret":"the key"`, `"age":"5m0s"`, errDown.Error()} {
			if !strings.Contains(line, want) {
				f.Errorf("no %s in %s", want, line)
			}
		}
		if strings.Contains(line, hidden) {
			f.Error("the log holds the secret")
		}

		time.Sleep(30*time.Second - time.Nanosecond)
		f.expect(f.get, hidden, nil, 0, 2)
		time.Sleep(time.Nanosecond)
		f.expect(f.get, hidden, nil, 0, 3)
		f.set("two", nil, 0)
		time.Sleep(30 * time.Second)
		f.expect(f.get, "two", nil, 0, 4)
		synctest.Wait()
		if n := strings.Count(f.log.String(), "\n"); n != 2 {
			f.Errorf("%d warnings for 2 failed reads", n)
		}
	})
}

func TestOldValueStaysWhileReadingIsSlow(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.expect(f.get, "one", nil, 0, 1)
		f.set("two", nil, 4*time.Second)
		time.Sleep(5 * time.Minute)
		f.expect(f.get, "one", nil, time.Second, 2)
		f.expect(f.get, "one", nil, 0, 2)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		f.expect(f.get, "two", nil, 0, 2)
	})
}

func TestPrefetch(t *testing.T) {
	t.Run("the first Get waits for it", func(t *testing.T) {
		inBubble(t, func(f fixture) {
			f.set("one", nil, 3*time.Second)
			f.Prefetch()
			f.Prefetch()
			time.Sleep(time.Second)
			f.expect(f.get, "one", nil, 2*time.Second, 1)
			f.Prefetch()
			synctest.Wait()
			f.expect(f.get, "one", nil, 0, 1)
		})
	})
	t.Run("Get reads again when it breaks under way", func(t *testing.T) {
		inBubble(t, func(f fixture) {
			f.set("", errDown, 2*time.Second)
			f.Prefetch()
			time.Sleep(time.Second)
			f.set("one", nil, time.Second)
			for _, got := range f.together(5, f.get) {
				if got != "one" {
					f.Errorf("got %q", got)
				}
			}
			if n := f.count(); n != 2 {
				f.Errorf("%d reads, want 2", n)
			}
		})
	})
	t.Run("Get reads again when it broke before", func(t *testing.T) {
		inBubble(t, func(f fixture) {
			f.set("", errDown, 0)
			f.Prefetch()
			synctest.Wait()
			f.set("one", nil, 0)
			f.expect(f.get, "one", nil, 0, 2)
		})
	})
	t.Run("Get tries once more, not for ever", func(t *testing.T) {
		inBubble(t, func(f fixture) {
			f.set("", errDown, time.Second)
			f.Prefetch()
			f.expect(f.get, "", errDown, 2*time.Second, 2)
		})
	})
}

func TestRefreshReadsAgain(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.expect(f.get, "one", nil, 0, 1)
		f.set("two", nil, time.Second)
		for _, got := range f.together(20, f.refresh(0)) {
			if got != "two" {
				f.Errorf("got %q", got)
			}
		}
		f.expect(f.get, "two", nil, 0, 2)
	})
}

func TestRefreshSharesAnotherRefresh(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.expect(f.get, "one", nil, 0, 1)
		f.set("two", nil, 2*time.Second)
		go f.refresh(0)()
		time.Sleep(time.Second)
		f.expect(f.refresh(0), "two", nil, time.Second, 2)
	})
}

// A read that began before the Refresh may bring the key that was refused.
func TestRefreshPassesAnOlderRead(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.set("old", nil, 4*time.Second)
		f.Prefetch()
		synctest.Wait()
		f.set("new", nil, time.Second)
		time.Sleep(time.Second)
		f.expect(f.refresh(0), "new", nil, time.Second, 2)

		time.Sleep(3 * time.Second) // the older read ends now, and must not bring its value back
		synctest.Wait()
		f.expect(f.get, "new", nil, 0, 2)
	})
}

func TestReadThatWasPassedLeavesTheLaterOneShared(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.set("old", nil, 2*time.Second)
		f.Prefetch()
		synctest.Wait()
		f.set("new", nil, 3*time.Second)
		time.Sleep(time.Second)
		go f.refresh(0)()
		time.Sleep(2 * time.Second)
		f.expect(f.get, "old", nil, 0, 2)
		f.expect(f.refresh(0), "new", nil, time.Second, 2)
	})
}

func TestReadThatWasPassedFailsUnnoticed(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.set("", errDown, 2*time.Second)
		f.Prefetch()
		synctest.Wait()
		f.set("new", nil, 0)
		f.expect(f.refresh(0), "new", nil, 0, 2)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		f.expect(f.get, "new", nil, 0, 2)
		if f.log.Len() > 0 {
			f.Errorf("log: %s", f.log)
		}
	})
}

func TestRefreshAtMostOnceAMinute(t *testing.T) {
	inBubble(t, func(f fixture) {
		refresh := f.refresh(time.Minute)
		f.expect(f.get, "one", nil, 0, 1)
		f.set("two", nil, 0)
		time.Sleep(time.Minute - time.Nanosecond)
		f.expect(refresh, "one", nil, 0, 1)
		time.Sleep(time.Nanosecond)
		f.expect(refresh, "two", nil, 0, 2)

		// A failed read counts as well: strangers must not cause one with each
		// request.
		f.set("", errDown, 0)
		time.Sleep(time.Minute)
		f.expect(refresh, "", errDown, 0, 3)
		f.expect(refresh, "", errDown, 0, 3)
		f.expect(f.get, "two", nil, 0, 3)
		if f.log.Len() > 0 {
			f.Errorf("the callers had the errors, yet there is a log: %s", f.log)
		}
		f.set("three", nil, 0)
		time.Sleep(time.Minute)
		f.expect(refresh, "three", nil, 0, 4)

		// A failure does not hide a value that is young enough.
		f.set("", errDown, 0)
		f.expect(f.refresh(0), "", errDown, 0, 5)
		f.expect(refresh, "three", nil, 0, 5)
	})
}

func TestRefreshSharesAReadThatIsYoungEnough(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.set("one", nil, 2*time.Second)
		f.Prefetch()
		time.Sleep(time.Second)
		f.expect(f.refresh(time.Minute), "one", nil, time.Second, 1)
	})
}

func TestRefreshEndsWithItsContext(t *testing.T) {
	inBubble(t, func(f fixture) {
		f.set("one", nil, 2*time.Second)
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		f.expect(func() (string, error) { return f.Refresh(ctx, 0) }, "", context.DeadlineExceeded, time.Second, 1)
		f.expect(f.get, "one", nil, time.Second, 1)
	})
}

func TestErrorsNameTheSecretAndDoNotQuoteIt(t *testing.T) {
	t.Parallel()
	s := &store{text: "{" + hidden}
	v := secrets.NewValue(slog.Default(), "Ittybit API key", s.fetch, secrets.APIKey)
	_, err := v.Get(t.Context())
	if text := fmt.Sprint(err); err == nil || !strings.Contains(text, "Ittybit API key") || strings.Contains(text, hidden) {
		t.Errorf("error: %v", err)
	}
}

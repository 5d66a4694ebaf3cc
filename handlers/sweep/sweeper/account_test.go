package sweeper

import (
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

// A 404 that is not Ittybit's own is a wrong address: it says nothing of the
// jobs.
func TestWrongURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wrong := handlertest.Serve(t, http.NotFoundHandler())
	synctest.Test(t, func(t *testing.T) {
		f := w.deploy(t, env.IttybitAPIURL, wrong)
		start := time.Now()
		now := start.Add(giveUpAfter)
		var ids []string
		for i := range maxInARow {
			ids = append(ids, f.unknown(t, fmt.Sprint(i), start))
		}
		f.unknown(t, "not asked for", now.Add(-time.Hour))
		f.badly(t, now, "check the API URL", "Ittybit fails for the list of jobs, too")
		for _, id := range ids {
			f.want(t, id, media.Queued, now.Add(mostWait))
		}
	})
}

// While the account or the key is not in order, a run ends early and says what
// to do. The jobs that it asked for are due later, the others stay as they are,
// and none is given up.
func TestARunEndsWithoutTheAccount(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(w *world, ids []string)
		says  string
		done  int // jobs settled before
		asked int // jobs asked for in vain
	}{
		"wrong key":     {spoil: func(w *world, _ []string) { w.ittybit.SetKeys("another") }, says: "check the API key", asked: 1},
		"unpaid":        {spoil: func(w *world, _ []string) { w.status(http.StatusPaymentRequired) }, says: "check the bill of the Ittybit account", asked: maxDenied},
		"forbidden":     {spoil: func(w *world, _ []string) { w.status(http.StatusForbidden) }, says: "check what the API key may do", asked: maxDenied},
		"refused later": {spoil: func(w *world, ids []string) { w.status(http.StatusUnauthorized, append(ids[3:], "")...) }, says: "check the API key", done: 3, asked: 1},
		"no key":        {spoil: func(w *world, _ []string) { w.Secrets.SetEmpty(keyName) }, says: "no job was asked for: Ittybit's API key (ittybit/key)"},
		"blank key":     {spoil: func(w *world, _ []string) { w.Secrets.Set(keyName, " ") }, says: "store the API key in it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			synctest.Test(t, func(t *testing.T) {
				f := w.deploy(t)
				start := time.Now()
				var ids []string
				for i := range 8 {
					ids = append(ids, f.dispatched(t, fmt.Sprint(i), start.Add(time.Duration(i)*time.Second)))
					f.ends(t, ids[i], fakeittybit.Succeeded)
				}
				tt.spoil(w, ids)
				f = w.deploy(t) // after the secret was changed
				before := f.rows(t)
				s := f.badly(t, start.Add(giveUpAfter), tt.says)
				for i, id := range ids {
					if i < tt.done {
						f.want(t, id, media.Succeeded, time.Time{})
					} else if i < tt.done+tt.asked {
						f.want(t, id, media.Queued, start.Add(giveUpAfter+mostWait))
					} else if row := f.rows(t)[id]; !reflect.DeepEqual(row, before[id]) {
						t.Errorf("row %d was touched: %+v", i, row)
					}
				}
				if !s.Behind || s.Jobs[string(settled)] != tt.done || s.Jobs[string(failed)] != tt.asked {
					t.Errorf("the run says %+v", s)
				}
				if len(f.asked) != tt.done+tt.asked {
					t.Errorf("%d more jobs were asked for, want %d", len(f.asked)-tt.done, tt.asked)
				}
				f.log.WantCounted(t, telemetry.SweepBehind, map[string]float64{"": 1})
			})
		})
	}
}

// Without overdue jobs nobody needs a key.
func TestNoJobsNeedNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Secrets.SetEmpty(keyName)
	synctest.Test(t, func(t *testing.T) {
		wantJobs(t, w.deploy(t).well(t, time.Now()), false, map[outcome]int{})
	})
}

func TestDynamoDBFails(t *testing.T) {
	t.Parallel()
	t.Run("query", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
			f.dispatched(t, "a", start)
			f.Fail(handlertest.Operation("Query"), endpoint.Throttled(endpoint.Call{Service: endpoint.ServiceDynamoDB}))
			wantJobs(t, f.badly(t, start.Add(time.Hour), results.ErrThrottled.Error()), false, map[outcome]int{})
		})
	})
	// What cannot be stored is due later, too: it must not come first for ever.
	t.Run("one result", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
			var ids []string
			for i := range 3 {
				ids = append(ids, f.dispatched(t, fmt.Sprint(i), start.Add(time.Duration(i)*time.Second)))
				f.ends(t, ids[i], fakeittybit.Succeeded)
			}
			f.Fail(rowUpdates, &endpoint.Fault{Type: "ValidationException", Message: "Item size has exceeded the maximum allowed size"}, nil)
			now := start.Add(time.Hour)
			wantJobs(t, f.badly(t, now, "Item size"), false, map[outcome]int{failed: 1, settled: 2})
			f.want(t, ids[0], media.Queued, now.Add(30*time.Minute))
			wantJobs(t, f.well(t, now.Add(30*time.Minute)), false, map[outcome]int{settled: 1})
		})
	})
	// A job that is not due later is not done with, whatever Ittybit says of it.
	t.Run("next looks", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
			f.dispatched(t, "goes on", start)
			lost := f.unknown(t, "lost", start)
			now := start.Add(missingAfter - time.Minute)
			wantJobs(t, f.well(t, now), false, map[outcome]int{open: 1, missing: 1})
			f.Fail(handlertest.Operation("UpdateItem"), &endpoint.Fault{Type: "AccessDeniedException", Message: "no"})
			wantJobs(t, f.badly(t, now.Add(mostWait), "allow the role dynamodb:UpdateItem"), false, map[outcome]int{failed: 2})
			f.want(t, lost, media.Queued, now.Add(mostWait))
		})
	})
	t.Run("writes", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
			for i := range 3 * maxInARow {
				f.dispatched(t, fmt.Sprint(i), start)
			}
			f.Fail(handlertest.Operation("UpdateItem"), &endpoint.Fault{Type: "AccessDeniedException", Message: "no"})
			s := f.badly(t, start.Add(time.Hour), "allow the role dynamodb:UpdateItem", "writes failed for 5 jobs in a row")
			wantJobs(t, s, true, map[outcome]int{failed: maxInARow})
		})
	})
}

func leaseUpdates(c endpoint.Call) bool { return bytes.Contains(c.Body, []byte("lease#")) }

func rowUpdates(c endpoint.Call) bool { return c.Operation == "UpdateItem" && !leaseUpdates(c) }

// Start-up counts for dispatch, which was measured: sweep links nothing beside
// what dispatch links.
func TestInitStaysLight(t *testing.T) {
	t.Parallel()
	linked := func(name string) []string {
		out, err := exec.Command("go", "list", "-deps", "ittybit-media/handlers/"+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	known := append(linked("dispatch"), "ittybit-media/handlers/record", "ittybit-media/handlers/sweep", "ittybit-media/handlers/sweep/sweeper")
	for _, name := range linked("sweep") {
		if !slices.Contains(known, name) {
			t.Errorf("sweep links %s, dispatch does not", name)
		}
	}
}

func TestWireNamesTheVariable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, value := range map[string]string{
		env.TableName: "", env.IttybitAPIKeySecret: "", env.IttybitAPIURL: "http://example.com",
		env.OverdueAfter: "soon", env.GiveUpAfter: "-1h", "AWS_REGION": "",
	} {
		_, err := Wire(w.env.With(name, value).Get, function.Options{})
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "private") {
			t.Errorf("%s = %q: %v", name, value, err)
		}
	}
}

func TestWireUsesTheEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Parameters.Set("/ittybit/key", apiKey)
	synctest.Test(t, func(t *testing.T) {
		f := w.deploy(t, env.OverdueAfter, "1h", env.GiveUpAfter, "2h", env.ResultTTLDays, "30",
			env.IttybitAPIKeySecret, "", env.IttybitAPIKeyParam, "/ittybit/key")
		start := time.Now().UTC()
		id := f.dispatched(t, "a", start)
		f.well(t, start.Add(90*time.Minute))
		f.want(t, id, media.Processing, start.Add(2*time.Hour)) // half an hour overdue
		now := start.Add(2 * time.Hour)
		f.well(t, now)
		if row := f.want(t, id, media.InferredFailed, time.Time{}); int64(row.ExpiresAt) != now.AddDate(0, 0, 30).Unix() {
			t.Errorf("the row expires at %v", row.ExpiresAt)
		}
	})
}

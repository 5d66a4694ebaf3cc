package dispatcher

import (
	"reflect"
	"testing"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

func TestPlanJobs(t *testing.T) {
	t.Parallel()
	video, audio := media.Job{Name: "video"}, media.Job{Name: "audio"}
	route := media.Route{Jobs: []media.Job{video, audio}}
	has := func(jobs ...string) results.Ledger {
		l := results.Ledger{Entries: map[results.Slot]results.Entry{}}
		for _, job := range jobs {
			l.Entries[results.Slot{Job: job}] = results.Entry{ID: "id_" + job}
		}
		return l
	}
	rejected := func(job string, attempt int) results.Ledger {
		return results.Ledger{Entries: map[results.Slot]results.Entry{
			{Job: job, Attempt: attempt}: {Rejected: &results.Rejection{}},
		}}
	}
	for name, tt := range map[string]struct {
		req   event.Request
		known results.Ledger
		want  plan
	}{
		"nothing is known":                {want: plan{missing: []media.Job{video, audio}}},
		"one is known":                    {known: has("video"), want: plan{missing: []media.Job{audio}}},
		"all are known":                   {known: has("video", "audio")},
		"only a reservation is known":     {known: results.Ledger{Entries: map[results.Slot]results.Entry{{Job: "video"}: {Reserved: "2026-04-03"}}}, want: plan{missing: []media.Job{video, audio}}},
		"the upload was rejected":         {known: rejected("", 0)},
		"one was rejected":                {known: rejected("audio", 0), want: plan{missing: []media.Job{video}}},
		"one is asked for":                {req: event.Request{Jobs: []string{"audio"}}, want: plan{missing: []media.Job{audio}}},
		"another attempt":                 {req: event.Request{Attempt: 1}, known: has("video", "audio"), want: plan{missing: []media.Job{video, audio}}},
		"a later attempt was rejected":    {req: event.Request{Attempt: 1}, known: rejected("audio", 2), want: plan{missing: []media.Job{video}}},
		"the route has no such job":       {req: event.Request{Jobs: []string{"poster"}}, want: plan{unknown: []string{"poster"}}},
		"that is known, as a rejection":   {req: event.Request{Jobs: []string{"poster"}}, known: rejected("poster", 0)},
		"that is known, of another route": {req: event.Request{Jobs: []string{"poster"}}, known: has("poster")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := planJobs(route, tt.req, tt.known); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

package main

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
	row := func(job string, attempt int, dispatchedAt results.Millis) results.Row {
		return results.Row{SortKey: "task#" + job, Job: job, Attempt: attempt, State: "queued", Description: results.Description{DispatchedAt: dispatchedAt}}
	}
	rejected := func(job string, attempt int) results.Row {
		return results.Row{SortKey: "upload#u", Job: job, Attempt: attempt, State: media.Rejected}
	}
	for name, tt := range map[string]struct {
		req  event.Request
		rows results.UploadRows
		want plan
	}{
		"nothing is there":                {want: plan{missing: []media.Job{video, audio}}},
		"one is there":                    {rows: results.UploadRows{row("video", 0, 1)}, want: plan{missing: []media.Job{audio}}},
		"all are there":                   {rows: results.UploadRows{row("video", 0, 1), row("audio", 0, 1)}},
		"a callback was faster":           {rows: results.UploadRows{row("video", 0, 0), row("audio", 0, 1)}, want: plan{unnoted: []results.Row{row("video", 0, 0)}}},
		"the upload was rejected":         {rows: results.UploadRows{rejected("", 0)}},
		"one was rejected":                {rows: results.UploadRows{rejected("audio", 0)}, want: plan{missing: []media.Job{video}}},
		"one is asked for":                {req: event.Request{Jobs: []string{"audio"}}, want: plan{missing: []media.Job{audio}}},
		"another attempt":                 {req: event.Request{Attempt: 1}, rows: results.UploadRows{row("video", 0, 0), rejected("audio", 0)}, want: plan{missing: []media.Job{video, audio}}},
		"a later attempt was rejected":    {req: event.Request{Attempt: 1}, rows: results.UploadRows{rejected("audio", 2)}, want: plan{missing: []media.Job{video}}},
		"the route has no such job":       {req: event.Request{Jobs: []string{"poster"}}, want: plan{unknown: []string{"poster"}}},
		"that is known, as a rejection":   {req: event.Request{Jobs: []string{"poster"}}, rows: results.UploadRows{rejected("poster", 0)}},
		"that is known, of another route": {req: event.Request{Jobs: []string{"poster"}}, rows: results.UploadRows{row("poster", 0, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := planJobs(route, tt.req, tt.rows); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

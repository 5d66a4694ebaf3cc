package main

import "testing"

func TestIttybit(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"a wrong key": {
			change: func(w *world) { w.Ittybit.SetKeys("another") },
			want:   []string{"ok api key", "fix ittybit: HTTP 401 → store the key"},
		},
		"a bill":           {change: func(w *world) { w.ittybit(402, `{"kind":"payment_required","message":"pay"}`) }, want: []string{"fix ittybit: HTTP 402 → bill"}},
		"a key for less":   {change: func(w *world) { w.ittybit(403, `{"kind":"forbidden","message":"no"}`) }, want: []string{"fix ittybit: HTTP 403 → may list"}},
		"nobody at home":   {change: func(w *world) { w.ittybit(404, `<html>`) }, want: []string{"fix ittybit: is not Ittybit's API → correct ittybitApiUrl"}},
		"somebody else":    {change: func(w *world) { w.ittybit(200, `<html>`) }, want: []string{"fix ittybit: is not Ittybit's API → correct ittybitApiUrl"}},
		"another question": {change: func(w *world) { w.ittybit(400, `{"kind":"invalid_input","message":"no"}`) }, want: []string{"warn ittybit: HTTP 400 → later"}},
		"no Ittybit": {
			change: func(w *world) { w.set("ittybitApiUrl", "http://127.0.0.1:1") },
			want:   []string{"fix ittybit: no_answer → network"},
		},
		"no connection":     {change: func(w *world) { w.set("connectionId", nil) }, want: []string{"warn connection: default connection → connectionId"}},
		"the example's own": {change: func(w *world) { w.set("connectionId", exampleConnection) }, want: []string{"warn connection: conn_abc123 → connectionId"}},
	})
}

func TestEventBus(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"the default bus": {
			change: func(w *world) { w.set("resultEventBus", nil) },
			want:   []string{"ok event bus: default bus"},
		},
		"no result events": {
			change: func(w *world) { w.set("resultEvents", false); w.set("resultEventBus", nil) },
			want:   []string{"skip event bus: resultEvents"},
		},
		"no such bus": {
			change: func(w *world) { w.toAWS.answer("DescribeEventBus", fault("ResourceNotFoundException")) },
			want:   []string{"fix event bus: there is no event bus media-results in us-east-1 → create-event-bus --region us-east-1"},
		},
		"a bus that may not be seen": {
			change: func(w *world) { w.toAWS.answer("DescribeEventBus", fault("AccessDeniedException")) },
			want:   []string{"warn event bus: media-results → events:DescribeEventBus"},
		},
		"a bus elsewhere": {
			change: func(w *world) { w.set("resultEventBus", "arn:aws:events:eu-west-1:000000000000:event-bus/x") },
			want:   []string{"fix event bus: 000000000000 and eu-west-1 → account and region"},
		},
		"a bus of others": {
			change: func(w *world) { w.set("resultEventBus", "arn:aws:events:us-east-1:111111111111:event-bus/x") },
			want:   []string{"fix event bus: account 111111111111 → account and region"},
		},
	})
}

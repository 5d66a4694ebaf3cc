package main

import (
	"strings"
	"testing"
	"time"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// answer is what is to be found, and a part of what it rests on or means.
type answer struct{ answer, says string }

// The questions, as the tests call them.
var questionOf = map[string]string{
	"callback":   "Is webhook_url honoured on /jobs?",
	"query":      "Does webhook_url keep its query string?",
	"signature":  "Are callbacks signed?",
	"connection": "Does Ittybit read connection_id where connectionPlacement puts it?",
	"characters": "Are inputs with special characters in their keys read?",
	"race":       "Do two requests at once with one idempotency key make one job?",
	"refusal":    "Are refusals kept with their idempotency key?",
	"filter":     "Does the list of jobs filter by the exact input?",
	"metadata":   "Does the list of jobs carry their metadata?",
}

// answersTest is an Ittybit, and what smoke finds out about it.
type answersTest struct {
	ittybit func(*fakeittybit.Options)
	stack   map[string]any
	env     map[string]map[string]string
	args    []string
	code    int
	says    string // on standard error
	want    map[string]answer
	jobs    int // of the questions
}

var answersTests = map[string]answersTest{
	"as one would wish": {
		ittybit: func(o *fakeittybit.Options) {
			o.Instant = false
			o.SigningSecret = "shh"
			o.Connection = fakeittybit.Connection{ID: "conn_abc123", At: "options"}
		},
		want: map[string]answer{
			"callback":   {yes, "3 of the upload's jobs were called back"},
			"query":      {yes, "webhookAuth: token works"},
			"signature":  {yes, "webhookAuth: both is possible"},
			"connection": {yes, "in options it is read, in root it is ignored → connectionPlacement: options is right"},
			"characters": {yes, "keys may be whatever S3 takes"},
			"race":       {yes, "both got the same job"},
			"refusal":    {no, "tried anew each time"},
			"filter":     {yes, "none for a part of it"},
			"metadata":   {yes, "one request finds the jobs"},
		},
		jobs: 6, // the connection that is not there makes none in options
	},
	"as one would not": {
		ittybit: func(o *fakeittybit.Options) {
			o.Instant = false
			o.Connection = fakeittybit.Connection{ID: "conn_abc123", At: "root"}
			o.ReadKey = func(key string) string {
				return strings.FieldsFunc(key, func(r rune) bool { return r == '#' || r == '?' })[0]
			}
			o.InFlight, o.Latency = fakeittybit.RaceInFlight, 50*time.Millisecond
			o.ReplayRefusals, o.ListIgnoresInput, o.ListOmitsMetadata = true, true, true
		},
		want: map[string]answer{
			"callback":   {yes, ""},
			"query":      {yes, ""},
			"signature":  {no, "webhookAuth: token is the only way"},
			"connection": {no, "in options it is ignored, in root it is read → set connectionPlacement: root"},
			"characters": {no, `not with "#" "?" in the key: the job failed: `},
			"race":       {no, "can make a job twice"},
			"refusal":    {yes, "idempotency_mismatch"},
			"filter":     {no, "the list has jobs of other inputs"},
			"metadata":   {no, "asks for each job by itself"},
		},
		jobs: 3 + 1 + 1 + 6 + 2,
	},
	"strict": {
		ittybit: func(o *fakeittybit.Options) {
			o.Connection = fakeittybit.Connection{ID: "conn_abc123", At: "root", Strict: true}
			o.InFlight, o.Latency = fakeittybit.RefuseInFlight, 50*time.Millisecond
		},
		stack: map[string]any{"connectionPlacement": "root"},
		want: map[string]answer{
			"connection": {yes, "in root it is read, in options it does not work; ittybit: create job: HTTP 400"},
			"race":       {yes, "one was taken, the other refused: "},
		},
		jobs: 1 + 1 + 1 + 1,
	},
	"another place for the connection": {
		ittybit: func(o *fakeittybit.Options) {
			o.Connection = fakeittybit.Connection{ID: "conn_abc123", At: "root", Strict: true}
		},
		args: []string{"-timeout", "1s"},
		code: cli.ExitFailed,
		says: "it waits for another try (the retry queue has 1 message)",
		want: map[string]answer{
			"callback":   {unknown, "none of the upload's jobs ended"},
			"query":      {unknown, "no callback came"},
			"signature":  {unknown, ""},
			"connection": {no, "in options it does not work, in root it is read; ittybit: create job: HTTP 400 invalid_input: connection_id is not known here → set connectionPlacement: root"},
			"filter":     {unknown, "no job to look for"},
			"metadata":   {unknown, "no job in the list"},
		},
		jobs: 1,
	},
	"a connection that is not there": {
		ittybit: func(o *fakeittybit.Options) {
			o.Connection = fakeittybit.Connection{ID: "conn_other", At: "options", Strict: true}
		},
		args: []string{"-timeout", "1s"},
		code: cli.ExitFailed,
		says: "there is no connection",
		want: map[string]answer{"connection": {no, "conn_abc123 cannot read the bucket: check its keys"}},
	},
	"no connection, and no suffix that is free": {
		stack: map[string]any{"connectionId": "", "routes": []any{map[string]any{
			"suffixes": []any{".mov", ".qt", ".m4v", ".mpeg", ".mpg", ".avi"},
			"jobs":     []any{map[string]any{"name": "video", "kind": "video"}},
		}}},
		want: map[string]answer{
			"connection": {unknown, "no connectionId is set"},
			"characters": {unknown, "every suffix"},
		},
		jobs: 1 + 1,
	},
	"a suffix that is not read": {
		ittybit: func(o *fakeittybit.Options) {
			o.Instant = false
			o.ReadKey = func(key string) string { return strings.TrimSuffix(key, ".qt") }
		},
		want: map[string]answer{"characters": {unknown, "a plain key with the suffix .qt does not work either"}},
		jobs: 4 + 8 + 1 + 1,
	},
	"signatures alone": {
		ittybit: func(o *fakeittybit.Options) { o.SigningSecret = "shh" },
		stack:   map[string]any{"webhookAuth": "signature", "ittybitWebhookSecret": "webhook-secret"},
		env:     map[string]map[string]string{"webhook": {"WEBHOOK_AUTH": "signature", "ITTYBIT_WEBHOOK_SECRET": "webhook-secret"}},
		want: map[string]answer{
			"callback":  {yes, ""},
			"query":     {unknown, "webhook does not look at the token"},
			"signature": {yes, ""},
		},
		jobs: 7,
	},
}

// No answer makes smoke fail; a pipeline that an answer breaks does.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range answersTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, tt.ittybit, func(o *pipeline.Options) {
				o.Stack = pipelinetest.Config(t, tt.stack)
				o.Env = tt.env
			})
			r.Secrets.Set("webhook-secret", "shh")
			got := r.Do(append(tt.args, "-json", "-skip-retry-path")...)
			want(t, got, tt.code, tt.says)
			f := findings(t, got)
			if len(f) != len(questionOf) {
				t.Errorf("%d findings", len(f))
			}
			for question, want := range tt.want {
				if got := f[questionOf[question]]; got[0] != want.answer || !strings.Contains(got[1], want.says) {
					t.Errorf("%s: %v, want %v", question, got, want)
				}
			}
			if own := len(questionJobs(r)); own != tt.jobs {
				t.Errorf("the questions made %d jobs, want %d", own, tt.jobs)
			}
			if left := objects(t, r); len(left) > 0 {
				t.Errorf("objects left: %v", left)
			}
		})
	}
}

// What it says that it costs is what it can cost.
func TestCost(t *testing.T) {
	t.Parallel()
	s := &smoke{}
	least, most := s.cost()
	s.out.Settings.ConnectionID = "conn_abc123"
	leastWith, mostWith := s.cost()
	if least != 3 || most != 11 || leastWith != 7 || mostWith != 15 {
		t.Errorf("%d to %d, with a connection %d to %d", least, most, leastWith, mostWith)
	}
}

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
)

// The answers to a question.
const (
	yes     = "yes"
	no      = "no"
	unknown = "could not tell"
)

// finding is the answer to a question about Ittybit.
type finding struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
	Found    string `json:"found"`           // what it rests on, or why there is none
	Means    string `json:"means,omitempty"` // for the stack
}

// question is something that Ittybit's documentation leaves open, or
// contradicts itself in.
type question struct {
	text        string
	least, most int // jobs that it takes
	// answer tries it out on Ittybit, or tells from the way that the upload went.
	answer func(ctx context.Context, w way) (answer, found, means string)
}

func (s *smoke) questions() []question {
	connection := question{"Does Ittybit read connection_id where connectionPlacement puts it?", 4, 4, s.askConnection}
	if s.out.Settings.ConnectionID == "" {
		connection.least, connection.most = 0, 0
	}
	return []question{
		{"Is webhook_url honoured on /jobs?", 0, 0, s.askCallback},
		{"Does webhook_url keep its query string?", 0, 0, s.askQuery},
		{"Are callbacks signed?", 0, 0, s.askSignature},
		connection,
		{"Are inputs with special characters in their keys read?", 1, 2 + len(special), s.askCharacters},
		{"Do two requests at once with one idempotency key make one job?", 1, 2, s.askRace},
		{"Are refusals kept with their idempotency key?", 1, 1, s.askRefusal},
		{"Does the list of jobs filter by the exact input?", 0, 0, s.askFilter},
		{"Does the list of jobs carry their metadata?", 0, 0, s.askMetadata},
	}
}

// cost is how many jobs the questions make: at least, and if Ittybit answers in
// ways that its documentation does not suggest.
func (s *smoke) cost() (least, most int) {
	for _, q := range s.questions() {
		least, most = least+q.least, most+q.most
	}
	return least, most
}

// answers tries every question.
func (s *smoke) answers(ctx context.Context, w way) []finding {
	defer s.done(partQuestions)
	if s.ittybit != nil {
		least, most := s.cost()
		s.note(partQuestions, "asking Ittybit what is open about it, with %d small jobs of its own, up to %d if its answers are unexpected (-no-questions leaves this out)", least, most)
	}
	var findings []finding
	for _, q := range s.questions() {
		s.waits(partQuestions, "%s", q.text)
		f := finding{Question: q.text, Answer: unknown, Found: "Ittybit cannot be asked from here"}
		if s.ittybit != nil {
			f.Answer, f.Found, f.Means = q.answer(ctx, w)
		}
		f.Found, f.Means = media.Redact(f.Found), media.Redact(f.Means)
		findings = append(findings, f)
	}
	return findings
}

// over are the upload's jobs whose end came by callback, and those that ended
// without.
func (s *smoke) over(w way) (called, uncalled int) {
	for _, r := range w.rows {
		switch {
		case isOpen(r) || r.JobID() == "":
		case s.calledBack(w, r):
			called++
		default:
			uncalled++
		}
	}
	return called, uncalled
}

func (s *smoke) askCallback(ctx context.Context, w way) (answer, found, means string) {
	called, uncalled := s.over(w)
	for _, r := range w.rows {
		if !isOpen(r) {
			continue
		}
		if job, err := s.ittybit.Get(ctx, r.JobID()); err == nil && job.State.Final() {
			uncalled++
		}
	}
	switch {
	case called > 0:
		return yes, fmt.Sprintf("%d of the upload's jobs were called back", called), "results come as soon as they are there; sweep is for the rest"
	case uncalled > 0 && w.refused == 0:
		return no, fmt.Sprintf("%d of the upload's jobs ended, and nobody called", uncalled), "every result waits for sweep: set sweepInterval and overdueAfter low, such as 1m each"
	case uncalled > 0:
		return unknown, s.refusals(w), "find out whether these were Ittybit's"
	}
	return unknown, "none of the upload's jobs ended", ""
}

func (s *smoke) askQuery(_ context.Context, w way) (answer, found, means string) {
	called, uncalled := s.over(w)
	auth := s.out.Settings.WebhookAuth
	switch {
	case auth == env.AuthSignature:
		return unknown, "webhookAuth is signature: webhook does not look at the token in the query string", ""
	case called > 0:
		return yes, "webhook took the token in it", fmt.Sprintf("webhookAuth: %s works", auth)
	case w.refused > 0 && (uncalled > 0 || slices.ContainsFunc(w.rows, isOpen)):
		return no, s.refusals(w), "if these were Ittybit's, tokens cannot be used: webhookAuth: signature, if callbacks are signed"
	}
	return unknown, "no callback came", ""
}

func (s *smoke) askSignature(ctx context.Context, w way) (answer, found, means string) {
	limited, cancel := context.WithTimeout(ctx, s.pace.inLog)
	defer cancel()
	for {
		callbacks := slices.Collect(maps.Values(w.called))
		called, _ := s.over(w)
		if called == 0 {
			callbacks = []line{w.refusal}
		}
		for _, l := range callbacks {
			switch {
			case l.Signed == nil:
			case *l.Signed:
				return yes, "callbacks have the header Ittybit-Signature", "webhookAuth: both is possible, with Ittybit's webhook secret in ittybitWebhookSecret"
			default:
				return no, "callbacks have no header Ittybit-Signature", "webhookAuth: token is the only way"
			}
		}
		if called == 0 || !s.pause(limited) {
			return unknown, "webhook's log has no callback for the upload (its level may be above info)", ""
		}
		s.readCallbacks(limited, &w) // lines take some seconds to be found
	}
}

// askConnection asks for a job with the stack's connection and with one that is
// not there, in both places: where the first succeeds and the second does not,
// the connection is read.
func (s *smoke) askConnection(ctx context.Context, _ way) (answer, found, means string) {
	settings := s.out.Settings
	right := settings.ConnectionID
	if right == "" {
		return unknown, "no connectionId is set: jobs name none, and Ittybit takes its default connection", ""
	}
	wrong := "conn_" + strings.ReplaceAll(s.marker, "-", "")
	here, there := settings.ConnectionPlacement, media.PlacementRoot
	if here == media.PlacementRoot {
		there = media.PlacementOptions
	}
	var requests []request
	for _, at := range []media.Placement{here, there} {
		for _, id := range []string{right, wrong} {
			requests = append(requests, s.connected(s.input(), at, id))
		}
	}
	ends := s.runAll(ctx, requests)
	const read, ignored, refused, unclear = "is read", "is ignored", "does not work", "is unclear"
	judge := func(right, wrong end) string {
		switch {
		case right.ok && wrong.ok:
			return ignored
		case right.ok && wrong.no != nil:
			return read
		case right.no != nil:
			return refused
		}
		return unclear
	}
	atHere, atThere := judge(ends[0], ends[1]), judge(ends[2], ends[3])
	found = fmt.Sprintf("in %s it %s, in %s it %s", here, atHere, there, atThere)
	for _, e := range []end{ends[0], ends[2]} {
		if !e.ok {
			found += "; " + e.said()
		}
	}
	switch {
	case atHere == read:
		return yes, found, fmt.Sprintf("connectionPlacement: %s is right", here)
	case atThere == read || atHere == refused && atThere == ignored:
		return no, found, fmt.Sprintf("set connectionPlacement: %s", there)
	case atHere == ignored && atThere != unclear:
		return no, found, "jobs go by Ittybit's default connection: it must be the one for this bucket"
	case atHere == refused && atThere == refused:
		return no, found, fmt.Sprintf("the connection %s cannot read the bucket: check its keys against ittybitConnectionPolicy", right)
	}
	return unknown, found, ""
}

// special are characters that readers of URLs take for something else.
var special = []string{" ", "+", "#", "?", "%41", "ü"}

func (s *smoke) askCharacters(ctx context.Context, _ way) (answer, found, means string) {
	suffix := s.unmatched()
	if suffix == "" {
		return unknown, "every suffix of a film that is known here is a route's: a copy would be an upload", ""
	}
	keyOf := func(characters string) string { return s.under(s.prefix, "a"+characters+"b"+suffix) }
	all := s.runCopies(ctx, []string{keyOf(strings.Join(special, ""))})[0]
	switch {
	case all.ok:
		return yes, "a key with " + quoted(special), "keys may be whatever S3 takes"
	case all.no == nil:
		return unknown, all.said(), ""
	}
	keys := []string{keyOf("")}
	for _, c := range special {
		keys = append(keys, keyOf(c))
	}
	ends := s.runCopies(ctx, keys)
	if !ends[0].ok {
		return unknown, "a plain key with the suffix " + suffix + " does not work either: " + ends[0].said(), ""
	}
	var bad []string
	for i, e := range ends[1:] {
		if e.no != nil {
			bad = append(bad, special[i])
		}
	}
	if len(bad) == 0 {
		bad = special // only together
	}
	return no, fmt.Sprintf("not with %s in the key: %s", quoted(bad), all.said()), "uploads with these in their keys end as failed or rejected, with the reason in the row: give them other names"
}

// unmatched is a suffix of films with which a key is no upload.
func (s *smoke) unmatched() string {
	for _, suffix := range []string{".qt", ".m4v", ".mpeg", ".mpg", ".avi"} {
		if _, ok := s.routes.Match(s.under(s.prefix, suffix)); !ok {
			return suffix
		}
	}
	return ""
}

// runCopies runs a job on a copy of the sample under each key.
func (s *smoke) runCopies(ctx context.Context, keys []string) []end {
	requests := make([]request, len(keys))
	for i, key := range keys {
		if err := s.put(ctx, key); err != nil {
			return slices.Repeat([]end{{err: err}}, len(keys))
		}
		requests[i] = s.small(s.inputOf(key))
	}
	return s.runAll(ctx, requests)
}

func quoted(characters []string) string {
	all := make([]string, len(characters))
	for i, c := range characters {
		all[i] = fmt.Sprintf("%q", c)
	}
	return strings.Join(all, " ")
}

func (s *smoke) askRace(ctx context.Context, _ way) (answer, found, means string) {
	key := rand.Text()
	var ends [2]end
	var racing sync.WaitGroup
	start := make(chan struct{})
	for i := range ends {
		racing.Go(func() {
			<-start
			ends[i] = s.create(ctx, s.small(s.input()), key)
		})
	}
	close(start)
	racing.Wait()
	first, second := ends[0], ends[1]
	if first.id == "" {
		first, second = second, first
	}
	switch {
	case first.id == "" || second.err != nil:
		return unknown, fmt.Sprintf("%s; %s", first.said(), second.said()), ""
	case second.no != nil:
		return yes, "one was taken, the other refused: " + second.no.Error(), "an event that comes twice at the same moment waits in the retry queue once, and makes no second job"
	case first.id == second.id:
		return yes, "both got the same job", "an event that comes twice at the same moment makes no second job"
	}
	return no, "each got a job of its own", "an event that EventBridge delivers twice at the same moment can make a job twice; later repetitions cannot"
}

// askRefusal uses one key for a job that must be refused and then for one that
// must not.
func (s *smoke) askRefusal(ctx context.Context, _ way) (answer, found, means string) {
	key := rand.Text()
	bad := s.small(s.input())
	bad["kind"] = "smoke"
	if e := s.create(ctx, bad, key); e.no == nil {
		if e.id != "" {
			return unknown, `Ittybit takes a job of the kind "smoke"`, ""
		}
		return unknown, e.said(), ""
	}
	switch e := s.create(ctx, s.small(s.input()), key); {
	case e.no != nil:
		return yes, "the key was of no use after a refusal: " + e.no.Error(), "a failed answer may come again for 24 hours: uploads wait it out in the retry queue, which tries for 3 days"
	case e.id != "":
		return no, "the key was taken again after a refusal", "what was refused or failed is tried anew each time"
	default:
		return unknown, e.said(), ""
	}
}

// own are the ids of the upload's jobs, which have its input and metadata.
func own(w way) []string {
	var ids []string
	for _, r := range w.rows {
		if id := r.JobID(); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *smoke) askFilter(ctx context.Context, w way) (answer, found, means string) {
	ids := own(w)
	if len(ids) == 0 {
		return unknown, "the upload has no job to look for", ""
	}
	input := s.input()
	exact, err := s.ittybit.Listed(ctx, input)
	if err != nil {
		return unknown, err.Error(), ""
	}
	shorter, err := s.ittybit.Listed(ctx, input[:len(input)-1])
	if err != nil {
		return unknown, err.Error(), ""
	}
	isOwn := func(r media.Result) bool { return slices.Contains(ids, r.JobID) }
	const slow = "dispatch sorts the jobs out itself: asking before another try takes longer, the more jobs there are"
	switch {
	case !slices.ContainsFunc(exact, isOwn):
		return no, "the upload's jobs are not in the list of its input", "dispatch cannot find the jobs of a try that was cut short: only the idempotency key keeps it from making them again, for 24 hours"
	case slices.ContainsFunc(exact, func(r media.Result) bool { return r.Input != "" && r.Input != input }):
		return no, "the list has jobs of other inputs", slow
	case slices.ContainsFunc(shorter, isOwn):
		return no, "a part of the input finds its jobs, too", slow
	}
	return yes, fmt.Sprintf("it has %d jobs for the upload's input, and none for a part of it", len(exact)), "asking before another try is cheap"
}

func (s *smoke) askMetadata(ctx context.Context, w way) (answer, found, means string) {
	ids := own(w)
	jobs, err := s.ittybit.Listed(ctx, s.input())
	if err != nil {
		return unknown, err.Error(), ""
	}
	for _, j := range jobs {
		switch {
		case !slices.Contains(ids, j.JobID):
		case len(j.Metadata) == 0:
			return no, "the upload's jobs have none in the list", "dispatch asks for each job by itself before another try"
		default:
			return yes, "the upload's jobs have theirs in the list", "one request finds the jobs of an earlier try"
		}
	}
	return unknown, "the upload has no job in the list", ""
}

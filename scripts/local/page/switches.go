package page

import (
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"ittybit-media/scripts/local/fakeittybit"
)

// choice is one thing that the fake of Ittybit can be told.
type choice struct {
	Value, Label string
}

// The switches, each with what it can be set to; the first is how things ought
// to be.
var switchesAre = []struct {
	Name, Label string
	Choices     []choice
}{
	{"api", "Ittybit's API", []choice{{"up", "answers"}, {"down", "answers 500"}, {"limited", "answers 429"}, {"refuses", "refuses the job (400)"}, {"silent", "does not answer"}}},
	{"jobs", "Jobs", []choice{{"succeed", "succeed"}, {"fail", "fail"}, {"hang", "never end"}}},
	{"speed", "Work takes", []choice{{"0s", "as long as it takes"}, {"5s", "5 seconds more"}, {"1m", "a minute more"}}},
	{"callbacks", "Callbacks", []choice{{"sent", "are sent once"}, {"lost", "are lost"}, {"doubled", "are doubled"}, {"late", "are 30 seconds late"}}},
}

// switches are how the fake of Ittybit misbehaves now.
type switches struct {
	mu  sync.Mutex
	set map[string]string
}

func newSwitches() *switches {
	s := &switches{set: map[string]string{}}
	for _, w := range switchesAre {
		s.set[w.Name] = w.Choices[0].Value
	}
	return s
}

func (s *switches) get(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set[name]
}

func (s *switches) all() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.set)
}

// put sets a switch; it fails for one that there is not, or a setting that it
// does not have.
func (s *switches) put(name, value string) error {
	for _, w := range switchesAre {
		for _, c := range w.Choices {
			if w.Name == name && c.Value == value {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.set[name] = value
				return nil
			}
		}
	}
	return fmt.Errorf("there is no switch %q with the setting %q", name, value)
}

// broken tells what is not as it ought to be.
func (s *switches) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range switchesAre {
		if s.set[w.Name] != w.Choices[0].Value {
			return true
		}
	}
	return false
}

func (s *switches) fault(r fakeittybit.Request) fakeittybit.Fault {
	switch s.get("api") {
	case "down":
		return fakeittybit.Fault{Status: http.StatusInternalServerError}
	case "limited":
		return fakeittybit.Fault{Status: http.StatusTooManyRequests, Kind: "rate_limited", RetryAfter: "1"}
	case "refuses":
		if r.Op != fakeittybit.Create {
			break
		}
		return fakeittybit.Fault{Status: http.StatusBadRequest, Kind: "invalid_input", Message: "refused, as the page's switch says"}
	case "silent":
		return fakeittybit.Fault{Hang: true}
	}
	return fakeittybit.Fault{}
}

func (s *switches) outcome(fakeittybit.Job) fakeittybit.Outcome {
	var o fakeittybit.Outcome
	o.After, _ = time.ParseDuration(s.get("speed"))
	switch s.get("jobs") {
	case "fail":
		o.Status, o.Message = fakeittybit.Failed, "failed, as the page's switch says"
	case "hang":
		o.Status = fakeittybit.Processing
	}
	return o
}

func (s *switches) deliveries(fakeittybit.Job) []fakeittybit.Delivery {
	switch s.get("callbacks") {
	case "lost":
		return nil
	case "doubled":
		return make([]fakeittybit.Delivery, 2)
	case "late":
		return []fakeittybit.Delivery{{After: 30 * time.Second}}
	}
	return make([]fakeittybit.Delivery, 1)
}

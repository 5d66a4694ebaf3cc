package pipes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/scripts/local/aws/pipes"
)

// config is that of a pipe whose events and failures go to the lists.
func config(events, failures *[]string) pipes.Config {
	return pipes.Config{
		Account: "000000000000", Region: "us-east-1", Source: "shop", DetailType: "$.dynamodb.NewImage.type.S",
		Filters:  []string{`{"dynamodb":{"NewImage":{"state":{"S":["paid"]}}}}`, `{"dynamodb":{"NewImage":{"state":{"S":["sent"]}},"OldImage":{"state":{"S":[{"exists":false}]}}}}`},
		Template: `{"shop":"north","id":"order <$.dynamodb.Keys.pk.S>-<$.dynamodb.NewImage.n-1.N>"}`,
		Now:      func() time.Time { return time.Unix(0, 0) },
		Send: func(event []byte) {
			var e struct {
				Source     string
				DetailType string `json:"detail-type"`
				Detail     json.RawMessage
			}
			if err := json.Unmarshal(event, &e); err != nil {
				*failures = append(*failures, err.Error())
			}
			*events = append(*events, fmt.Sprintf("%s %s %s", e.Source, e.DetailType, e.Detail))
		},
		Fail: func(_ []byte, err error) { *failures = append(*failures, err.Error()) },
	}
}

// run gives a pipe records and returns what came of them.
func run(t *testing.T, change func(*pipes.Config), records ...string) (events, failures []string) {
	t.Helper()
	c := config(&events, &failures)
	if change != nil {
		change(&c)
	}
	p, err := pipes.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		p.Put([]byte(r))
	}
	if err := p.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Close()
	return events, failures
}

func record(state, oldState, number, kind string) string {
	old := ""
	if oldState != "" {
		old = `,"OldImage":{"state":{"S":"` + oldState + `"}}`
	}
	return `{"dynamodb":{"Keys":{"pk":{"S":"k"}}` + old + `,"NewImage":{"state":{"S":"` + state + `"},"n-1":{"N":"` + number + `"},"type":{"S":"` + kind + `"}}}}`
}

func TestAPipe(t *testing.T) {
	t.Parallel()
	events, failures := run(t, nil,
		record("paid", "", "1", "Order Paid"),
		record("lost", "", "2", "Order Lost"),
		record("sent", "paid", "3", "Order Sent"),
		record("sent", "", "4", "Order <Sent>"),
		strings.Replace(record("paid", "sent", "5", "Order Paid"), `"n-1"`, `"n-2"`, 1),
	)
	want := []string{
		`shop Order Paid {"shop":"north","id":"order k-1"}`,
		`shop Order <Sent> {"shop":"north","id":"order k-4"}`,
		`shop Order Paid {"shop":"north","id":"order k-"}`,
	}
	if !slices.Equal(events, want) || failures != nil {
		t.Errorf("events %q\nfailures %q", events, failures)
	}
	events, failures = run(t, func(c *pipes.Config) { c.Filters, c.DetailType = nil, "Order Changed" }, record("lost", "", "2", "x"))
	if want := []string{`shop Order Changed {"shop":"north","id":"order k-2"}`}; !slices.Equal(events, want) || failures != nil {
		t.Errorf("events %q\nfailures %q", events, failures)
	}
}

// A record that cannot be sent does not hold the others up.
func TestWhatIsNotCertainFails(t *testing.T) {
	t.Parallel()
	good := record("paid", "", "1", "x")
	for says, bad := range map[string]string{
		"$.dynamodb.Keys.pk.S is no string":              strings.Replace(good, `"pk":{"S":"k"}`, `"pk":{"S":{"S":"k"}}`, 1),
		`$.dynamodb.Keys.pk.S has a character`:           strings.Replace(good, `"S":"k"`, `"S":"a\"b"`, 1),
		"would escape, \"a\\\\b\"":                       strings.Replace(good, `"S":"k"`, `"S":"a\\b"`, 1),
		"would escape, \"a\\nb\"":                        strings.Replace(good, `"S":"k"`, `"S":"a\nb"`, 1),
		"there is nothing at $.dynamodb.NewImage.type.S": strings.Replace(good, `"type"`, `"kind"`, 1),
		"not a JSON object":                              `[]`,
	} {
		events, failures := run(t, nil, bad, good)
		if len(events) != 1 || len(failures) != 1 || !strings.Contains(failures[0], says) {
			t.Errorf("%s: events %q, failures %q", says, events, failures)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	template := func(text string) func(*pipes.Config) { return func(c *pipes.Config) { c.Template = text } }
	for says, change := range map[string]func(*pipes.Config){
		"6 filters":                       func(c *pipes.Config) { c.Filters = slices.Repeat(c.Filters, 3) },
		"unknown field":                   func(c *pipes.Config) { c.Filters = []string{`{"a":[{"wildcard":"x"}]}`} },
		"stand in quotes":                 template(`{"a":<$.b>}`),
		"must be a JSON object":           template(`"<$.b>"`),
		`"aws.pipes.event" is not a path`: template(`{"a":"<aws.pipes.event>"}`),
		`"$.b[0]" is not a path`:          template(`{"a":"<$.b[0]>"}`),
		`"$.a b" is not a path`:           func(c *pipes.Config) { c.DetailType = "$.a b" },
	} {
		var events, failures []string
		c := config(&events, &failures)
		change(&c)
		p, err := pipes.Start(c)
		if err == nil {
			p.Close()
			t.Errorf("%s: it starts", says)
		} else if !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}

func TestIdleAndClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var events, failures []string
		c := config(&events, &failures)
		send := c.Send
		c.Send = func(event []byte) {
			<-release
			send(event)
		}
		p, err := pipes.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			p.Put([]byte(record("paid", "", "1", "x")))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Idle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Idle = %v", err)
		}
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			p.Close()
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("it is closed with work to do")
		default:
		}
		close(release)
		<-closed
		if len(events) != 3 || failures != nil {
			t.Errorf("%d events, failures %q", len(events), failures)
		}
	})
}

package logs_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/logs"
)

const group = "/aws/lambda/dispatch"

type fixture struct {
	*logs.Groups
	*cloudwatchlogs.Client
	server *endpoint.Server
	mu     sync.Mutex
	now    time.Time
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{now: time.UnixMilli(1_000_000)}
	f.Groups = logs.New(func() time.Time {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.now
	})
	server, client := endpointtest.Serve(t, f.API())
	f.server, f.Client = server, cloudwatchlogs.NewFromConfig(client)
	return f
}

// write writes lines, a second apart.
func (f *fixture) write(t *testing.T, lines ...string) {
	t.Helper()
	w := f.Writer(group)
	for _, line := range lines {
		if n, err := fmt.Fprintln(w, line); err != nil || n != len(line)+1 {
			t.Fatal(n, err)
		}
		f.mu.Lock()
		f.now = f.now.Add(time.Second)
		f.mu.Unlock()
	}
}

// find reads all pages.
func (f *fixture) find(t *testing.T, in cloudwatchlogs.FilterLogEventsInput) (messages []string, err error) {
	t.Helper()
	if in.LogGroupName == nil {
		in.LogGroupName = aws.String(group)
	}
	for pages := cloudwatchlogs.NewFilterLogEventsPaginator(f.Client, &in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			messages = append(messages, *e.Message)
		}
	}
	return messages, nil
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	f := start(t)
	lines := []string{
		`{"key":"a.mov","upload":"u1","message":"new job","error":{"kind":"poison","text":"no \"video\""}}`,
		`{"key":"a.mov","upload":"u2","message":"duplicate","attempt":1}`,
		`{"key":"b.mov","upload":"u1"}`,
		`panic: a.mov is no "video"`,
	}
	f.write(t, lines...)
	for pattern, want := range map[string][]string{
		"":                                 lines,
		`{ $.key = "a.mov" }`:              lines[:2],
		`{$.key="a.mov"}`:                  lines[:2],
		`{ $.error.kind = "poison" }`:      lines[:1],
		`{ $.error.none.kind = "poison" }`: nil,
		`{ $.key = "a*" }`:                 lines[:2],
		`{ $.upload = "u1*" }`:             {lines[0], lines[2]},
		`{ $.attempt = "*" }`:              nil,
		`{ $.attempt = "1" }`:              nil, // a number is no text
		`{ $.key = "A.mov" }`:              nil,
	} {
		if got, err := f.find(t, cloudwatchlogs.FilterLogEventsInput{FilterPattern: &pattern}); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", pattern, got, err, want)
		}
	}
	for _, pattern := range []string{
		" ", "word", `"a"`, `"open`, `?"a"`, `%regex%`, `[a, b]`, `{ }`, `{ $.key = "a.mov"`, `{ $.key = "*a" }`, `{ $.key = "a*b" }`, `{ $.key != "a" }`, `{ $.key = a }`, `{ $.n = 1 }`,
		`{ $.key = "a" && $.key = "b" }`, `{ $.key = "a" || $.key = "b" }`, `{ $.key = "\"" }`, `{ ($.key = "a") }`, `{ $.key EXISTS }`, `{ $.a[0] = "x" }`, `{ $. = "x" }`, `{ $.a..b = "x" }`, `{ $.a = "x" } more`, `{ key = "a" }`,
	} {
		if _, err := f.find(t, cloudwatchlogs.FilterLogEventsInput{FilterPattern: &pattern}); endpointtest.Code(err) != "InvalidParameterException" {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestTimesAndPages(t *testing.T) {
	t.Parallel()
	f := start(t)
	var lines []string
	for i := range 25 {
		lines = append(lines, fmt.Sprintf(`{"n":%d,"even":"%t"}`, i, i%2 == 0))
	}
	f.write(t, lines...) // at 1,000 s, 1,001 s, …
	at := func(s int64) *int64 { return aws.Int64(1_000_000 + 1000*s) }
	for from, want := range map[int64][]string{0: lines, 20: lines[20:], 100: nil} {
		if got, err := f.find(t, cloudwatchlogs.FilterLogEventsInput{StartTime: at(from)}); err != nil || !slices.Equal(got, want) {
			t.Errorf("from %d s: %q, %v; want %q", from, got, err, want)
		}
	}
	// A token says which line comes next.
	out, err := f.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(group), NextToken: aws.String("24")})
	if err != nil || len(out.Events) != 1 || *out.Events[0].Timestamp != *at(24) || *out.Events[0].LogStreamName == "" || *out.Events[0].EventId == "" || out.NextToken != nil {
		t.Errorf("%+v, %v", out, err)
	}
}

// A call looks at so many lines only: an empty page is not the last one.
func TestAnEmptyPageIsNotTheLast(t *testing.T) {
	t.Parallel()
	f := start(t)
	w := f.Writer(group)
	for range 10500 {
		fmt.Fprintln(w, "-")
	}
	fmt.Fprintln(w, `{"is":"found"}`)
	in := cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(group), FilterPattern: aws.String(`{ $.is = "found" }`)}
	out, err := f.FilterLogEvents(t.Context(), &in)
	if err != nil || len(out.Events) != 0 || out.NextToken == nil {
		t.Errorf("%d events, %v", len(out.Events), err)
	}
	if got, err := f.find(t, in); err != nil || len(got) != 1 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTheOldestLinesGo(t *testing.T) {
	f := start(t)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	const lines, size = 40_000, 1 << 10
	w := f.Writer(group)
	for i := range lines {
		fmt.Fprintf(w, "%d %s\n", i, strings.Repeat("x", size))
	}
	if grown := int64(heap()) - int64(before); grown > 20<<20 {
		t.Errorf("%d lines of %d bytes take %d bytes", lines, size, grown)
	}
	got, err := f.find(t, cloudwatchlogs.FilterLogEventsInput{})
	if err != nil || len(got) < 5000 || len(got) > 10000 || !strings.HasPrefix(got[len(got)-1], fmt.Sprint(lines-1)) {
		t.Errorf("%d lines are kept, %v", len(got), err)
	}
	// A token of what has gone goes on with what there is.
	out, err := f.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(group), NextToken: aws.String("1")})
	if err != nil || *out.Events[0].Message != got[0] {
		t.Errorf("%v, %v", out, err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.write(t, "x")
	for name, tt := range map[string]struct {
		in   cloudwatchlogs.FilterLogEventsInput
		want string
	}{
		"no such group":  {cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("none")}, "ResourceNotFoundException"},
		"no group":       {cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("")}, "ResourceNotFoundException"},
		"a limit":        {cloudwatchlogs.FilterLogEventsInput{Limit: aws.Int32(1)}, "SerializationException"},
		"no token":       {cloudwatchlogs.FilterLogEventsInput{NextToken: aws.String("none")}, "InvalidParameterException"},
		"of one stream":  {cloudwatchlogs.FilterLogEventsInput{LogStreamNames: []string{"s"}}, "SerializationException"},
		"of some stream": {cloudwatchlogs.FilterLogEventsInput{LogStreamNamePrefix: aws.String("s")}, "SerializationException"},
	} {
		if _, err := f.find(t, tt.in); endpointtest.Code(err) != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	if _, err := f.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{}); endpointtest.Code(err) != "UnknownOperationException" {
		t.Errorf("an operation that is not there: %v", err)
	}
	f.server.Intercept(func(_ context.Context, c endpoint.Call) error { return endpoint.Throttled(c) })
	_, err := f.find(t, cloudwatchlogs.FilterLogEventsInput{})
	if _, ok := errors.AsType[*types.ThrottlingException](err); !ok {
		t.Errorf("throttled: %v", err)
	}
}

func TestWritersAtOnce(t *testing.T) {
	t.Parallel()
	f := start(t)
	var writing sync.WaitGroup
	for range 8 {
		writing.Go(func() {
			w := f.Writer(group)
			for range 100 {
				fmt.Fprintln(w, "x")
			}
		})
	}
	writing.Wait()
	if got, err := f.find(t, cloudwatchlogs.FilterLogEventsInput{}); err != nil || len(got) != 800 {
		t.Errorf("%d lines, %v", len(got), err)
	}
}

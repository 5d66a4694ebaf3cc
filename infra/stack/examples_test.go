package stack_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
)

// TestExamples holds the stack files that people copy to what they say: they
// are right, without a warning, and give each upload the jobs that it is to
// have.
func TestExamples(t *testing.T) {
	t.Parallel()
	type upload struct {
		key  string
		jobs string // "": it gets none
	}
	type check struct {
		uploads []upload
		outputs []string // of the first upload, in order; "" where Ittybit keeps it
		is      func(stack.Config) bool
	}
	examples := map[string]check{
		"podcast": {
			uploads: []upload{{"recordings/s1/e2.WAV", "mp3 opus"}, {"recordings/e.mov", "mp3 opus"}, {"uploads/e.wav", ""}},
			outputs: []string{"s3://b/ittybit-output/recordings/s1/e2.WAV.mp3", "s3://b/ittybit-output/recordings/s1/e2.WAV.opus"},
		},
		"thumbnails": {
			uploads: []upload{{"anywhere/film.mkv", "early later square"}, {"picture.jpg", ""}},
			outputs: []string{"", "", ""},
		},
		"hls": {
			uploads: []upload{{"films/a.mov", "stream poster"}},
			outputs: []string{"s3://b/ittybit-output/films/a.mov/index.m3u8", "s3://b/ittybit-output/films/a.mov/poster.jpg"},
		},
		"own-bucket": {
			uploads: []upload{{"uploads/a.mp4", "video thumbnail"}},
			outputs: []string{"s3://my-published-media/uploads/a.mp4/film.mp4", "s3://my-published-media/uploads/a.mp4/thumbnail.webp"},
		},
		"existing-bucket": {
			uploads: []upload{{"a.mov", "video"}},
			is: func(c stack.Config) bool {
				return c.BucketName == "my-media-bucket" && !c.ManageNotifications && c.APIKeySecret == "ittybit/api-key"
			},
		},
		"several-prefixes": {
			uploads: []upload{{"uploads/avatars/me.PNG", "avatar"}, {"uploads/clips/c.mov", "loop video"}, {"uploads/f.mov", "video"}, {"uploads/f.png", ""}},
			is:      func(c stack.Config) bool { return c.Routes[0].MaxBytes == 10_000_000 },
		},
		"spend-limit": {
			uploads: []upload{{"uploads/f.mov", "video"}},
			is:      func(c stack.Config) bool { return c.DailyJobLimit == 50 && c.Alarms && c.AlarmEmail != "" },
		},
	}
	files, err := filepath.Glob("examples/Pulumi.*.yaml")
	if err != nil || len(files) != len(examples) {
		t.Fatalf("%d files for %d checks: %v", len(files), len(examples), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check, ok := examples[name]
			if !ok {
				t.Fatal("no check is for it")
			}
			values, err := stack.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, warnings, err := stack.Parse(values)
			if err != nil || len(warnings) > 0 {
				t.Fatalf("%v, %v", err, warnings)
			}
			if check.is != nil && !check.is(c) {
				t.Errorf("it is not what it says: %+v", c)
			}
			for i, u := range check.uploads {
				route, _ := c.Routes.Match(u.key)
				var names, outputs []string
				for _, j := range route.Jobs {
					names = append(names, j.Name)
					output := ""
					if j.Output != "" {
						if output, err = j.Output.Render(media.JobRef{Bucket: "b", Key: u.key, Job: j.Name, Upload: "0123456789abcdef"}); err != nil {
							t.Error(err)
						}
					}
					outputs = append(outputs, output)
				}
				if got := strings.Join(names, " "); got != u.jobs {
					t.Errorf("%s gets %q, want %q", u.key, got, u.jobs)
				}
				if i == 0 && check.outputs != nil && !slices.Equal(outputs, check.outputs) {
					t.Errorf("%s goes to %q, want %q", u.key, outputs, check.outputs)
				}
			}
		})
	}
}

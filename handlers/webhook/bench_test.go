package main

import (
	"fmt"
	"testing"
)

// BenchmarkCallback is a callback's way through the function to a table in the
// same process, whose work is in the figures.
func BenchmarkCallback(b *testing.B) {
	deploy := func(b *testing.B) *function {
		b.Helper()
		f := serve(b, true).deploy(b)
		f.want(b, callback(b, f.token(b, ref, newestKey), about(b, ref, "", "warm up", "succeeded")), stored)
		return f
	}
	post := func(b *testing.B, f *function, token string, id func(n int) string, want int) {
		b.Helper()
		req := callback(b, token, "")
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			n++
			req.Body = fmt.Sprintf(`{"event":"job.succeeded","data":{"id":%q,"status":"completed","kind":"video","output":{"url":"https://cdn.ittybit.com/abc/video.mp4"}}}`, id(n))
			if resp, err := f.Handle(b.Context(), req); err != nil || resp.StatusCode != want {
				b.Fatalf("answered %+v, %v", resp, err)
			}
		}
	}
	b.Run("stored", func(b *testing.B) {
		f := deploy(b)
		post(b, f, f.token(b, ref, newestKey), func(n int) string { return fmt.Sprintf("job_%d", n) }, 200)
	})
	b.Run("duplicate", func(b *testing.B) {
		f := deploy(b)
		post(b, f, f.token(b, ref, newestKey), func(int) string { return "warm up" }, 200)
	})
	b.Run("refused", func(b *testing.B) {
		f := deploy(b)
		post(b, f, f.token(b, ref, foreignKey), func(int) string { return "job_1" }, 401)
	})
}

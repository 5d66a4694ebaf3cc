package receiver

import (
	"maps"
	"testing"
	"time"

	"ittybit-media/handlers/telemetry"
)

// wantLine compares a log line, the time left out.
func wantLine(t *testing.T, got, want map[string]any) {
	t.Helper()
	got = maps.Clone(got)
	delete(got, "time")
	if !maps.Equal(got, want) {
		t.Errorf("the log says\n%v\nwant\n%v", got, want)
	}
}

// aboutRef is the part of a line that tells which job it is about.
func aboutRef(level, msg, id string, more map[string]any) map[string]any {
	line := map[string]any{
		"level": level, "msg": msg,
		"bucket": ref.Bucket, "key": ref.Key, "job": ref.Job, "upload": ref.Upload, "id": id,
	}
	maps.Copy(line, more)
	return line
}

func TestWhatIsLoggedAndCounted(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		token := f.token(t, ref, newestKey)
		u := upload
		u.Time = time.Now()
		f.queued(t, u, ref, "task_abc123")
		time.Sleep(12500 * time.Millisecond)

		f.want(t, request(t, "callback.json", token), stored)
		wantLine(t, f.logged(t, "result stored"), aboutRef("INFO", "result stored", "task_abc123", map[string]any{
			"status": "completed", "state": "succeeded", "seconds": 12.5, "event": "job.succeeded", "signed": false,
		}))
		f.want(t, request(t, "callback.json", token), duplicate)
		wantLine(t, f.logged(t, "duplicate"), aboutRef("INFO", "duplicate", "task_abc123", map[string]any{
			"status": "completed", "event": "job.succeeded", "signed": false,
		}))
		f.want(t, callback(t, token, `{"event":"run.succeeded","data":{"id":"run_1"}}`), ignored)
		wantLine(t, f.logged(t, "callback ignored"), map[string]any{
			"level": "INFO", "msg": "callback ignored", "event": "run.succeeded", "reason": `event "run.succeeded" is not about a job`,
		})
		f.want(t, callback(t, token, about(t, ref, "job.failed", "task_abc123", "succeeded")), duplicate)
		const conflict = "the callback's event and status disagree"
		wantLine(t, f.logged(t, conflict), aboutRef("WARN", conflict, "task_abc123", map[string]any{
			"status": "succeeded", "event": "job.failed",
		}))
		f.want(t, callback(t, "garbage", `{}`), forbidden)
		wantLine(t, f.logged(t, "callback refused"), map[string]any{
			"level": "WARN", "msg": "callback refused", "status": 401.0, "reason": "unauthorized", "signed": false,
			"error": "the callback token is missing or not one of ours",
		})

		f.log.WantCounted(t, telemetry.Results, map[string]float64{"succeeded": 1})
		f.log.WantCounted(t, telemetry.UploadToResult, map[string]float64{"": 12.5})
		f.log.WantCounted(t, telemetry.CallbacksRefused, map[string]float64{"unauthorized": 1})
	})
}

// Only ends are results, each once, and the time from the upload is told only
// where dispatch's row knows it.
func TestResultsAreCountedOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		token := f.token(t, ref, newestKey)
		f.noted(t, ref, "job_1")
		for _, status := range []string{"queued", "processing", "finishing"} {
			f.post(t.Context(), t, callback(t, token, about(t, ref, "", "job_1", status)))
		}
		f.log.WantCounted(t, telemetry.Results, map[string]float64{})

		for id, status := range map[string]string{"job_6": "succeeded", "job_2": "failed", "job_3": "cancelled", "job_4": "completed"} {
			r := refTo(upload, id, 0)
			token := f.token(t, r, newestKey)
			f.noted(t, r, id)
			for range 3 {
				f.post(t.Context(), t, callback(t, token, about(t, r, "", id, status)))
			}
		}
		f.log.WantCounted(t, telemetry.Results, map[string]float64{"succeeded": 2, "failed": 1, "cancelled": 1})
		f.log.WantCounted(t, telemetry.UploadToResult, map[string]float64{})

		u := upload
		u.Time = time.Now()
		f.queued(t, u, ref, "job_5")
		time.Sleep(3 * time.Second)
		f.want(t, callback(t, token, about(t, ref, "", "job_5", "processing")), stored)
		f.log.WantCounted(t, telemetry.UploadToResult, map[string]float64{})
		time.Sleep(4 * time.Second)
		f.want(t, callback(t, token, about(t, ref, "", "job_5", "failed")), stored)
		f.log.WantCounted(t, telemetry.UploadToResult, map[string]float64{"": 7})
	})
}

// That Ittybit signs shows in the log before anybody asks for signatures; no
// part of one does.
func TestTheLogTellsOfASignature(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	body := about(t, ref, "job.succeeded", "task_abc123", "succeeded")
	f.private = append(f.private, sign(signingSecret, body))
	f.want(t, signed(t, f.token(t, ref, newestKey), body), stored)
	wantLine(t, f.logged(t, "result stored"), aboutRef("INFO", "result stored", "task_abc123", map[string]any{
		"status": "succeeded", "state": "succeeded", "event": "job.succeeded", "signed": true,
	}))
	f.want(t, signed(t, "", body), forbidden)
	if line := f.logged(t, "callback refused"); line["signed"] != true {
		t.Errorf("of a refused one, the log says %v", line)
	}
}

package fakeittybit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	_ "image/gif"
	_ "image/jpeg"
	"image/png"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ittybit-media/scripts/local/fakeittybit"
)

func mustUnescape(t *testing.T, text string) string {
	t.Helper()
	s, err := url.PathUnescape(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tools are ffmpeg and ffprobe, or the reason to skip.
func tools(t *testing.T) (ffmpeg, ffprobe string) {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("there is no ffmpeg on this machine: ", err)
	}
	if ffprobe, err = exec.LookPath("ffprobe"); err != nil {
		t.Skip("there is no ffprobe on this machine: ", err)
	}
	return ffmpeg, ffprobe
}

// media is what ffprobe says of a file.
type media struct {
	Streams []struct {
		Type   string `json:"codec_type"`
		Codec  string `json:"codec_name"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		Rate   string `json:"r_frame_rate"`
	} `json:"streams"`
	Format struct {
		Name     string `json:"format_name"`
		Duration string `json:"duration"`
	} `json:"format"`
}

func (m media) String() string {
	var parts []string
	for _, s := range m.Streams {
		part := s.Codec
		if s.Type == "video" {
			part += fmt.Sprintf(" %dx%d", s.Width, s.Height)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func probe(t *testing.T, ffprobe, address string) media {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), ffprobe, "-v", "error", "-show_streams", "-show_format", "-of", "json", address).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", address, err)
	}
	var m media
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFFmpegMakesEachKind(t *testing.T) {
	t.Parallel()
	ffmpeg, ffprobe := tools(t)
	files := newStorage(t)
	files.add(t, "b", "uploads/clip.mov", sample(t))
	a := serve(t, fakeittybit.Options{Storage: files, FFmpeg: ffmpeg})
	for _, c := range []struct {
		kind, options string
		name, want    string
		seconds       float64 // 0: a picture
	}{
		{"video", `{"width":320,"quality":"low"}`, "clip.mp4", "h264 320x180, aac", 4},
		{"video", `{"width":319,"format":"mov","end":1}`, "clip.mov", "h264 318x178, aac", 1},
		{"video", `{"width":160,"format":"webm","start":3}`, "clip.webm", "vp9 160x90, opus", 1},
		{"video", `{"height":90,"codec":"h265","start":1,"end":1.5,"fps":10}`, "clip.mp4", "hevc 160x90, aac", 0.5},
		{"video", `{"width":"25%","codec":"av1","format":"webm","end":0.5}`, "clip.webm", "av1 160x90, opus", 0.5},
		{"video", `{"width":100,"height":100,"fit":"cover","bitrate":300000,"end":0.5}`, "clip.mp4", "h264 100x100, aac", 0.5},
		{"video", `{"width":"50%","height":"10%","fit":"fill","end":0.5}`, "clip.mp4", "h264 320x36, aac", 0.5},
		{"audio", `{"quality":"medium"}`, "clip.mp3", "mp3", 4},
		{"audio", `{"format":"aac","bitrate":64000}`, "clip.aac", "aac", 4},
		{"audio", `{"format":"ogg"}`, "clip.ogg", "vorbis", 4},
		{"audio", `{"format":"opus","start":1,"end":3}`, "clip.opus", "opus", 2},
		{"audio", `{"format":"wav"}`, "clip.wav", "pcm_s16le", 4},
		{"audio", `{"format":"flac"}`, "clip.flac", "flac", 4},
		{"image", `{"start":2}`, "clip.jpg", "mjpeg 640x360", 0},
		{"image", `{"width":64,"format":"png"}`, "clip.png", "png 64x36", 0},
		{"image", `{"width":640,"format":"webp","start":2}`, "clip.webp", "webp 640x360", 0},
		{"image", `{"width":64,"format":"avif","quality":"very_low"}`, "clip.avif", "av1 64x36", 0},
		{"animation", `{"width":64,"end":1}`, "clip.gif", "gif 64x36", 1},
		{"adaptive_video", `{"width":160}`, "clip.m3u8", "h264 160x90, aac", 4},
	} {
		t.Run(c.kind+" "+c.options, func(t *testing.T) {
			t.Parallel()
			j := a.job(a.create(fmt.Sprintf(`{"input":"s3://b/uploads/clip.mov","kind":%q,"options":%s}`, c.kind, c.options)))
			if j.Status != fakeittybit.Succeeded {
				t.Fatalf("%s: %v", j.Status, j.Failure)
			}
			if !strings.HasSuffix(j.OutputURL, "/"+c.name) {
				t.Errorf("output %s, want %s", j.OutputURL, c.name)
			}
			m := probe(t, ffprobe, j.OutputURL)
			if got := m.String(); got != c.want {
				t.Errorf("made %s, want %s", got, c.want)
			}
			if c.seconds == 0 {
				if j.DurationMS != nil {
					t.Errorf("a picture lasts %d ms", *j.DurationMS)
				}
				return
			}
			if j.DurationMS == nil || math.Abs(float64(*j.DurationMS)/1000-c.seconds) > 0.15 {
				t.Errorf("duration_ms %v, want about %g s", deref(j.DurationMS), c.seconds)
			}
			if got, _ := strconv.ParseFloat(m.Format.Duration, 64); math.Abs(got-c.seconds) > 0.15 {
				t.Errorf("the file lasts %g s, want about %g", got, c.seconds)
			}
		})
	}
}

func deref(p *int64) int64 {
	if p == nil {
		return -1
	}
	return *p
}

// ffprobe reads no animated WebP, so this looks at the file.
func TestFFmpegMakesAnimatedWebP(t *testing.T) {
	t.Parallel()
	ffmpeg, _ := tools(t)
	files := newStorage(t)
	files.add(t, "b", "clip.mov", sample(t))
	a := serve(t, fakeittybit.Options{Storage: files, FFmpeg: ffmpeg})
	j := a.job(a.create(`{"input":"s3://b/clip.mov","kind":"animation","options":{"format":"webp","width":64,"end":1}}`))
	if j.Status != fakeittybit.Succeeded {
		t.Fatalf("%s: %v", j.Status, j.Failure)
	}
	r := a.do("GET", strings.TrimPrefix(j.OutputURL, a.url), "")
	if frames := bytes.Count(r.body, []byte("ANMF")); !bytes.HasPrefix(r.body, []byte("RIFF")) || frames < 2 {
		t.Errorf("%d bytes with %d frames, want an animation", len(r.body), frames)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	ffmpeg, _ := tools(t)
	files := newStorage(t)
	// Wide, red on the left and blue on the right.
	wide, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-f", "lavfi", "-i", "color=red:s=100x100", "-f", "lavfi", "-i", "color=blue:s=100x100",
		"-filter_complex", "hstack", "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	files.add(t, "b", "wide.png", wide)
	a := serve(t, fakeittybit.Options{Storage: files, FFmpeg: ffmpeg})
	red, blue, green, black := color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}, color.RGBA{0, 255, 0, 255}, color.RGBA{0, 0, 0, 255}
	for _, c := range []struct {
		options     string
		width       int
		height      int
		left, right color.RGBA // in the middle, from top to bottom
		top, bottom color.RGBA // near the left
	}{
		{`"width":50`, 50, 25, red, blue, red, red},
		{`"height":50`, 100, 50, red, blue, red, red},
		{`"width":"10%"`, 20, 10, red, blue, red, red},
		{`"width":60,"height":60,"fit":"fill"`, 60, 60, red, blue, red, red},
		{`"width":60,"height":60`, 60, 60, red, blue, black, black},
		{`"width":60,"height":60,"fit":"contain","background":"#00ff00"`, 60, 60, red, blue, green, green},
		{`"width":60,"height":60,"fit":"contain","background":"#00ff00","position":"top"`, 60, 60, green, green, red, green},
		{`"width":60,"height":60,"fit":"contain","background":"#00ff00","position":"bottom"`, 60, 60, red, blue, green, red},
		{`"width":60,"height":60,"fit":"cover"`, 60, 60, red, blue, red, red},
		{`"width":60,"height":60,"fit":"cover","position":"left"`, 60, 60, red, red, red, red},
		{`"width":60,"height":60,"fit":"cover","position":"right"`, 60, 60, blue, blue, blue, blue},
		{`"width":"30%","height":"60%","fit":"cover","position":"left"`, 60, 60, red, red, red, red},
		{`"width":"30%","height":"60%","fit":"contain","background":"#00ff00"`, 60, 60, red, blue, green, green},
		{`"width":"50%","height":60,"fit":"contain","background":"#00ff00","position":"bottom"`, 100, 60, red, blue, green, red},
	} {
		t.Run(c.options, func(t *testing.T) {
			t.Parallel()
			j := a.job(a.create(`{"input":"s3://b/wide.png","kind":"image","options":{"format":"png",` + c.options + `}}`))
			if j.Status != fakeittybit.Succeeded {
				t.Fatalf("%s: %v", j.Status, j.Failure)
			}
			r := a.do("GET", strings.TrimPrefix(j.OutputURL, a.url), "")
			picture, _, err := image.Decode(bytes.NewReader(r.body))
			if err != nil {
				t.Fatal(err)
			}
			size := picture.Bounds().Size()
			if size != image.Pt(c.width, c.height) {
				t.Fatalf("size %v, want %dx%d", size, c.width, c.height)
			}
			for _, p := range []struct {
				at   image.Point
				want color.RGBA
			}{
				{image.Pt(2, size.Y/2), c.left}, {image.Pt(size.X-3, size.Y/2), c.right},
				{image.Pt(2, 1), c.top}, {image.Pt(2, size.Y-2), c.bottom},
			} {
				if got := picture.At(p.at.X, p.at.Y); !near(got, p.want) {
					t.Errorf("at %v is %v, want %v", p.at, got, p.want)
				}
			}
		})
	}
}

// TestUprightFilms: the sides of a phone's film are those that people see.
func TestUprightFilms(t *testing.T) {
	t.Parallel()
	ffmpeg, ffprobe := tools(t)
	files := newStorage(t)
	film := filepath.Join(t.TempDir(), "turned.mp4")
	files.add(t, "b", "clip.mov", sample(t))
	if out, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-display_rotation", "90", "-i", files.objects["b/clip.mov"], "-t", "0.5", "-c", "copy", film).CombinedOutput(); err != nil {
		t.Skipf("this ffmpeg cannot turn a film: %v: %s", err, out)
	}
	turned, err := os.ReadFile(film)
	if err != nil {
		t.Fatal(err)
	}
	files.add(t, "b", "turned.mp4", turned)
	a := serve(t, fakeittybit.Options{Storage: files, FFmpeg: ffmpeg})
	j := a.job(a.create(`{"input":"s3://b/turned.mp4","kind":"video","options":{"width":"50%","height":"25%","fit":"cover","end":0.2}}`))
	if j.Status != fakeittybit.Succeeded {
		t.Fatalf("%s %v", j.Status, j.Failure)
	}
	if got := probe(t, ffprobe, j.OutputURL).String(); !strings.HasPrefix(got, "h264 180x160") { // of 360x640
		t.Errorf("made %s", got)
	}
}

func near(a, b color.Color) bool {
	r1, g1, b1, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	const most = 0x1800
	d := func(x, y uint32) bool { return max(x, y)-min(x, y) < most }
	return d(r1, r2) && d(g1, g2) && d(b1, b2)
}

func TestFFmpegOutputToS3TakesSegmentsAlong(t *testing.T) {
	t.Parallel()
	ffmpeg, ffprobe := tools(t)
	files := newStorage(t)
	files.add(t, "b", "clip.mov", sample(t))
	a := serve(t, fakeittybit.Options{Storage: files, FFmpeg: ffmpeg})
	j := a.job(a.create(`{"input":"s3://b/clip.mov","kind":"adaptive_video","options":{"width":64},"output":"s3://b/out/{filename}/index.m3u8"}`))
	if j.Status != fakeittybit.Succeeded || j.OutputURL != "s3://b/out/clip/index.m3u8" {
		t.Fatalf("%s %s: %v", j.Status, j.OutputURL, j.Failure)
	}
	// As a player would find them.
	dir := t.TempDir()
	for object := range files.objects {
		if name, ok := strings.CutPrefix(object, "b/out/clip/"); ok {
			if err := os.WriteFile(filepath.Join(dir, name), files.get("b", "out/clip/"+name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := probe(t, ffprobe, filepath.Join(dir, "index.m3u8")).String(); got != "h264 64x36, aac" {
		t.Errorf("made %s, want h264 64x36, aac", got)
	}
}

func TestFFmpegWithUnsuitableInputs(t *testing.T) {
	t.Parallel()
	ffmpeg, ffprobe := tools(t)
	files := newStorage(t)
	files.add(t, "b", "corrupt.mov", []byte("this is no film, whatever it is called"))
	files.add(t, "b", "empty.mov", nil)
	files.add(t, "b", "clip.mov", sample(t))
	files.add(t, "b", "broken.mov", sample(t)[:2000])
	files.add(t, "b", "list.mov", []byte("ffconcat version 1.0\nfile "+files.objects["b/clip.mov"]+"\n"))
	files.add(t, "b", "playlist.mov", []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile://"+files.objects["b/clip.mov"]+"\n#EXT-X-ENDLIST\n"))
	tone, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-f", "wav", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	files.add(t, "b", "tone.wav", tone)
	var still bytes.Buffer
	if err := png.Encode(&still, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	files.add(t, "b", "wide.png", still.Bytes())
	a := serve(t, fakeittybit.Options{Storage: files, FFmpeg: ffmpeg})
	for _, c := range []struct{ key, kind, options, says string }{
		{"corrupt.mov", "video", `{}`, "nvalid data"},
		{"empty.mov", "video", `{}`, "the input"},
		{"broken.mov", "video", `{}`, "the input"},
		{"list.mov", "video", `{}`, "the input"},
		{"playlist.mov", "video", `{}`, "the input"},
		{"tone.wav", "video", `{}`, "no picture"},
		{"wide.png", "audio", `{}`, "no sound"},
		{"clip.mov", "image", `{"start":60}`, "60 s"},
		{"clip.mov", "video", `{"format":"webm","codec":"h264"}`, "WebM"},
	} {
		j := a.job(a.create(fmt.Sprintf(`{"input":"s3://b/%s","kind":%q,"options":%s}`, c.key, c.kind, c.options)))
		if j.Status != fakeittybit.Failed || j.Failure.Kind != "invalid_input" || !strings.Contains(j.Failure.Message, c.says) {
			t.Errorf("%s %s: %s %v, want failed with invalid_input and %q", c.kind, c.key, j.Status, j.Failure, c.says)
		}
	}
	j := a.job(a.create(`{"input":"s3://b/tone.wav","kind":"adaptive_video"}`))
	if j.Status != fakeittybit.Succeeded {
		t.Fatalf("sound alone as HLS: %s %v", j.Status, j.Failure)
	}
	if got := probe(t, ffprobe, j.OutputURL).String(); got != "aac" {
		t.Errorf("sound alone as HLS: made %s, want aac", got)
	}
}

// fakeFFmpeg is a script that lists the encoders and otherwise does what it is
// told.
func fakeFFmpeg(t *testing.T, encoders, otherwise string) string {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("there is no shell to stand in for ffmpeg: ", err)
	}
	var list strings.Builder
	for name := range strings.FieldsSeq(encoders) {
		fmt.Fprintf(&list, "echo ' V....D %s  an encoder'\n", name)
	}
	path := filepath.Join(t.TempDir(), "ffmpeg")
	script := "#!/bin/sh\nfor a; do if [ \"$a\" = -encoders ]; then\necho ' V..... = Video'\n" + list.String() + "exit 0; fi; done\n" + otherwise + "\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFFmpegWithoutAnEncoder(t *testing.T) {
	t.Parallel()
	files := newStorage(t)
	files.add(t, "b", "clip.mov", []byte("x"))
	a := serve(t, fakeittybit.Options{Storage: files, FFmpeg: fakeFFmpeg(t, "aac png", "exit 1")})
	for kind, want := range map[string]string{"video": "libx264", "audio": "libmp3lame", "image": "mjpeg"} {
		j := a.job(a.create(fmt.Sprintf(`{"input":"s3://b/clip.mov","kind":%q}`, kind)))
		if j.Status != fakeittybit.Failed || j.Failure.Kind != "format_unsupported" || !strings.Contains(j.Failure.Message, want) {
			t.Errorf("%s: %s %v, want a failure that names %s", kind, j.Status, j.Failure, want)
		}
	}
}

func TestFFmpegThatDoesNotRun(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"nothing there": filepath.Join(t.TempDir(), "ffmpeg"),
		"no encoders":   fakeFFmpeg(t, "", "exit 1"),
	} {
		if s, err := fakeittybit.New(fakeittybit.Options{FFmpeg: path}); err == nil {
			closeIt(t, s)
			t.Errorf("%s: New says nothing", name)
		}
	}
}

func TestCloseRemovesItsOwnFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := start(t, fakeittybit.Options{})
	if entries, _ := os.ReadDir(os.TempDir()); len(entries) != 1 {
		t.Fatalf("%d entries in the temporary folder, want 1", len(entries))
	}
	closeIt(t, s)
	if entries, _ := os.ReadDir(os.TempDir()); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

package fakeittybit

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Demuxers that an input may need. Playlists and lists of files are not among
// them: an upload must not make ffmpeg read other files.
const demuxers = "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,mp3,wav,aiff,ogg,flac,aac,h264,hevc,gif,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,av1,ivf"

// probeEncoders asks an ffmpeg what it can make.
func probeEncoders(ctx context.Context, ffmpeg string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-encoders")
	ownGroup(cmd)
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s does not run: %w", ffmpeg, err)
	}
	encoders := map[string]bool{}
	// " V....D libx264   a description", after a legend in the same form.
	for line := range strings.Lines(string(list)) {
		if words := strings.Fields(line); len(words) >= 3 && words[1] != "=" {
			encoders[words[1]] = true
		}
	}
	if len(encoders) == 0 {
		return nil, fmt.Errorf("%s -encoders lists none: is that ffmpeg?", ffmpeg)
	}
	return encoders, nil
}

// encode makes the file of a name, in the folder that has the input under the
// name "input". The duration is that of what was made, nil when there is none.
func (s *Server) encode(ctx context.Context, folder string, p plan, name, segments string) (*time.Duration, error) {
	if s.ffprobe != "" {
		found, err := s.probe(ctx, folder)
		if err == nil {
			err = p.suit(found)
		}
		if err != nil {
			return nil, err
		}
	}
	output, err := s.arguments(p, segments)
	if err != nil {
		return nil, err
	}
	args := []string{
		"-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-nostats", "-progress", "pipe:1",
		"-protocol_whitelist", "file,pipe", "-format_whitelist", demuxers,
	}
	if p.start > 0 {
		args = append(args, "-ss", decimal(p.start))
	}
	args = append(args, "-i", "file:input")
	args = append(args, output...)
	args = append(args, "file:"+name)

	ctx, cancel := context.WithTimeout(ctx, s.opts.Time)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.opts.FFmpeg, args...)
	cmd.Dir = folder
	ownGroup(cmd)
	var progress progress
	var complaints tail
	cmd.Stdout, cmd.Stderr = &progress, &complaints
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	beNice(cmd.Process)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			return nil, unworkable("timeout", "the work took longer than %v", s.opts.Time)
		}
		return nil, unworkable(invalidInput, "ffmpeg cannot make this of the input: %s", complaints.text())
	}
	if p.kind == "image" || progress.time <= 0 {
		return nil, nil
	}
	return &progress.time, nil
}

// progress reads what -progress writes: lines of name=value. The last time is
// the length of what was made.
type progress struct {
	rest []byte
	time time.Duration
}

func (p *progress) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		p.rest = rest
		if text, ok := strings.CutPrefix(string(line), "out_time_us="); ok {
			if us, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
				p.time = time.Duration(us) * time.Microsecond
			}
		}
	}
}

// tail keeps the end of what is written.
type tail struct{ kept []byte }

func (t *tail) Write(b []byte) (int, error) {
	const most = 8 << 10
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - most; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// text is the last lines, in one.
func (t *tail) text() string {
	var lines []string
	for scan := bufio.NewScanner(bytes.NewReader(t.kept)); scan.Scan(); {
		if line := strings.TrimSpace(scan.Text()); line != "" {
			lines = append(lines, strings.ReplaceAll(line, "file:input", "the input"))
		}
	}
	if len(lines) == 0 {
		return "it does not say why"
	}
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}

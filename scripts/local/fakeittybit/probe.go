package fakeittybit

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// probeTime bounds the look at an input.
const probeTime = 30 * time.Second

// contents is what an input has in it.
type contents struct {
	picture, sound bool
	width, height  int64   // pixels, as the picture is shown
	seconds        float64 // 0: not known, or a picture
}

// ffprobe is the one that lies beside an ffmpeg, as it comes with it, "" if
// there is none.
func ffprobe(ffmpeg string) string {
	ffmpeg, err := exec.LookPath(ffmpeg)
	if err != nil {
		return ""
	}
	dir, name := filepath.Split(ffmpeg)
	beside := filepath.Join(dir, strings.Replace(name, "ffmpeg", "ffprobe", 1))
	if _, err := os.Stat(beside); err != nil || beside == ffmpeg {
		return ""
	}
	return beside
}

// probe looks into the file "input" in the folder. Ittybit's jobs begin with
// that, too: what cannot be read fails before any work.
func (s *Server) probe(ctx context.Context, folder string) (contents, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.ffprobe,
		"-v", "error", "-protocol_whitelist", "file,pipe", "-format_whitelist", demuxers,
		"-show_entries", "stream=codec_type,width,height:stream_disposition=attached_pic:stream_side_data=rotation:format=duration",
		"-of", "json", "file:input")
	cmd.Dir = folder
	ownGroup(cmd)
	var complaints tail
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return contents{}, unworkable(invalidInput, "the input cannot be read: %s", complaints.text())
	}
	var found struct {
		Streams []struct {
			Type        string `json:"codec_type"`
			Width       int64  `json:"width"`
			Height      int64  `json:"height"`
			Disposition struct {
				AttachedPicture int `json:"attached_pic"`
			} `json:"disposition"`
			SideData []struct {
				Rotation float64 `json:"rotation"` // degrees
			} `json:"side_data_list"`
		} `json:"streams"`
		Format struct {
			Duration string `json:"duration"`
		} `json:"format"`
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return contents{}, err
	}
	var c contents
	for _, stream := range found.Streams {
		switch {
		case stream.Type == "audio":
			c.sound = true
		case stream.Type == "video" && !c.picture && stream.Disposition.AttachedPicture == 0:
			c.picture, c.width, c.height = true, stream.Width, stream.Height
			for _, data := range stream.SideData {
				if int(data.Rotation)%180 != 0 { // a phone held upright
					c.width, c.height = c.height, c.width
				}
			}
		}
	}
	c.seconds, _ = strconv.ParseFloat(found.Format.Duration, 64)
	return c, nil
}

// suit says why the input is not one for the plan, and fills in what the plan
// leaves to it: percentages become pixels.
func (p *plan) suit(c contents) error {
	switch {
	case !c.picture && (p.kind == "video" || p.kind == "image" || p.kind == "animation"):
		return unworkable(invalidInput, "the input has no picture, which kind %s needs", p.kind)
	case !c.sound && p.kind == "audio":
		return unworkable(invalidInput, "the input has no sound, which kind audio needs")
	case c.seconds > 0 && p.start >= c.seconds:
		return unworkable(invalidInput, "the input has nothing at %g s: it is %g s long", p.start, c.seconds)
	}
	p.width, p.height = p.width.of(c.width), p.height.of(c.height)
	return nil
}

// of is the length in pixels, once it is known of what a percentage is one.
func (l length) of(input int64) length {
	if l.percent > 0 && input > 0 {
		return length{pixels: max(1, input*l.percent/100)}
	}
	return l
}

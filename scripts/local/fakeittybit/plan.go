package fakeittybit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// plan is what a job's options mean. The options were checked one by one
// before, where the reference has a rule for them.
type plan struct {
	kind       string
	format     string
	codec      string
	quality    level
	width      length
	height     length
	fit        string
	position   string
	background string
	fps        float64
	bitrate    int64   // bits per second
	start      float64 // seconds
	end        float64 // seconds; 0: the input's
}

// level is a quality.
type level int

var levels = map[string]level{"very_low": 0, "low": 1, "medium": 2, "high": 3, "very_high": 4}

const medium level = 2

// length is a width or height.
type length struct {
	pixels  int64
	percent int64
}

func (l length) given() bool { return l != length{} }

// defaultFormats are what each kind of job makes unless the options say it.
var defaultFormats = map[string]string{
	"video":          "mp4",
	"audio":          "mp3",
	"image":          "jpeg",
	"animation":      "gif",
	"adaptive_video": "hls",
}

func newPlan(kind string, options map[string]any) (plan, error) {
	p := plan{
		kind:       kind,
		format:     text(options, "format"),
		codec:      text(options, "codec"),
		quality:    medium,
		width:      dimension(options, "width"),
		height:     dimension(options, "height"),
		fit:        text(options, "fit"),
		position:   text(options, "position"),
		background: text(options, "background"),
		fps:        number(options, "fps"),
		bitrate:    int64(number(options, "bitrate")),
		start:      number(options, "start"),
	}
	orDefault(&p.format, defaultFormats[kind])
	if l, ok := levels[text(options, "quality")]; ok {
		p.quality = l
	}
	if kind == "image" {
		return p, nil // has a moment, no end
	}
	if p.end = number(options, "end"); p.end != 0 && p.end <= p.start {
		return p, fmt.Errorf("end (%g s) is not after start (%g s)", p.end, p.start)
	}
	return p, nil
}

func text(options map[string]any, name string) string {
	s, _ := options[name].(string)
	return s
}

func number(options map[string]any, name string) float64 {
	n, _ := options[name].(json.Number)
	f, _ := n.Float64()
	return f
}

func dimension(options map[string]any, name string) length {
	if percent, ok := strings.CutSuffix(text(options, name), "%"); ok {
		n, _ := strconv.ParseInt(percent, 10, 64)
		return length{percent: n}
	}
	return length{pixels: int64(number(options, name))}
}

// decimal is a number as ffmpeg reads it: never with an exponent.
func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// extension is that of the output's file.
func (p plan) extension() string {
	switch p.format {
	case "jpeg":
		return "jpg"
	case "hls":
		return "m3u8"
	default:
		return p.format
	}
}

// even reports whether width and height must be even: video codecs keep color
// at half the size.
func (p plan) even() bool { return p.kind == "video" || p.kind == "adaptive_video" }

// filters are ffmpeg's for the picture, in order.
func (p plan) filters() ([]string, error) {
	var chain []string
	if fps := p.framesPerSecond(); fps > 0 {
		chain = append(chain, "fps="+decimal(fps))
	}
	scale, err := p.scale()
	if err != nil {
		return nil, err
	}
	return append(chain, scale...), nil
}

func (p plan) framesPerSecond() float64 {
	if p.fps == 0 && p.kind == "animation" {
		return 12 // a GIF at a film's rate is larger than the film
	}
	return p.fps
}

func (p plan) scale() ([]string, error) {
	w, h := p.side(p.width, "iw"), p.side(p.height, "ih")
	free := "-1" // follows the other side
	if p.even() {
		free = "-2"
	}
	switch {
	case !p.width.given() && !p.height.given():
		if !p.even() {
			return nil, nil
		}
		return []string{"scale=w=trunc(iw/2)*2:h=trunc(ih/2)*2"}, nil
	case !p.height.given():
		return []string{"scale=w=" + w + ":h=" + free}, nil
	case !p.width.given():
		return []string{"scale=w=" + free + ":h=" + h}, nil
	case p.fit == "fill":
		return []string{"scale=w=" + w + ":h=" + h, "setsar=1"}, nil
	case p.width.percent > 0 || p.height.percent > 0:
		// Nobody knew the input's size, and after the first filter it is gone.
		return nil, errors.New("without ffprobe, this fake takes width and height together only in pixels, or with fit: fill")
	}
	x, y := p.place()
	divisible := ""
	if p.even() {
		divisible = ":force_divisible_by=2"
	}
	if p.fit == "cover" {
		return []string{
			"scale=w=" + w + ":h=" + h + ":force_original_aspect_ratio=increase" + divisible,
			fmt.Sprintf("crop=%s:%s:(iw-ow)*%s:(ih-oh)*%s", w, h, x, y),
			"setsar=1",
		}, nil
	}
	color := "black"
	if p.background != "" {
		color = "0x" + strings.TrimPrefix(p.background, "#")
	}
	return []string{
		"scale=w=" + w + ":h=" + h + ":force_original_aspect_ratio=decrease" + divisible,
		fmt.Sprintf("pad=%s:%s:(ow-iw)*%s:(oh-ih)*%s:%s", w, h, x, y, color),
		"setsar=1",
	}, nil
}

// side is a width or height as an expression of ffmpeg's, whole and, if need
// be, even.
func (p plan) side(l length, input string) string {
	step := int64(1)
	if p.even() {
		step = 2
	}
	if l.percent > 0 {
		return fmt.Sprintf("max(%d\\,trunc(%s*%d/%d)*%d)", step, input, l.percent, 100*step, step)
	}
	return strconv.FormatInt(max(step, l.pixels/step*step), 10)
}

// place says which part of what is left over comes before the picture, or is
// cut off there: 0, 0.5 or 1 of it, across and down.
func (p plan) place() (x, y string) {
	x, y = "0.5", "0.5"
	switch {
	case strings.Contains(p.position, "left"):
		x = "0"
	case strings.Contains(p.position, "right"):
		x = "1"
	}
	switch {
	case strings.Contains(p.position, "top"):
		y = "0"
	case strings.Contains(p.position, "bottom"):
		y = "1"
	}
	return x, y
}

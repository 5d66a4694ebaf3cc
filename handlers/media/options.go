package media

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kinds are the kinds of job that Ittybit does, by the options that its
// reference lists for each (https://ittybit.com/api/create-job). Options that
// are not listed pass with a warning: the reference may have grown.
var Kinds = map[string]map[string]Option{
	"video": with(picture, cut, map[string]Option{
		"format":  oneOf("mp4", "webm", "mov"),
		"codec":   oneOf("h264", "h265", "vp9", "av1"),
		"quality": quality,
		"fps":     number(1, 60, "frames per second"),
		"bitrate": integer(300_000, 60_000_000, "bits per second"),
	}),
	"audio": with(cut, map[string]Option{
		"format":  oneOf("mp3", "aac", "ogg", "opus", "wav", "flac"),
		"quality": quality,
		"bitrate": integer(32_000, 320_000, "bits per second"),
	}),
	"image": with(picture, map[string]Option{
		"format":  oneOf("jpeg", "png", "webp", "avif"),
		"quality": quality,
		"start":   seconds,
	}),
	"animation": with(picture, cut, map[string]Option{
		"format":  oneOf("gif", "webp"),
		"quality": quality,
	}),
	"adaptive_video": with(picture, cut, map[string]Option{
		"format":  oneOf("hls"),
		"quality": quality,
	}),
}

// ConnectionOption is the option that names Ittybit's connection to the bucket.
// A job that sets it has its own connection.
const ConnectionOption = "connection_id"

// Option checks a value of one option: strings, json.Number, bool, nil, or
// lists and maps of them.
type Option func(value any) error

var (
	quality = oneOf("very_low", "low", "medium", "high", "very_high")
	seconds = number(0, math.MaxFloat64, "seconds")

	picture = map[string]Option{
		"width":      dimension,
		"height":     dimension,
		"fit":        oneOf("contain", "cover", "fill"),
		"position":   text, // center, top, left and others that the reference does not list
		"background": color,
	}
	cut = map[string]Option{
		"start": seconds, // image: the time of the frame
		"end":   seconds,
	}
)

func with(tables ...map[string]Option) map[string]Option {
	all := map[string]Option{ConnectionOption: text}
	for _, t := range tables {
		maps.Copy(all, t)
	}
	return all
}

func oneOf(words ...string) Option {
	return func(value any) error {
		if s, ok := value.(string); ok && slices.Contains(words, s) {
			return nil
		}
		return fmt.Errorf("%s is not one of %s", show(value), strings.Join(words, ", "))
	}
}

func number(low, high float64, unit string) Option {
	bounds := fmt.Sprintf("a number of %s from %g to %g", unit, low, high)
	if high == math.MaxFloat64 {
		bounds = fmt.Sprintf("a number of %s, %g or more", unit, low)
	}
	return func(value any) error {
		if f, ok := asNumber(value); !ok || !(f >= low && f <= high) {
			return fmt.Errorf("%s is not %s", show(value), bounds)
		}
		return nil
	}
}

func integer(low, high int64, unit string) Option {
	return func(value any) error {
		f, ok := asNumber(value)
		if !ok || f != math.Trunc(f) || f < float64(low) || f > float64(high) {
			return fmt.Errorf("%s is not a whole number of %s from %d to %d", show(value), unit, low, high)
		}
		return nil
	}
}

var percentage = pattern(`^[1-9][0-9]{0,3}%$`)

func dimension(value any) error {
	if s, ok := value.(string); ok && percentage().MatchString(s) {
		return nil
	}
	if f, ok := asNumber(value); ok && f == math.Trunc(f) && f >= 1 && f <= math.MaxInt32 {
		return nil
	}
	return fmt.Errorf(`%s is neither a whole number of pixels above 0 nor a percentage such as "50%%"`, show(value))
}

var hexColor = pattern(`^#[0-9A-Fa-f]{6}$`)

func color(value any) error {
	if s, ok := value.(string); ok && hexColor().MatchString(s) {
		return nil
	}
	return fmt.Errorf(`%s is not a color such as "#000000"`, show(value))
}

func text(value any) error {
	if s, ok := value.(string); ok && s != "" {
		return nil
	}
	return fmt.Errorf("%s is not a text", show(value))
}

func asNumber(value any) (float64, bool) {
	n, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	return f, err == nil
}

// show is the value as its author wrote it, shortened.
func show(value any) string {
	b, err := MarshalJSON(value)
	if err != nil {
		return fmt.Sprintf("%T", value)
	}
	if len(b) > 60 {
		return strings.ToValidUTF8(string(b[:60]), "") + "…"
	}
	return string(b)
}

// checkTogether reports what is wrong with options that are each right: the
// name of the option to change, and why.
func checkTogether(options map[string]any) (string, error) {
	if _, ok := options["background"]; ok && options["fit"] != "contain" {
		return "background", errors.New(`works only with fit: contain`)
	}
	start, _ := asNumber(options["start"])
	if end, ok := asNumber(options["end"]); ok && end <= start {
		return "end", fmt.Errorf("%g is not after the start, %g", end, start)
	}
	return "", nil
}

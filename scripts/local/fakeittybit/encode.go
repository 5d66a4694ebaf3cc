package fakeittybit

import (
	"strconv"
	"strings"
)

// encoder is one of ffmpeg's, and how it is told the quality.
type encoder struct {
	name  string
	knob  string    // the option that takes the quality
	steps [5]string // its values, by level
	more  []string  // fast rather than small: a person waits
}

// videoEncoders make a codec, the better first.
var videoEncoders = map[string][]encoder{
	"h264": {{"libx264", "-crf", [5]string{"34", "29", "24", "20", "17"}, []string{"-preset", "veryfast"}}},
	"h265": {{"libx265", "-crf", [5]string{"36", "32", "27", "23", "20"}, []string{"-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", "log-level=error"}}},
	"vp9":  {{"libvpx-vp9", "-crf", [5]string{"48", "40", "34", "28", "22"}, []string{"-deadline", "realtime", "-cpu-used", "8", "-row-mt", "1"}}},
	"av1": {
		{"libsvtav1", "-crf", [5]string{"58", "50", "42", "34", "28"}, []string{"-preset", "12"}},
		{"libaom-av1", "-crf", [5]string{"50", "44", "36", "30", "24"}, []string{"-cpu-used", "8", "-usage", "realtime"}},
	},
}

// What a container holds if no codec is asked for.
var (
	videoCodecs = map[string]string{"mp4": "h264", "mov": "h264", "webm": "vp9"}
	soundCodecs = map[string]string{"mp4": "aac", "mov": "aac", "webm": "opus"}
)

var (
	lossy     = [5]string{"48k", "80k", "128k", "192k", "256k"}
	noQuality = [5]string{}
)

// audioEncoders make a format or codec.
var audioEncoders = map[string][]encoder{
	"mp3":  {{"libmp3lame", "-b:a", lossy, nil}, {"libshine", "-b:a", lossy, nil}},
	"aac":  {{"aac", "-b:a", lossy, nil}},
	"ogg":  {{"libvorbis", "-b:a", lossy, nil}},
	"opus": {{"libopus", "-b:a", lossy, nil}},
	"wav":  {{"pcm_s16le", "", noQuality, nil}},
	"flac": {{"flac", "", noQuality, nil}},
}

var imageEncoders = map[string][]encoder{
	"jpeg": {{"mjpeg", "-q:v", [5]string{"20", "12", "6", "3", "2"}, []string{"-pix_fmt", "yuvj420p"}}},
	"png":  {{"png", "", noQuality, nil}},
	"webp": {{"libwebp", "-quality", [5]string{"30", "50", "75", "85", "95"}, nil}},
	"avif": {{"libaom-av1", "-crf", [5]string{"50", "42", "34", "26", "20"}, []string{"-still-picture", "1", "-cpu-used", "8"}}},
}

var animationEncoders = map[string][]encoder{
	"gif": {{"gif", "", noQuality, []string{"-loop", "0"}}},
	"webp": {
		{"libwebp_anim", "-quality", [5]string{"30", "50", "70", "80", "90"}, []string{"-loop", "0"}},
		{"libwebp", "-quality", [5]string{"30", "50", "70", "80", "90"}, []string{"-loop", "0"}},
	},
}

// encoder chooses the first that this ffmpeg has.
func (s *Server) encoder(table map[string][]encoder, what string) (encoder, error) {
	var names []string
	for _, e := range table[what] {
		if s.encoders[e.name] {
			return e, nil
		}
		names = append(names, e.name)
	}
	return encoder{}, unworkable("format_unsupported", "this ffmpeg cannot make %s: it was built without %s", what, strings.Join(names, " and "))
}

func (e encoder) arguments(stream string, quality level, bitrate int64) []string {
	args := []string{"-c:" + stream, e.name}
	switch {
	case e.knob == "": // lossless
	case bitrate > 0:
		args = append(args, "-b:"+stream, strconv.FormatInt(bitrate, 10))
	default:
		args = append(args, e.knob, e.steps[quality])
		if e.name == "libvpx-vp9" || e.name == "libaom-av1" {
			args = append(args, "-b:"+stream, "0") // or else crf is but a bound
		}
	}
	return append(args, e.more...)
}

// recipe is what an output is made of, in ffmpeg's terms.
type recipe struct {
	streams     []string             // of the input
	pictures    map[string][]encoder // nil: it has no picture
	picture     string               // format or codec
	pictureRate int64                // bits per second; 0: by quality
	filter      string               // after those of the plan
	sound       string               // format or codec; "": it has no sound
	soundRate   int64
	container   []string
}

// recipe is that of the plan. Segments of HLS take their names from segments.
func (p plan) recipe(segments string) recipe {
	switch p.kind {
	case "video":
		codec := p.codec
		orDefault(&codec, videoCodecs[p.format])
		container := []string{"-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", p.format}
		if p.format == "webm" {
			container = []string{"-pix_fmt", "yuv420p", "-f", p.format}
		}
		return recipe{
			streams: []string{"-map", "0:v:0", "-map", "0:a:0?"}, container: container,
			pictures: videoEncoders, picture: codec, pictureRate: p.bitrate, sound: soundCodecs[p.format],
		}
	case "audio":
		return recipe{streams: []string{"-map", "0:a:0"}, sound: p.format, soundRate: p.bitrate}
	case "image":
		r := recipe{streams: []string{"-map", "0:v:0", "-frames:v", "1"}, pictures: imageEncoders, picture: p.format}
		if p.format == "jpeg" || p.format == "png" {
			r.container = []string{"-f", "image2", "-update", "1"}
		}
		return r
	case "animation":
		r := recipe{streams: []string{"-map", "0:v:0"}, pictures: animationEncoders, picture: p.format}
		if p.format == "gif" {
			// A palette for each frame: one for all would hold all in memory.
			r.filter = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"
		}
		return r
	case "adaptive_video":
		return recipe{
			streams: []string{"-map", "0:v:0?", "-map", "0:a:0?"}, pictures: videoEncoders, picture: "h264", sound: "aac",
			container: []string{"-pix_fmt", "yuv420p", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_segment_filename", segments},
		}
	}
	return recipe{}
}

// arguments are ffmpeg's for the output of the job, up to the name of the file.
func (s *Server) arguments(p plan, segments string) ([]string, error) {
	filters, err := p.filters()
	if err != nil {
		return nil, unworkable("format_unsupported", "%v", err)
	}
	var args []string
	if p.end > 0 {
		args = append(args, "-t", decimal(p.end-p.start))
	}
	r := p.recipe(segments)
	args = append(args, r.streams...)
	if r.pictures != nil {
		e, err := s.encoder(r.pictures, r.picture)
		if err != nil {
			return nil, err
		}
		if r.filter != "" {
			filters = append(filters, r.filter)
		}
		if len(filters) > 0 {
			args = append(args, "-filter:v", strings.Join(filters, ","))
		}
		args = append(args, e.arguments("v", p.quality, r.pictureRate)...)
	}
	if r.sound != "" {
		e, err := s.encoder(audioEncoders, r.sound)
		if err != nil {
			return nil, err
		}
		args = append(args, e.arguments("a", p.quality, r.soundRate)...)
	}
	return append(args, r.container...), nil
}

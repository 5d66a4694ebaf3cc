package fakeittybit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// render does a job: it makes the output in a folder of its own, then moves it
// to where it belongs.
func (s *Server) render(j *Job) (result, error) {
	work, err := os.MkdirTemp(s.dir.Name(), "work-")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(work) }()

	release, err := s.bring(j.Input, filepath.Join(work, "input"))
	if err != nil {
		return result{}, err
	}
	duration, err := s.make(work, j)
	release()
	if err != nil {
		return result{}, err
	}
	if err := os.Remove(filepath.Join(work, "input")); err != nil {
		return result{}, err
	}
	if j.Output != "" {
		err = s.put(work, j)
	} else {
		err = os.Rename(work, filepath.Join(s.dir.Name(), j.ID))
	}
	return result{duration: duration}, err
}

// make makes the output of the job: in the work folder, under its own name.
func (s *Server) make(work string, j *Job) (*time.Duration, error) {
	made := filepath.Join(work, j.fileName())
	if s.opts.FFmpeg == "" {
		return nil, copyFile(made, filepath.Join(work, "input"))
	}
	// ffmpeg reads % in a name as a pattern, so the name is plain until it is
	// done.
	plain := "output." + j.plan.extension()
	duration, err := s.encode(s.ctx, work, j.plan, plain, j.ID+"_%03d.ts")
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(filepath.Join(work, plain)); err != nil || info.Size() == 0 {
		return nil, unworkable(invalidInput, "the input has nothing at %g s", j.plan.start)
	}
	return duration, os.Rename(filepath.Join(work, plain), made)
}

// bring makes the input a file at path, until release is called.
func (s *Server) bring(input, path string) (release func(), err error) {
	bucket, key, ok := splitS3(input)
	if !ok {
		return nil, unworkable("input_unreadable", "this fake reads its inputs from S3 only")
	}
	if s.opts.Storage == nil {
		return nil, unworkable("connection_missing", "this fake has no S3 to read %s from", input)
	}
	if s.opts.ReadKey != nil {
		key = s.opts.ReadKey(key)
	}
	file, release, err := s.opts.Storage.Open(s.ctx, bucket, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unworkable("input_not_found", "there is no object %s", input)
	} else if err != nil {
		return nil, unworkable("input_unreadable", "%s cannot be read: %v", input, err)
	}
	// A name of our own: ffmpeg takes the meaning of a file from its name, too.
	if file, err = filepath.Abs(file); err == nil {
		err = os.Symlink(file, path)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// put stores what lies in the work folder: the job's file as its output says,
// others (segments) beside it.
func (s *Server) put(work string, j *Job) error {
	bucket, key, _ := splitS3(j.Output)
	if s.opts.Storage == nil {
		return unworkable("connection_missing", "this fake has no S3 to write %s to", j.Output)
	}
	files, err := os.ReadDir(work)
	if err != nil {
		return err
	}
	for _, f := range files {
		to := key
		if f.Name() != j.fileName() {
			to = key[:strings.LastIndex(key, "/")+1] + f.Name() // a key is no path: nothing in it is tidied
		}
		if err := s.opts.Storage.Put(s.ctx, bucket, to, filepath.Join(work, f.Name())); err != nil {
			return unworkable("output_unwritable", "s3://%s/%s cannot be written: %v", bucket, to, err)
		}
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copying the input: %w", err)
	}
	return nil
}

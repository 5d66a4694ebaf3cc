package access_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/access"
)

func example() access.Access {
	return access.Access{
		Outputs: stack.Outputs{
			Region: "us-east-1", Bucket: "b", Table: "t",
			Functions: map[string]string{"dispatch": "d"},
			Settings:  stack.Settings{Routes: json.RawMessage(`[]`), APIKeySecret: "s"},
		},
		AWSURL: "http://127.0.0.1:1", S3URL: "http://127.0.0.1:2", AccessKey: "key", SecretKey: "secret", PID: os.Getpid(),
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	path := access.File(t.TempDir()) // its folder is not there yet
	want := example()
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := access.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	got.Outputs.Settings.Routes = json.RawMessage(`[]`) // its spaces are the file's
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("left %v, %v", files, err)
	}
}

func TestNoRun(t *testing.T) {
	t.Parallel()
	path := access.File(t.TempDir())
	if _, err := access.Read(path); !errors.Is(err, access.ErrNone) {
		t.Errorf("no file: %v", err)
	}
	ended := exec.Command(os.Args[0], "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{ended.Process.Pid, 0, -1} {
		a := example()
		a.PID = pid
		if err := a.Write(path); err != nil {
			t.Fatal(err)
		}
		if _, err := access.Read(path); !errors.Is(err, access.ErrEnded) {
			t.Errorf("process %d: %v", pid, err)
		}
	}
	if err := os.WriteFile(path, []byte("no access"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := access.Read(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("another file: %v", err)
	}
}

func TestTheLaterRunIsFound(t *testing.T) {
	t.Parallel()
	path := access.File(t.TempDir())
	first, second := example(), example()
	second.AWSURL = "http://127.0.0.1:3"
	for _, a := range []access.Access{first, second} {
		if err := a.Write(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := access.Read(path); err != nil || got.AWSURL != second.AWSURL {
		t.Errorf("after the first has ended: %+v, %v", got, err)
	}
	for range 2 { // the second time it is gone already
		if err := second.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := access.Read(path); !errors.Is(err, access.ErrNone) {
		t.Errorf("after both have ended: %v", err)
	}
}

func TestAReaderFindsItWhole(t *testing.T) {
	t.Parallel()
	path := access.File(t.TempDir())
	a := example()
	a.Outputs.ConnectionPolicy = strings.Repeat("p", 1<<20)
	if err := a.Write(path); err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	for range 4 {
		writing.Go(func() {
			for range 10 {
				if err := a.Write(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 40 {
		if _, err := access.Read(path); err != nil {
			t.Error(err)
		}
	}
	writing.Wait()
}

func TestItSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := example().Write(access.File(file)); err == nil || !strings.Contains(err.Error(), "for the scripts") {
		t.Error(err)
	}
}

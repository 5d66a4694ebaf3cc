package function_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"

	"ittybit-media/handlers/function"
)

// TestMain is also a function that cannot start.
func TestMain(m *testing.M) {
	if os.Getenv("FUNCTION_TEST") == "exit" {
		function.Exit(io.ErrUnexpectedEOF)
	}
	m.Run()
}

func TestExitSaysWhy(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FUNCTION_TEST=exit", "AWS_LAMBDA_LOG_FORMAT=JSON")
	out, err := cmd.Output()
	if _, failed := err.(*exec.ExitError); !failed {
		t.Fatalf("the process ended with %v", err)
	}
	var line struct{ Level, Error string }
	if err := json.Unmarshal(out, &line); err != nil || line.Level != "ERROR" || line.Error != io.ErrUnexpectedEOF.Error() {
		t.Errorf("%v in %q", err, out)
	}
}

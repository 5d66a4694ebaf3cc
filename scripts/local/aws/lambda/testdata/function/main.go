// Command function is a Lambda function that does what its event says, for the
// tests of package lambda.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing/iotest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do   string `json:"do"`
	URL  string `json:"url"`
	Code int    `json:"code"`
}

// handler answers with raw bytes, so that nothing re-encodes them.
type handler struct{}

func (handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, err
	}
	switch e.Do {
	case "echo":
		return payload, nil
	case "fail":
		return nil, errors.New("it was told to fail")
	case "panic":
		panic("it was told to panic")
	case "exit":
		fmt.Println("going")
		os.Exit(e.Code)
	case "log":
		fmt.Print("one\n\ntw")
		fmt.Fprint(os.Stderr, "o\n", strings.Repeat("x", 300<<10), "\nno end")
	case "hang":
		select {}
	case "get":
		// Tells the test that it is here, and waits for the answer.
		response, err := http.Get(e.URL)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return fmt.Appendf(nil, "%d", os.Getpid()), err
	case "spawn":
		child := exec.Command("sleep", "1000")
		if err := child.Start(); err != nil {
			return nil, err
		}
		return fmt.Appendf(nil, "%d", child.Process.Pid), nil
	case "large":
		return []byte(`"` + strings.Repeat("x", 6<<20) + `"`), nil
	case "describe":
		deadline, _ := ctx.Deadline()
		lc, _ := lambdacontext.FromContext(ctx)
		dir, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		return json.Marshal(map[string]any{
			"pid": os.Getpid(), "environment": os.Environ(), "dir": dir, "left": time.Until(deadline).Seconds(),
			"requestId": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "memory": lambdacontext.MemoryLimitInMB,
		})
	}
	return nil, nil
}

func main() {
	switch os.Getenv("INIT") {
	case "fail":
		log.SetFlags(0)
		log.Print("reading the configuration")
		log.Fatal("TABLE_NAME is not set")
	case "report":
		reportInitError()
	case "hang":
		select {}
	case "mute":
		answerOnce()
	case "stream":
		lambda.Start(func() (io.Reader, error) {
			return io.MultiReader(strings.NewReader("half an ans"), iotest.ErrReader(errors.New("the stream broke"))), nil
		})
	}
	lambda.Start(handler{})
}

// answerOnce answers the first event and never asks for another one.
func answerOnce() {
	url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	response, err := http.Get(url + "next")
	if err != nil {
		log.Fatal(err)
	}
	id := response.Header.Get("Lambda-Runtime-Aws-Request-Id")
	if _, err := http.Post(url+id+"/response", "application/json", strings.NewReader(`"done"`)); err != nil {
		log.Fatal(err)
	}
	select {}
}

// reportInitError does what runtimes of other languages do.
func reportInitError() {
	url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
	response, err := http.Post(url, "application/json", strings.NewReader(`{"errorMessage":"no such module","errorType":"Runtime.ImportModuleError"}`))
	if err != nil || response.StatusCode != http.StatusAccepted {
		log.Fatal("init/error was not accepted")
	}
	os.Exit(1)
}

// Package process is how every script begins and ends as one.
package process

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes of every script.
const (
	OK     = 0
	Failed = 1
	Usage  = 2
)

// Main runs what a process is for, which returns its exit code. The context ends
// when the process is told to.
func Main(run func(context.Context) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx)
	stop()
	os.Exit(code)
}

package function

import (
	"log/slog"
	"os"

	"ittybit-media/handlers/telemetry"
)

// Exit ends the init of a function that cannot work. Lambda then reports the
// error and tries the init again at the next event.
func Exit(err error) {
	telemetry.NewLogger(slog.LevelInfo).Error("the function cannot start", "error", err.Error())
	os.Exit(1)
}

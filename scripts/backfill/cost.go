package main

import (
	"fmt"

	"ittybit-media/scripts/internal/prices"
)

// What an object and a job of it take of dispatch, webhook and the table, as
// the README reckons it. The durations, in GB-seconds on arm64, and the sizes
// of log lines, in GB, are estimates.
const (
	readsPerObject  = 2 // by this script and by dispatch
	writesPerObject = 1 // of the day's count
	writesPerJob    = 4 // of the row and its index
	dispatchTakes   = 0.1
	webhookTakes    = 0.005
	logsPerObject   = 1e-5
)

// cost is what a plan costs at AWS, about, in dollars, and how much of that is
// the transfer of every object to Ittybit once. Ittybit's own price is not in
// it.
func cost(p plan, l prices.List) (all, transfer float64) {
	objects, jobs := float64(p.Sent), float64(p.Jobs)
	each := l.PerMillion
	requests := float64(p.pages)*each.S3List + // the same pages again
		objects*(readsPerObject*each.Read+writesPerObject*each.Write+each.LambdaRequest) +
		jobs*(writesPerJob*each.Write+each.LambdaRequest+each.APIRequest)
	compute := (objects*dispatchTakes + jobs*webhookTakes) * l.GBSecond["arm64"]
	transfer = float64(p.Bytes) / 1e9 * l.TransferGB
	return requests/1e6 + compute + objects*logsPerObject*l.LogsGB + transfer, transfer
}

// size is a number of bytes for people.
func size(bytes int64) string {
	n, units := float64(bytes), []string{"bytes", "kB", "MB", "GB", "TB", "PB"}
	for ; n >= 1000 && len(units) > 1; units = units[1:] {
		n /= 1000
	}
	if units[0] == "bytes" {
		return fmt.Sprintf("%d bytes", bytes)
	}
	return fmt.Sprintf("%.1f %s", n, units[0])
}

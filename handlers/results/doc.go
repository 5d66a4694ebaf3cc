// Package results is the DynamoDB table: its schema, its rows, and the
// conditions under which dispatch, webhook and sweep write them in any order
// and any number of times.
//
// A job's row moves only to a state of a higher rank, so nobody reads before
// writing. Times are Unix milliseconds, but for expires_at, which DynamoDB
// wants in seconds.
package results

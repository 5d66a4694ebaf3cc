// Package fakeittybit is a fake of Ittybit's API: it takes jobs, does them with
// ffmpeg when there is one, and calls back.
//
// It answers as
// Ittybit's public reference says (https://ittybit.com/api) and, when told to,
// misbehaves in the ways that the reference leaves open or that networks bring
// about. It reads and calls nothing outside this machine.
package fakeittybit

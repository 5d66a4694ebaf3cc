// Package dynamodb is an emulator of DynamoDB: tables, indexes and streams, in
// memory.
//
// Expressions are evaluated by github.com/truora/minidyn; the tables around
// them are ours. That library's tables lose rows of a sparse index that
// UpdateItem wrote (and keep those whose index keys were removed), treat the
// keys "a"/"b.c" and "a.b"/"c" as one, ignore REMOVE, end pages early when a
// filter is used, and accept items and keys that AWS refuses. A local run on
// them would hide mistakes and invent others.
//
// Left to the expression library, and different from AWS: numbers are 64-bit
// floats in comparisons and arithmetic (times in milliseconds are exact);
// begins_with, contains, size and < on an attribute that is missing or of
// another type can be an error where AWS says false. Tables are consistent at
// once, index included, and take any number of writes, unless [Database.Stale]
// and [Database.LimitWrites] make them as unkind as the real ones. Not there, and refused as unknown: batches,
// transactions, TTL, table changes, the API of streams (but see
// [Database.Stream]).
package dynamodb

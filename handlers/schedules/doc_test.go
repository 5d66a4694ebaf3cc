// Package schedules explores every order in which concurrent processes can
// make their calls: a model checker whose model is the real code. It is for
// tests only.
//
// A process is a function, such as one invocation of a handler, that reaches the
// outside through an HTTP client alone. Its calls stop there, and a scheduler
// decides which one is answered next, with which of the possible answers, and
// when a process crashes. The outside is made of stores: immutable values that
// say how they answer a call and what they are afterwards.
//
// Two processes share nothing but the stores, as two Lambda functions do. So
// what a process does next follows from the answers that it got, and from
// nothing else. The explorer runs a process, alone in a bubble of
// [testing/synctest], once for every history of answers, remembers the calls it
// then waits for, and walks the graph of all states of the whole by what it
// remembers: breadth first, so the first violation has a shortest trace, and
// visiting each state once, however many schedules lead to it.
//
// What is left out changes no result:
//   - A crash has effects of its own only at the start or straight after a call
//     that changed a store; elsewhere it equals one of these.
//   - Answers to calls that a process makes in parallel are taken to commute
//     within the process: histories that differ in the order alone are one, if
//     the process then waits for the same calls ([Scenario.Ordered] tells them
//     apart). A violation is confirmed with the order as it was.
//   - A call whose answer nothing can change ([Outcome.Constant]) is answered at
//     once.
//
// Every process has a clock of its own, which begins at midnight UTC of
// 1 January 2000 and goes on only while the process waits for time alone. A call
// never takes so long that it times out; [Scenario.Faults] has lost answers
// instead.
package schedules

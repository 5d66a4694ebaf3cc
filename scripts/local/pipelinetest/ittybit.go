package pipelinetest

import (
	"sync/atomic"

	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// WithIttybit changes the options of Ittybit, beside what they are already; nil
// changes nothing.
func WithIttybit(o *pipeline.Options, change func(*fakeittybit.Options)) {
	if change == nil {
		return
	}
	before := o.Ittybit
	o.Ittybit = func(o *fakeittybit.Options) {
		before(o)
		change(o)
	}
}

// Behaviour is how Ittybit behaves, which a test changes as it goes. The zero
// value does all as it should.
type Behaviour struct {
	Mute atomic.Bool // no callbacks

	fault   hook[fakeittybit.Request, fakeittybit.Fault]
	outcome hook[fakeittybit.Job, fakeittybit.Outcome]
}

// Fault says what goes wrong with a request; nil for nothing.
func (b *Behaviour) Fault(fault func(fakeittybit.Request) fakeittybit.Fault) { b.fault.set(fault) }

// Outcome says how a job ends; nil for its success.
func (b *Behaviour) Outcome(outcome func(fakeittybit.Job) fakeittybit.Outcome) {
	b.outcome.set(outcome)
}

// Options has an Ittybit behave so, for [WithIttybit].
func (b *Behaviour) Options(o *fakeittybit.Options) {
	o.Fault, o.Outcome = b.fault.call, b.outcome.call
	o.Deliveries = func(fakeittybit.Job) []fakeittybit.Delivery {
		if b.Mute.Load() {
			return nil
		}
		return []fakeittybit.Delivery{{}}
	}
}

// hook is a function that can be changed while it is called; nil returns
// nothing.
type hook[A, B any] struct{ f atomic.Pointer[func(A) B] }

func (h *hook[A, B]) set(f func(A) B) { h.f.Store(&f) }

func (h *hook[A, B]) call(a A) (b B) {
	if f := h.f.Load(); f != nil && *f != nil {
		b = (*f)(a)
	}
	return b
}

package fakeittybit

import (
	"net"
	"net/http"
	"time"
)

// Request is what the [Options.Fault] hook is told of a request.
type Request struct {
	Op      Op
	Input   string // of the job, or that the list is asked for
	Kind    string // of the job
	Key     string // the idempotency key
	JobID   string // of Get
	Ordinal int    // which request it is of this operation for this input, from 1
}

// Fault is what goes wrong with a request; the zero value is nothing. What the
// client gets is one of: no answer ever (Hang), a broken connection (Cut), an
// error (Status).
type Fault struct {
	Delay      time.Duration // real time, before anything else
	Accept     bool          // a POST makes its job all the same
	Hang       bool          // until the client gives up
	Cut        bool
	Status     int
	Kind       string // of the error; "": internal_error
	Message    string
	RetryAfter string // a header, if not ""
}

func (f Fault) spoils() bool { return f.Hang || f.Cut || f.Status != 0 }

func (f Fault) answer() *answer {
	if f.Hang || f.Cut {
		return nil
	}
	orDefault(&f.Kind, "internal_error")
	orDefault(&f.Message, "the fake was told to answer this")
	a := refusal(f.Status, f.Kind, f.Message)
	return &a
}

// fault asks the hook.
func (s *Server) fault(r Request) Fault {
	if s.opts.Fault == nil {
		return Fault{}
	}
	r.Ordinal = s.stats.ordinal(r.Op, r.Input)
	return s.opts.Fault(r)
}

// spoil does to the client what the fault says.
func (s *Server) spoil(w http.ResponseWriter, r *http.Request, f Fault) {
	switch {
	case f.Hang:
		select {
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
		cut(w)
	case f.Cut:
		cut(w)
	default:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		f.answer().write(w)
	}
}

// cut breaks the connection, on TCP with a reset.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's way to end a request without an answer
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

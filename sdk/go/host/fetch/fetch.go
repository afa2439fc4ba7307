// Package fetch sends HTTP requests, to the hosts that the attachment allows. Refreshers alone have it.
package fetch

// Request is what is sent.
type Request struct {
	Method    string
	URL       string
	Headers   []Header
	Body      []byte
	TimeoutMS uint32
}

// Header is a name, in lower case, and its value.
type Header struct{ Name, Value string }

// Response is what came back.
type Response struct {
	Status  uint16
	Headers []Header
	Body    []byte
}

// Error says why nothing came back.
type Error struct{ message string }

func (e *Error) Error() string { return e.message }

var (
	// ErrNotAllowed: the attachment does not allow this host.
	ErrNotAllowed error = &Error{"fetch: not allowed"}
	// ErrTimeout: it took longer than TimeoutMS.
	ErrTimeout error = &Error{"fetch: timeout"}
	// ErrTooLarge: the body is larger than the host takes.
	ErrTooLarge error = &Error{"fetch: too large"}
)

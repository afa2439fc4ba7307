//go:build !wasm

package fetch

import "github.com/traceweir/traceweir/sdk/go/internal/standin"

// Send sends a request and waits for what comes back.
func Send(request Request) (Response, error) {
	host := standin.Current
	host.Lock()
	answer := host.Fetch
	host.Unlock()
	if answer == nil {
		return Response{}, ErrNotAllowed
	}
	response, err := answer(request)
	if err != nil {
		return Response{}, err
	}
	return response.(Response), nil
}

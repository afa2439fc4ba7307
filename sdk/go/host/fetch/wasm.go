//go:build wasm

package fetch

import (
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/internal/abi"
)

// Send sends a request and waits for what comes back.
func Send(request Request) (Response, error) {
	headers := abi.Memory(uint32(max(len(request.Headers), 1) * 16))
	for i, header := range request.Headers {
		abi.Record(headers).Borrow(i*16, header.Name)
		abi.Record(headers).Borrow(i*16+8, header.Value)
	}
	send(request.Method, request.URL, unsafe.Pointer(&headers[0]), uint32(len(request.Headers)),
		unsafe.Pointer(unsafe.SliceData(request.Body)), uint32(len(request.Body)), request.TimeoutMS,
		unsafe.Pointer(&area))
	if area[0] != 0 {
		return Response{}, failure()
	}
	response := Response{Status: uint16(abi.Word(area[:], 4))}
	list, count := abi.TakeList(area[:], 8, 16)
	response.Body = abi.TakeAt(area[:], 16)
	for i := range count {
		header := list[i*16:]
		response.Headers = append(response.Headers, Header{abi.TakeText(header, 0), abi.TakeText(header, 8)})
	}
	return response, nil
}

func failure() error {
	switch area[4] {
	case 0:
		return ErrNotAllowed
	case 1:
		return ErrTimeout
	case 2:
		return ErrTooLarge
	}
	return &Error{"fetch: " + abi.TakeText(area[:], 8)}
}

// area is where results lie. It is no variable of the function: the stack may move while the host allocates.
var area [24]byte

//go:wasmimport traceweir:plugin/fetch@0.1.0 send
func send(method, url string, headers unsafe.Pointer, headersCount uint32, body unsafe.Pointer, bodySize uint32,
	timeoutMS uint32, result unsafe.Pointer)

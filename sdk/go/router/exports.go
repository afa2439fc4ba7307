//go:build wasm

package router

import (
	"encoding/binary"
	"unsafe"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/abi"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

//go:wasmexport traceweir:plugin/router@0.1.0#routes
func routes() unsafe.Pointer {
	defer guest.LogPanic()
	result := abi.NewRecord(8)
	result.Texts(0, instance.Routes())
	return result.Address()
}

//go:wasmexport cabi_post_traceweir:plugin/router@0.1.0#routes
func routesRead(uint32) { abi.Release() }

//go:wasmexport traceweir:plugin/router@0.1.0#route
func route(batch, size uint32) unsafe.Pointer {
	return guest.Buffer(batch, size, func(batch *traceweir.Batch) ([]byte, error) {
		places, err := instance.Route(batch)
		buffer := make([]byte, 0, 2*len(places))
		for _, place := range places {
			buffer = binary.LittleEndian.AppendUint16(buffer, place)
		}
		return buffer, err
	})
}

//go:wasmexport cabi_post_traceweir:plugin/router@0.1.0#route
func routeRead(uint32) { abi.Release() }

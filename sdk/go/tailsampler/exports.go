//go:build wasm

package tailsampler

import (
	"unsafe"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/abi"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

//go:wasmexport traceweir:plugin/tail-sampler@0.1.0#level
func level() uint32 {
	defer guest.LogPanic()
	return uint32(instance.Level())
}

//go:wasmexport traceweir:plugin/tail-sampler@0.1.0#decide
func decide(traces, size uint32) unsafe.Pointer {
	return guest.Answer(traces, size, func(batch *traceweir.Batch) (*traceweir.Answer, error) {
		if err := batch.RequireTraces(); err != nil {
			return nil, err
		}
		return instance.Decide(batch)
	})
}

//go:wasmexport cabi_post_traceweir:plugin/tail-sampler@0.1.0#decide
func decideRead(uint32) { abi.Release() }

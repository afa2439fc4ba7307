//go:build wasm

package headsampler

import (
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/internal/abi"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

//go:wasmexport traceweir:plugin/head-sampler@0.1.0#sample
func sample(batch, size uint32) unsafe.Pointer {
	return guest.Answer(batch, size, instance.Sample)
}

//go:wasmexport cabi_post_traceweir:plugin/head-sampler@0.1.0#sample
func sampleRead(uint32) { abi.Release() }

//go:build wasm

package processor

import (
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/internal/abi"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

//go:wasmexport traceweir:plugin/span-processor@0.1.0#process
func process(batch, size uint32) unsafe.Pointer {
	return guest.Answer(batch, size, instance.Process)
}

//go:wasmexport cabi_post_traceweir:plugin/span-processor@0.1.0#process
func processRead(uint32) { abi.Release() }

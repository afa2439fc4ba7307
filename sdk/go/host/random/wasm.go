//go:build wasm

package random

import (
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/internal/abi"
)

// Bytes is so many random bytes, 64 KiB at most.
func Bytes(count int) []byte {
	fill(uint32(count), unsafe.Pointer(&area))
	return abi.TakeAt(area[:], 0)
}

// area is where results lie. It is no variable of the function: the stack may move while the host allocates.
var area [8]byte

//go:wasmimport traceweir:plugin/random@0.1.0 fill
func fill(count uint32, result unsafe.Pointer)

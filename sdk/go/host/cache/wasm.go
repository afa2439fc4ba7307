//go:build wasm

package cache

import (
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/internal/abi"
)

// Get is what was set, if it is still there.
func Get(key string) (value []byte, ok bool) {
	get(key, unsafe.Pointer(&area))
	if area[0] == 0 {
		return nil, false
	}
	return abi.TakeAt(area[:], 4), true
}

// Set keeps value for so many seconds, or until there is no room.
func Set(key string, value []byte, ttlSeconds uint32) {
	set(key, unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value)), ttlSeconds)
}

// area is where results lie. It is no variable of the function: the stack may move while the host allocates.
var area [12]byte

//go:wasmimport traceweir:plugin/cache@0.1.0 get
func get(key string, result unsafe.Pointer)

//go:wasmimport traceweir:plugin/cache@0.1.0 set
func set(key string, value unsafe.Pointer, size, ttlSeconds uint32)

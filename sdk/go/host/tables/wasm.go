//go:build wasm

package tables

import (
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/internal/abi"
)

// Lookup has the values of keys, in their order: one call per batch, not one per span. A table that there is not
// has no values.
func Lookup(table string, keys []string) []Found {
	list := abi.Memory(uint32(max(len(keys), 1) * 8))
	for i, key := range keys {
		abi.Record(list).Borrow(i*8, key)
	}
	lookup(table, unsafe.Pointer(&list[0]), uint32(len(keys)), unsafe.Pointer(&area))
	elements, count := abi.TakeList(area[:], 0, 12)
	found := make([]Found, count)
	for i := range found {
		if element := elements[i*12:]; element[0] != 0 {
			found[i] = Found{abi.TakeText(element, 4), true}
		}
	}
	return found
}

// area is where results lie. It is no variable of the function: the stack may move while the host allocates.
var area [8]byte

//go:wasmimport traceweir:plugin/tables@0.1.0 lookup
func lookup(table string, keys unsafe.Pointer, count uint32, result unsafe.Pointer)

// Generation goes up when the table changes; 0 where there is none.
//
//go:wasmimport traceweir:plugin/tables@0.1.0 generation
func Generation(table string) uint64

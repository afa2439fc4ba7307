//go:build wasm

package refresher

import (
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/internal/abi"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

//go:wasmexport traceweir:plugin/refresher@0.1.0#interval-seconds
func intervalSeconds() uint32 {
	defer guest.LogPanic()
	return instance.IntervalSeconds()
}

//go:wasmexport traceweir:plugin/refresher@0.1.0#refresh
func refresh() unsafe.Pointer {
	defer guest.LogPanic()
	tables, err := instance.Refresh()
	result := abi.NewRecord(12)
	if err != nil {
		result.U8(0, 1)
		result.Text(4, err.Error())
		return result.Address()
	}
	list := result.List(4, len(tables), 16)
	for i, table := range tables {
		list.Text(i*16, table.Name)
		entries := list.List(i*16+8, len(table.Entries), 16)
		for j, entry := range table.Entries {
			entries.Text(j*16, entry.Key)
			entries.Text(j*16+8, entry.Value)
		}
	}
	return result.Address()
}

//go:wasmexport cabi_post_traceweir:plugin/refresher@0.1.0#refresh
func refreshRead(uint32) { abi.Release() }

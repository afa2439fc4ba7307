//go:build wasm

package metrics

import "unsafe"

//go:wasmimport traceweir:plugin/metrics@0.1.0 counter
func counter(name, help string) uint32

func histogram(name, help string, bounds []float64) uint32 {
	return importHistogram(name, help, unsafe.Pointer(unsafe.SliceData(bounds)), uint32(len(bounds)))
}

//go:wasmimport traceweir:plugin/metrics@0.1.0 histogram
func importHistogram(name, help string, bounds unsafe.Pointer, count uint32) uint32

//go:wasmimport traceweir:plugin/metrics@0.1.0 add
func add(id uint32, delta uint64)

//go:wasmimport traceweir:plugin/metrics@0.1.0 observe
func observe(id uint32, value float64)

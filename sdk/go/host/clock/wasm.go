//go:build wasm

package clock

// NowUnixNano is nanoseconds since 1970.
//
//go:wasmimport traceweir:plugin/clock@0.1.0 now-unix-nano
func NowUnixNano() uint64

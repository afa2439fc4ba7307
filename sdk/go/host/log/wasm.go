//go:build wasm

package log

// Write writes a line.
func Write(level Level, message string) { write(uint32(level), message) }

//go:wasmimport traceweir:plugin/log@0.1.0 write
func write(level uint32, message string)

//go:build !wasm

package log

import "github.com/traceweir/traceweir/sdk/go/internal/standin"

// Write writes a line.
func Write(level Level, message string) {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	host.Lines = append(host.Lines, standin.Line{Level: uint8(level), Message: message})
}

//go:build !wasm

package clock

import "github.com/traceweir/traceweir/sdk/go/internal/standin"

// NowUnixNano is nanoseconds since 1970.
func NowUnixNano() uint64 {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	return host.NowUnixNano
}

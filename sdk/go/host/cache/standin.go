//go:build !wasm

package cache

import (
	"bytes"

	"github.com/traceweir/traceweir/sdk/go/internal/standin"
)

// Get is what was set, if it is still there.
func Get(key string) (value []byte, ok bool) {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	value, ok = host.Cache[key]
	return bytes.Clone(value), ok
}

// Set keeps value for so many seconds, or until there is no room.
func Set(key string, value []byte, ttlSeconds uint32) {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	host.Cache[key] = bytes.Clone(value)
}

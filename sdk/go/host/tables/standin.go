//go:build !wasm

package tables

import "github.com/traceweir/traceweir/sdk/go/internal/standin"

// Lookup has the values of keys, in their order: one call per batch, not one per span. A table that there is not
// has no values.
func Lookup(table string, keys []string) []Found {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	found := make([]Found, len(keys))
	for i, key := range keys {
		value, ok := host.Tables[table][key]
		found[i] = Found{value, ok}
	}
	return found
}

// Generation goes up when the table changes; 0 where there is none.
func Generation(table string) uint64 {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	return host.Generations[table]
}

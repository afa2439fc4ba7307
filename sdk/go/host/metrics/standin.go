//go:build !wasm

package metrics

import "github.com/traceweir/traceweir/sdk/go/internal/standin"

func counter(name, _ string) uint32 {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	host.Metrics = append(host.Metrics, name)
	return uint32(len(host.Metrics) - 1)
}

func histogram(name, help string, _ []float64) uint32 { return counter(name, help) }

func add(id uint32, delta uint64) {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	host.Counted[id] += delta
}

func observe(id uint32, value float64) {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	host.Observed[id] = append(host.Observed[id], value)
}

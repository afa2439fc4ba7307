// Package metrics has metrics on the host's page, traceweir_plugin_custom_*, with the plugin's name. They are made
// in configure, 64 at most. A counter is also raised by an answer, [traceweir.Answer.Count], which costs no call.
// Every world but that of refreshers has it.
package metrics

import traceweir "github.com/traceweir/traceweir/sdk/go"

// Counter is what only goes up.
type Counter = traceweir.Counter

// Histogram says how values are spread.
type Histogram struct{ id uint32 }

// NewCounter makes a counter.
func NewCounter(name, help string) Counter { return traceweir.CounterOf(counter(name, help)) }

// NewHistogram makes a histogram with upper bounds, which rise.
func NewHistogram(name, help string, bounds ...float64) Histogram {
	return Histogram{histogram(name, help, bounds)}
}

// Add raises a counter.
func Add(counter Counter, delta uint64) { add(counter.ID(), delta) }

// Observe takes a value into account.
func (h Histogram) Observe(value float64) { observe(h.id, value) }

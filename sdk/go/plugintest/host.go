// Package plugintest is for tests of plugins, where there is no host: batches made of spans, and a stand-in that
// answers to the packages under host.
package plugintest

import (
	"github.com/traceweir/traceweir/sdk/go/host/fetch"
	"github.com/traceweir/traceweir/sdk/go/host/log"
	"github.com/traceweir/traceweir/sdk/go/host/metrics"
	"github.com/traceweir/traceweir/sdk/go/internal/standin"
)

// Reset forgets everything that the stand-in was told. Tests that use it do not run in parallel.
func Reset() { standin.Current.Reset() }

// Line is one that was logged.
type Line struct {
	Level   log.Level
	Message string
}

// Lines are those that were logged.
func Lines() []Line {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	lines := make([]Line, len(host.Lines))
	for i, line := range host.Lines {
		lines[i] = Line{log.Level(line.Level), line.Message}
	}
	return lines
}

// Counted is what package metrics has added to a counter; counts of answers are not in it.
func Counted(counter metrics.Counter) uint64 {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	return host.Counted[counter.ID()]
}

// SetTable makes a table, or changes it.
func SetTable(name string, entries map[string]string) {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	host.Tables[name] = entries
	host.Generations[name]++
}

// SetClock sets the time, in nanoseconds since 1970.
func SetClock(unixNano uint64) {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	host.NowUnixNano = unixNano
}

// SetFetch says what requests are answered.
func SetFetch(answer func(fetch.Request) (fetch.Response, error)) {
	host := standin.Current
	host.Lock()
	defer host.Unlock()
	host.Fetch = func(request any) (any, error) { return answer(request.(fetch.Request)) }
}

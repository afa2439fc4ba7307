// Package tailsampler is for plugins that decide on whole traces, when nothing more is expected of them. They are
// pure functions of configuration and batch: they have neither clock nor chance nor cache.
package tailsampler

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

// Level is what a sampler is given, numbered as in the WIT.
type Level uint8

const (
	// Summary: the table of traces alone, [traceweir.Batch.Traces].
	Summary Level = iota
	// ProjectedSpans: the table, and the columns that the projection reads, of all spans of the traces.
	ProjectedSpans
)

// Sampler is a plugin of the world tail-sampler-plugin.
type Sampler interface {
	// Level is asked once, after configure.
	Level() Level
	// Decide decides on traces: the answer begins as batch.Decisions(). An error makes the attachment's on_failure
	// apply to all of them.
	Decide(batch *traceweir.Batch) (*traceweir.Answer, error)
}

var instance Sampler

// Register makes the program this plugin; an init function calls it. configure is called once, before any batch,
// with the configuration, JSON; its error may be a [traceweir.ConfigError].
func Register(info traceweir.Info, configure func(config []byte) (Sampler, *traceweir.Projection, error)) {
	guest.Register(info, func(config []byte) (projection *traceweir.Projection, err error) {
		instance, projection, err = configure(config)
		if err == nil && instance.Level() == Summary {
			guest.Require(&traceweir.Projection{Budgets: projection.Budgets})
		}
		return projection, err
	})
}
